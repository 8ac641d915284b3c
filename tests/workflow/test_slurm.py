"""The workflow through a real Slurm of one node, which this test starts and stops."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from harness import ROOT, Project
from test_demo import REDUCED, merged

START = ROOT / "tests/slurm/start_slurm.sh"
HERE = 3
"""The script's exit status where Slurm cannot be had on this machine."""
QUICK = [
    *("--workflow-profile", str(ROOT / "profiles/slurm"), "--jobs", "4", "--latency-wait", "5"),
    *("--slurm-no-account", "--slurm-status-command", "squeue"),  # there is no accounting database
    *("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "2"),
]
WITHOUT_GPUS = ("--set-resources", "generate:gpu=0", "judge:gpu=0")
TABLES = ("table1", "table7")
SMALL = {
    "pool": {"questions": 1},
    "decodings": {"greedy": {"samples": 1, "temperature": 0, "max_new_tokens": 8}},
}
"""What is laid over the reduced demo: this test is about Slurm, not about the model."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running Slurm, where this machine can have one."""
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="snakemake-executor-plugin-slurm is not installed")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([START, "start", folder], capture_output=True, text=True, check=False)
    try:
        if started.returncode == HERE:
            pytest.skip(started.stderr.strip().splitlines()[-1])
        assert started.returncode == 0, started.stderr
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
            yield
    finally:
        subprocess.run([START, "stop", folder], check=True)


def jobs(wanted: str) -> dict[str, str]:
    """What Slurm says of its jobs, by rule and wildcards: the word of `scontrol show job` that is called `wanted`."""
    shown = subprocess.run(["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True, check=True).stdout
    print(shown)
    found = {}
    for line in shown.splitlines():
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        found[words.get("Comment", "").removeprefix("rule_")] = words.get(wanted, "")
    return found


def test_the_reduced_demo_gives_the_tables_of_a_local_run(slurm: None, tmp_path: Path) -> None:
    demo = merged(merged(yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8")), REDUCED), SMALL)
    tables = {}
    for how, arguments in {"local": (), "slurm": (*QUICK, *WITHOUT_GPUS)}.items():
        project = Project(tmp_path / how)
        project.folder.mkdir()
        project.configure(demo)
        run = project.snakemake(*TABLES, *arguments)
        assert run.code == 0, run.output
        tables[how] = {
            f"{table}.{form}": (project.folder / f"results/tables/{table}.{form}").read_bytes()
            for table in TABLES
            for form in ("csv", "md", "tex", "html")
        }
    assert tables["slurm"] == tables["local"]
    states = jobs("JobState")
    assert set(states.values()) == {"COMPLETED"}
    asked = {"generate_wildcards_smollm2_greedy", "judge_wildcards_smollm2-yes-no_no_schema_pool"}
    assert asked <= set(states)
    of_seconds = (*TABLES, "score", "plan_wildcards", "measure_intrinsic", "measure_end_to_end", "import_pool")
    assert not [name for name in states if name.startswith(of_seconds)], "they ran beside Snakemake"


def test_a_model_job_asks_slurm_for_a_gpu_and_others_do_not(slurm: None, new_project: Callable[[], Project]) -> None:
    run = new_project().snakemake("results/candidates/writer.greedy.jsonl", *QUICK, gpus=1)
    assert run.code == 0, run.output
    gpus = jobs("TresPerJob")
    assert gpus["generate_wildcards_writer_greedy"] == "gres:gpu:1"
    assert gpus["sample_questions"] == ""

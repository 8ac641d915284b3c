"""Which jobs a cluster is given: those that ask a model or run SQL, and a few that take minutes. No job of seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness import ROOT

LOAD = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    loaded = api.workflow(
        resource_settings=ResourceSettings(cores=1, overwrite_scatter={"shards": int(sys.argv[2])}),
        config_settings=ConfigSettings(configfiles=[Path(name) for name in sys.argv[3:]]),
        snakefile=Path(sys.argv[1]),
        workdir=Path(),
    )
    loaded.dag()
    workflow = loaded._workflow
    submitted = [rule.name for rule in workflow.rules if not rule.norun and rule.name not in workflow._localrules]
    print(json.dumps(sorted(submitted)))
"""
MODELS = {"generate", "judge", "force", "plan_by_search"}
SQL = {"execute", "execute_tried", "group", "sample_questions"}
TRAINING = {"prepare_training", "train", "merge_trained", "train_router"}
MINUTES = {"stage_dataset", "unpack_model", "measure_reasoning", "explorer"}


def submitted(folder: Path, configs: str, shards: int) -> set[str]:
    """The rules whose jobs are submitted where there is a cluster."""
    files = [str(ROOT / "config" / name) for name in configs.split()]
    command = [sys.executable, "-c", LOAD, str(ROOT / "Snakefile"), str(shards), *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("configs", "shards", "more"),
    [
        ("config.yaml", 1, {"download_dataset"}),
        ("demo.yaml", 1, set()),
        ("demo.yaml mini_bird.yaml", 1, set()),
        ("demo.yaml", 3, {"generate_shard", "judge_shard", "force_shard"}),
    ],
)
def test_no_job_of_seconds_is_submitted(tmp_path: Path, configs: str, shards: int, more: set[str]) -> None:
    assert submitted(tmp_path, configs, shards) == MODELS | SQL | TRAINING | MINUTES | more


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_a_profile_asks_for_more_where_a_model_runs(name: str) -> None:
    profile = yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text(encoding="utf-8"))
    assert set(profile["set-resources"]) == MODELS | {"generate_shard", "judge_shard", "force_shard"}
    assert profile["local-cores"] >= 1


THREADS = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings, WorkflowSettings
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from snakemake_interface_executor_plugins.settings import ExecMode

class Local:
    class common_settings:
        local_exec = True

class Cluster:
    class common_settings:
        local_exec = False

found = {}
for name, executor, mode in (("here", Local, "DEFAULT"), ("submits", Cluster, "DEFAULT"), ("runs", Local, "REMOTE")):
    for cores in (1, 2, 8):
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            loaded = api.workflow(
                resource_settings=ResourceSettings(cores=cores, resources={"gpu": 0}),
                config_settings=ConfigSettings(configfiles=[Path(sys.argv[2])]),
                workflow_settings=WorkflowSettings(exec_mode=ExecMode[mode]),
                snakefile=Path(sys.argv[1]),
                workdir=Path(),
            )
            loaded.dag()
            loaded._workflow._executor_plugin = executor
            names = loaded._workflow.globals
            found[f"{name} {cores}"] = [names["model_threads"](None), names["spare_threads"](None)]
print(json.dumps(found))
"""


def test_who_submits_a_job_and_who_runs_it_count_the_same_threads(tmp_path: Path) -> None:
    """Else a job asks for more cores than it was given, and is not started."""
    command = [sys.executable, "-c", THREADS, str(ROOT / "Snakefile"), str(ROOT / "config/demo.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert [found[f"here {cores}"] for cores in (1, 2, 8)] == [[1, 1], [1, 1], [4, 2]]
    assert {name: each for name, each in found.items() if "here" not in name} == {
        f"{name} {cores}": [2, 2] for name in ("submits", "runs") for cores in (1, 2, 8)
    }

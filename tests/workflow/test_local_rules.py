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

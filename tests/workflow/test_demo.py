"""The demo on a reduced scale: real SQLite databases, the real embedded model, the real Snakemake."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml
from harness import ROOT, Project

REDUCED = {
    "dataset": {"per_hardness": 1},
    "pool": {"questions": 3},
    "resamples": 200,
    "decodings": {"sample": {"samples": 2, "temperature": 0.5, "max_new_tokens": 24}},
    "experiments": {
        "table1": {"budget": 24},
        "table2": {"discriminators": ["smollm2-yes-no"], "budget": 24, "baselines": ["majority"], "planners": []},
        "table3": {"budget": 24, "baselines": ["oracle-1"], "planners": []},
        "table4": {"budget": 24},
        "table5": {"budget": 24},
        "table6": {"budget": 24},
        "table8": {"budgets": [12, 24]},
    },
}


def merged(base: dict, over: dict) -> dict:
    """Two configurations, the second laid over the first as Snakemake lays them."""
    return {
        **base,
        **{
            key: merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in over.items()
        },
    }


@pytest.mark.model
def test_the_demo_runs_for_real_and_a_killed_run_goes_on(tmp_path: Path) -> None:
    project = Project(tmp_path)
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    project.configure(merged(demo, REDUCED))
    run = project.snakemake("table1", "table2")
    assert run.code == 0, run.output
    assert "of 8 requests" in run.output, "a model job shows how far it is"
    assert "left" in run.output

    rows = list(csv.DictReader((tmp_path / "results/tables/table1.csv").open(encoding="utf-8")))
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["discriminator"] for row in rows} == {"SmolLM2-135M (reasoning)", "SmolLM2-135M (yes/no)"}

    judged = "results/judgments/smollm2-reasoning/no_schema/pool"
    before = (tmp_path / f"{judged}.parquet").read_bytes()
    (tmp_path / f"{judged}.parquet").unlink()  # as if the job had been killed before it wrote its output
    again = project.snakemake(f"{judged}.parquet")
    assert again.code == 0, again.output
    report = json.loads((tmp_path / f"{judged}.run.json").read_text(encoding="utf-8"))
    assert report["from_journal"] == report["distinct"], "every request was in the journal"
    assert (tmp_path / f"{judged}.parquet").read_bytes() == before

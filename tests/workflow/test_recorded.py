"""Answers from a file go through the real Snakemake as those of a model do: extraction, scores, tables."""

from __future__ import annotations

import json
from pathlib import Path

from harness import Project, scripted

HEADER = "name\tsource\trevision\tbackend\tdtype\tquantization\n"
ECHO = 'I shall say {"correct": true} or {"correct": false}. So '
ROOT = Path(__file__).resolve().parents[2]


def project(folder: Path) -> Project:
    """The scripted project, its model's answers all recorded: all right, "false" in single quotes."""
    made = scripted(folder)
    (made.folder / "models.tsv").write_text(f"{HEADER}actor\tanswers.jsonl\t-\trecorded\t-\t-\n", encoding="utf-8")
    pool = json.loads((ROOT / "resources/mini_spider/pool.json").read_text(encoding="utf-8"))
    lines = [
        {
            "question_id": number,
            "sql": sql,
            "text": ECHO + ('{"correct": true}' if label else "{'correct': false}"),
        }
        for number, row in enumerate(pool)
        for sql, label in zip(row["top_n"], row["top_n_label"], strict=True)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (made.folder / "answers.jsonl").write_text(text, encoding="utf-8")
    table = {"discriminators": ["thinker"], "budget": 60, "modes": ["naive"]}
    made.change("experiments", {**dict.fromkeys(made.settings["experiments"]), "table1": table})
    return made


def test_recorded_responses_make_a_table_and_may_be_read_strictly(tmp_path: Path) -> None:
    made = project(tmp_path / "run")
    metrics = made.folder / "results/metrics/intrinsic/thinker/no_schema/pool.b60.soft.naive.json"

    def measured() -> tuple[float, float]:
        run = made.snakemake("table1")
        assert run.code == 0, run.output
        found = json.loads(metrics.read_text(encoding="utf-8"))["metrics"]
        return found["f1"]["value"], found["failure_rate"]["value"]

    assert measured() == (1, 0), "the echo is no verdict, the answer behind it is"
    made.change("verdicts", "paper")
    assert set(made.snakemake("table1", "-n").jobs) == {"score", "measure_intrinsic", "table1", "total"}
    f1, failures = measured()
    assert f1 == 1
    assert failures > 0
    answers = made.folder / "answers.jsonl"
    answers.write_text(answers.read_text(encoding="utf-8").replace("'", '\\"'), encoding="utf-8")
    assert {"judge", "score"} <= set(made.snakemake("table1", "-n").jobs), "other answers are judged anew"
    assert measured() == (1, 0)

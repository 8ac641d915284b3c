"""The peak memory of a model job does not grow with the requests that wait: answers lie on disk, not in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

MOST = 16 * 1024
"""KiB by which the peak may differ: twice what two equal jobs do. Each answer of 2,048 tokens, held, would add 200."""
JOB = """
import json, re, sys
from pathlib import Path

from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import Candidate, CandidateSet, Judgment, Question, write_jsonl
from sqljudge.models.session import model_session
from sqljudge.stages.force import force_pool
from sqljudge.stages.generate import generate_pool
from sqljudge.stages.judge import judge_pool
from sqljudge.stages.prompts import Framing, read_template
from sqljudge.stages.search.cost import Ledger
from sqljudge.stages.search.run import Reader, model_values
from sqljudge.stages.force import read_closing

stage, journal, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
prompts = Path(sys.argv[4]) / "config" / "prompts"
said = "word " * 400 + '</think> {"correct": true}'
said += "." * (2048 - len(said))
Path("script.json").write_text(json.dumps([{"match": "", "response": said, "probabilities": {"true": 0.5}}]))
questions = [Question(i, "db", f"number {i}?", "SELECT 1", "-- Table t: a", "easy") for i in range(count)]
write_jsonl("questions.jsonl", questions)
write_jsonl("candidates.jsonl", [CandidateSet(i, (Candidate(f"SELECT {i}"),)) for i in range(count)])
model = {"name": "m", "source": "script.json", "backend": "scripted", "dtype": "float32"}
asking = {"model": model, "weights": [], "gpu": 0, "label": "job", "journal": journal, "failures_tolerated": 0.0}
files = {"questions": "questions.jsonl", "run": "run.json"}
judging = {"candidates": "candidates.jsonl", "prompt": str(prompts / "reasoning.txt"), "method": "reasoning"}
judging |= {"framing": {"prompt_format": "raw"}, "extras": {}, "judgments": "judgments.parquet"}
if stage == "judge":
    judge_pool(**asking, **files, **judging, budget=2048)
elif stage == "generate":
    generate_pool(
        **asking, **files, prompt=str(prompts / "generator.txt"), candidates="made.jsonl", seed=1, quoted_names=False,
        framing={"prompt_format": "raw"}, extraction="statement",
        decoding={"samples": 1, "temperature": 0.5, "max_new_tokens": 2048},
    )
elif stage == "force":
    tokens, ends, logprobs = tuple(range(500, 2548)), tuple(range(1, 2049)), tuple(-i / 7 for i in range(2048))
    made = (Judgment(i, f"SELECT {i}", None, said, tokens, logprobs, ends, "stop", 2048) for i in range(count))
    write_judgments("judgments.parquet", made)
    force_pool(**asking, **files, **judging, closing=str(prompts / "forced.txt"), budgets=[16, 128], forced="f.jsonl")
else:
    with model_session(**asking) as session:
        reader = Reader(
            session, "reasoning", read_template(prompts / "reasoning.txt", required=()),
            read_closing(prompts / "forced.txt"), Framing("raw"), 2048, stage,
        )
        known = {question.id: question for question in questions}
        values = model_values(reader, known, Ledger(known), mode="naive", execute=lambda sets: [])
        assert len(values([(i, f"SELECT {i}") for i in known])) == count
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def peak(folder: Path, stage: str, journal: str, count: int) -> int:
    """KiB that a job of so many requests took at most, in a process of its own (`ru_maxrss` may be the parent's)."""
    folder.mkdir()
    command = [sys.executable, "-c", JOB, stage, journal, str(count), str(ROOT)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    return int(subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout)


STAGES = [("judge", ""), ("generate", "journal"), ("force", "journal"), ("soft", "journal"), ("forced", "")]
"""Stages, and the journal's folder; `soft` and `forced`: a round of a search, by what it scores with."""
CASES = [("judge", "journal", 100, 300)]
CASES += [pytest.param(stage, journal, 200, 2000, marks=pytest.mark.slow) for stage, journal in STAGES]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process does not tell its own peak")
@pytest.mark.parametrize(("stage", "journal", "few", "many"), CASES)
def test_the_peak_does_not_grow_with_what_waits(stage: str, journal: str, few: int, many: int, tmp_path: Path) -> None:
    small, large = (peak(tmp_path / str(count), stage, journal, count) for count in (few, many))
    print(f"{stage}: {small} KiB for {few} requests, {large} for {many}")
    assert large - small < MOST

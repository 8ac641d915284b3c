"""Model jobs whose model is behind a server, in the real Snakemake, against a real local server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from completions_server import NOT_READ, READ, Server, serving, status
from harness import Project, scripted

HEADER = "name\tsource\trevision\tbackend\tdtype\tquantization\n"
CANDIDATES = "results/candidates/writer.greedy.jsonl"


def project(folder: Path, server: Server) -> Project:
    """The scripted project, with its model behind a server."""
    made = scripted(folder)
    row = f"actor\t{server.url}?tries=1&concurrency=1#echo\t-\topenai\t-\t-\n"
    (made.folder / "models.tsv").write_text(HEADER + row, encoding="utf-8")
    made.change("experiments.adaptive.discriminators", ["taster"])  # a server's thoughts cannot be cut
    return made


def test_the_plan_asks_nothing_of_the_server_and_needs_no_gpu(tmp_path: Path) -> None:
    made = project(tmp_path / "run", Server(url="http://127.0.0.1:9/v1"))
    jobs = made.snakemake("table2", "-n").jobs
    assert {"generate", "judge", "table2"} <= set(jobs)
    made.change("discriminators.taster.prompt_format", "chat")
    assert "discriminators.taster.prompt_format: model 'actor' is behind a server" in made.refused("table2", "-n")


def test_a_job_whose_requests_fail_resumes_and_may_tolerate_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as server:
        made = project(tmp_path / "run", server)
        server.faults = [None, status(500)]
        line = made.refused(CANDIDATES)
        assert "1 of 8 requests got no answer (status 500)" in line
        assert len(server.asked) == 8
        server.faults = [status(500)]
        made.change("failures_tolerated", 0.2)
        run = made.snakemake(CANDIDATES)
        assert run.code == 0, run.output
        assert len(server.asked) == 9
    rows = [json.loads(row) for row in (made.folder / CANDIDATES).read_text(encoding="utf-8").splitlines()]
    assert [row["unanswered"] for row in rows].count(True) == 1
    report = json.loads((made.folder / CANDIDATES.replace(".jsonl", ".run.json")).read_text(encoding="utf-8"))
    assert (report["distinct"], len(report["failures"])) == (8, 1)


def test_a_server_without_log_probabilities_stops_the_job_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as server:
        made = project(tmp_path / "run", server)
        server.change = NOT_READ["TGI"]
        line = made.refused(CANDIDATES)
        assert f"{server.url}/completions: the answer holds no log-probabilities; take a server that gives" in line
        assert len(server.asked) == 1
        server.change = READ["llama.cpp"]
        assert made.snakemake(CANDIDATES).code == 0

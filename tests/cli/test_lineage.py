"""The chain behind a file, read from Snakemake's records; a changed input and a dirty tree are said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from sqljudge.cli.lineage import RECORDS, chain, format_chain, main
from sqljudge.core.errors import DataError
from sqljudge.core.provenance import file_digest

ROOT = Path(__file__).resolve().parents[2]
TABLE, METRIC, ANSWERS, SOURCE = "results/t.html", "results/m.json", "results/c.jsonl", "given.json"
RUN = {
    "model": {
        "model": "m",
        "revision": "0123456789abcdef",
        "dtype": "bfloat16",
        "quantization": "none",
        "backend": "b",
    },
    "engine": {"device": "a GPU"},
    "distinct": 1200,
    "prompt_tokens": 900,
    "new_tokens": 100,
}
SIDECAR = {"commit": "c" * 40, "dirty": True, "config": "5e77", "seed": 42}


def record_path(path: str) -> Path:
    """Where Snakemake 9 keeps the record of a file, below RECORDS (its persistence/file.py, _record_path)."""
    name = urlsafe_b64encode(path.encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    return Path(*(f"@{part}" for part in parts[:-1]), parts[-1])


def record(folder: Path, path: str, rule: str, inputs: list[str], **changes: Any) -> None:
    """As Snakemake records a finished job; what is read has its checksum."""
    place = folder / RECORDS / record_path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    checksums = {each: f"sha256:{file_digest(folder / each)}" for each in inputs if (folder / each).is_file()}
    known = {"rule": rule, "input": inputs, "params": ["42", "'0123456789abcdef'"], "input_checksums": checksums}
    place.write_text(json.dumps({**known, "starttime": 1.5, "endtime": 3.0, **changes}), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table from a metric from a model's answers from a source, and a folder that two of them read."""
    (tmp_path / "results/data").mkdir(parents=True)
    for path in (TABLE, METRIC, ANSWERS, SOURCE):
        (tmp_path / path).write_text(path, encoding="utf-8")
    (tmp_path / "results/c.run.json").write_text(json.dumps(RUN), encoding="utf-8")
    (tmp_path / "results/t.provenance.json").write_text(json.dumps(SIDECAR), encoding="utf-8")
    record(tmp_path, TABLE, "table1", [METRIC, "results/c.run.json"])
    record(tmp_path, METRIC, "evaluate", [ANSWERS, "results/data"])
    record(tmp_path, ANSWERS, "generate", [SOURCE, "results/data"])
    record(tmp_path, "results/c.run.json", "generate", [SOURCE])
    return tmp_path


def test_a_chain_goes_back_to_its_sources_and_names_each_file_once(folder: Path) -> None:
    steps = chain(TABLE, folder)
    assert [step.path for step in steps] == [TABLE, METRIC, "results/c.run.json", ANSWERS, "results/data", SOURCE]
    assert [step.rule for step in steps] == ["table1", "evaluate", "generate", "generate", "", ""]
    assert steps[0].code == "0123456789abcdef"
    assert steps[0].digest == file_digest(folder / TABLE)
    assert (steps[3].run, steps[2].run) == (RUN, RUN), "also where the record of a model job is what is read"


def test_the_chain_as_text(folder: Path) -> None:
    lines = list(format_chain(chain(TABLE, folder)))
    assert lines[0] == f"{TABLE}  sha256 {file_digest(folder / TABLE)[:16]}"
    assert lines[1] == "  rule table1, 1970-01-01 00:00:01 UTC, 1.5 s, code 0123456789abcdef"
    assert lines[2] == "  commit cccccccccccc, DIRTY: files differed from that commit; settings 5e77, seed 42"
    assert f"  from {METRIC}  sha256 {file_digest(folder / METRIC)[:16]}" in lines
    assert "  model m at revision 0123456789ab (bfloat16, b), on a GPU; 1,200 requests, 1,000 tokens" in lines
    assert "  from results/data  (folder)" in lines
    assert lines[-1] == "  a source: no rule made it"
    assert "CHANGED" not in "".join(lines)


def test_an_input_that_changed_since_is_shown_with_what_was_read(folder: Path) -> None:
    then = file_digest(folder / METRIC)
    (folder / METRIC).write_text("other", encoding="utf-8")
    lines = list(format_chain(chain(TABLE, folder)))
    assert f"  from {METRIC}  sha256 {then[:16]}  CHANGED since it was read" in lines


def test_what_is_gone_is_shown(folder: Path) -> None:
    (folder / ANSWERS).unlink()
    lines = list(format_chain(chain(TABLE, folder)))
    assert f"{ANSWERS}  (gone)" in lines
    assert f"  from {SOURCE}  sha256 {file_digest(folder / SOURCE)[:16]}" in lines, "its record is still there"


def test_a_long_name_is_found_in_its_folders(folder: Path) -> None:
    long = "results/" + "x" * 200 + "/" + "y" * 200 + ".json"
    (folder / long).parent.mkdir()
    (folder / long).write_text("{}", encoding="utf-8")
    record(folder, long, "evaluate", [SOURCE])
    assert [len(part) for part in record_path(long).parts] == [255, 255, 44]
    assert [(step.path, step.rule) for step in chain(long, folder)] == [(long, "evaluate"), (SOURCE, "")]


def test_a_file_among_the_records_that_is_none_is_passed_over(folder: Path) -> None:
    (folder / RECORDS / ".nfs0001").write_text("torn", encoding="utf-8")
    assert chain(METRIC, folder)[0].rule == "evaluate"


def test_a_file_that_no_rule_made(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    with pytest.raises(DataError, match=r"given\.json: no rule has made it here"):
        chain(SOURCE, folder)
    monkeypatch.chdir(folder)
    assert main(["given.json"]) == 1
    assert capsys.readouterr().err.startswith("Error: given.json: no rule")


def test_the_command_takes_any_way_to_name_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(folder)
    for name in (TABLE, f"./{TABLE}", str(folder / TABLE)):
        assert main([name]) == 0
        assert capsys.readouterr().out.startswith(f"{TABLE}  sha256")


def test_the_command_ends_quietly_where_only_its_first_lines_are_read(folder: Path) -> None:
    line = f"set -o pipefail; {sys.executable} -m sqljudge lineage {TABLE} | true"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)

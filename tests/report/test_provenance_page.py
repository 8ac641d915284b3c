"""The table of what made each result, and the facts of the report's front page."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import docutils.core
from sqljudge.core.files import write_json
from sqljudge.core.provenance import made_line, model_name, with_tree
from sqljudge.report.provenance import provenance_grid, run_facts, write_provenance
from sqljudge.report.text import FORMATS


def run(name: str = "m_1", **changes: Any) -> dict[str, Any]:
    model = {"model": name, "revision": "0123456789abcdef", "dtype": "float32", "quantization": "none", "backend": "b"}
    spent = {"prompt_tokens": 1000, "new_tokens": 500, "seconds": 2.04}
    return {"model": {**model, **changes}, "engine": {"device": "a GPU"}, **spent}


def sidecar(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "commit": "c0ffee" * 6,
        "dirty": False,
        "made": "2026-01-02T03:04:05+00:00",
        "code": "c0de",
        "config": "5e77",
        "inputs": {"a": "1", "b": "2"},
        "seed": 42,
        "versions": {"python": "3.11", "numpy": "2.4"},
        "machine": {"system": "Linux", "processor": "x86_64", "name": "", "cores": 2},
        "runs": [run(), run(), run("n", quantization="int8")],
        "tokens": 4500,
        "seconds": 6.12,
    }
    return {**made, **changes}


def values(**sidecars: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(provenance_grid(sidecars).render("csv"))))


def test_a_row_says_what_made_a_result() -> None:
    (row,) = values(table1=sidecar())
    assert (row["result"], row["commit"], row["tree"]) == ("table1", "c0ffee" * 6, "clean")
    assert row["models"] == (
        "m_1 at revision 0123456789ab (float32, b); n at revision 0123456789ab (float32, int8, b)"
    ), "each model once"
    assert (row["device"], row["seed"], row["tokens"], row["seconds"]) == ("a GPU", "42", "4500", "6.1")
    assert (row["settings"], row["code"], row["inputs"]) == ("5e77", "c0de", "2")
    assert row["versions"] == "python 3.11; numpy 2.4"


def test_a_dirty_tree_is_said_in_its_row_and_below() -> None:
    grid = provenance_grid(
        {"table1": sidecar(dirty=True), "table2": sidecar(), "table3": sidecar(commit=None, dirty=None)}
    )
    assert [row[2] for row in grid.rows] == ["DIRTY", "clean", "unknown"]
    assert [row[1] for row in grid.rows] == ["c0ffeec0ffee", "c0ffeec0ffee", "none"]
    assert grid.notes[0].startswith(
        "1 of 3 results were made from a tree whose files differed from the commit: table1."
    )


def test_a_result_without_a_model_says_so() -> None:
    (row,) = values(table1=sidecar(runs=[], tokens=0, seconds=0.0))
    assert (row["models"], row["device"]) == ("none", "none")


def test_versions_that_differ_are_all_given() -> None:
    grid = provenance_grid({"a": sidecar(), "b": sidecar(versions={"numpy": "2.5", "torch": "2"})})
    assert "Versions: python 3.11, numpy 2.4 and 2.5, torch 2." in grid.notes[-1]


def test_every_format_can_be_written() -> None:
    for form in FORMATS:
        assert "table1" in provenance_grid({"table1": sidecar()}).render(form)


def test_a_model_behind_a_server_is_named_by_the_server() -> None:
    served = {"model": {"model": "m", "server": "https://host/v1", "backend": "openai"}, "engine": {}}
    assert model_name(served) == "m (openai, https://host/v1)"
    assert values(table1=sidecar(runs=[served]))[0]["device"] == "unknown"


def test_facts_count_each_job_once() -> None:
    later = sidecar(made="2026-01-03T00:00:00+00:00", dirty=True)
    text = run_facts({"a": sidecar(), "b": later}, [run(), run("n")])
    page = docutils.core.publish_parts(text, writer="html5", settings_overrides={"report_level": 2, "halt_level": 2})
    shown = page["body"]
    for said in (
        "m_1 at revision 0123456789ab",
        "2 on a GPU; 3,000 tokens in 4 seconds",
        "commit c0ffeec0ffee; commit c0ffeec0ffee, DIRTY",
        "x86_64, 2 cores, Linux",
        "2026-01-02 03:04:05 UTC to 2026-01-03 00:00:00 UTC",
    ):
        assert said in shown, said


def test_the_page_is_made_from_the_sidecars_and_what_the_jobs_recorded(tmp_path: Path) -> None:
    write_json(tmp_path / "table1.provenance.json", sidecar())
    write_json(tmp_path / "a.run.json", run())
    places = {name: str(tmp_path / f"provenance.{name}") for name in (*FORMATS, "facts")}
    write_provenance(
        [str(tmp_path / "table1.provenance.json")], [str(tmp_path / "a.run.json")], subject="dataset shop", **places
    )
    written = {name: Path(place).read_text(encoding="utf-8") for name, place in places.items()}
    grid = replace(provenance_grid({"table1": sidecar()}), origin=made_line("dataset shop"))
    assert written == {
        **{form: grid.render(form) for form in FORMATS},
        "facts": run_facts({"table1": sidecar()}, [run()]),
    }


def test_a_text_about_a_result_says_that_its_tree_was_dirty() -> None:
    assert with_tree("Fine.", sidecar()) == "Fine.\n"
    assert with_tree("Fine.", sidecar(dirty=True)) == (
        "Fine.\n\nMade from a dirty tree: commit c0ffeec0ffee, DIRTY: files differed from that commit.\n"
    )


def test_a_table_of_findings_stays_one_under_a_dirty_tree() -> None:
    text = with_tree(run_facts({"table1": sidecar()}, [run()]), sidecar(dirty=True))
    page = docutils.core.publish_parts(text, writer="html5", settings_overrides={"report_level": 1, "halt_level": 1})
    assert page["body"].count("<table") == 1
    assert "<p>Made from a dirty tree: commit c0ffeec0ffee" in page["body"]

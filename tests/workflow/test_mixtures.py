"""One folder, several configurations: what is shown is of the configuration that the command names, or nothing is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import Project, Run, scripted
from sqljudge.core.files import write_json
from test_recorded import project


def named(made: Project, name: str, **changes: Any) -> None:
    """Write the project's settings, some of them changed, as another configuration."""
    text = yaml.safe_dump({**made.settings, **changes})
    (made.folder / name).write_text(text, encoding="utf-8")


def call(made: Project, *arguments: str) -> Run:
    return Project(made.folder, made.root).snakemake(*arguments)


@pytest.mark.slow
def test_results_are_shown_and_counted_by_the_configuration_that_made_them(tmp_path: Path) -> None:
    made = project(tmp_path / "run")
    named(made, "first.yaml")
    named(made, "second.yaml", seed=7)
    named(made, "third.yaml", pool={**made.settings["pool"], "questions": 5})
    first, second, third = (("--configfile", f"{name}.yaml") for name in ("first", "second", "third"))
    report = ("--report", "shown.html")

    run = call(made, "table1", *first)
    assert run.code == 0, run.output
    sidecar = json.loads((made.folder / "results/tables/table1.provenance.json").read_text(encoding="utf-8"))
    assert sidecar["configuration"]["options"] == "--configfile first.yaml"

    assert call(made, "table1", *report, *first).code == 0
    (made.folder / "shown.html").unlink()
    strict = ("--config", "verdicts=paper")
    table1, page = ("table1",), ("results/tables/table1.html",)
    for other, targets in ((second, ()), (third, table1), ((*first, *strict), page), ((), ())):
        run = call(made, *targets, *report, *other)
        lines = [line for line in run.output.splitlines() if line.startswith("Error: ")]
        assert run.code != 0 and len(lines) == 1, run.output
        assert "--configfile first.yaml" in lines[0], lines
        assert not (made.folder / "shown.html").exists()
    assert call(made, "table1", *report, *first, "--config", "models_folder=elsewhere").code == 0

    estimated = call(made, "estimate", *second)
    assert estimated.code == 0, estimated.output
    assert "results/ is of --configfile first.yaml" in estimated.output
    assert "results/ is of" not in call(made, "estimate", *first).output

    run = call(made, "table1", *third)
    assert run.code == 0, run.output
    assert (
        "judge" not in run.jobs
        or json.loads((made.folder / "results/judgments/thinker/no_schema/pool.run.json").read_text(encoding="utf-8"))[
            "from_journal"
        ]
    ), "what both ask is not asked again"
    refused = call(made, "table1", *report, *first).output
    assert "results/ has table1 of --configfile third.yaml" in refused
    assert call(made, "table1", *report, *third).code == 0
    assert "Dataset mini_spider" in (made.folder / page[0]).read_text(encoding="utf-8")


PROFILES = {
    "an option": ("", ["--report", "shown.html"], {}),
    "another way to report": ("", ["--reporter", "html"], {}),
    "the environment": ("report: shown.html", [], {"SNAKEMAKE_PROFILE": "shows"}),
    "a profile": ("report: shown.html", ["--profile", "shows"], {}),
    "a workflow profile": ("reporter: html", ["--workflow-profile", "shows"], {}),
    "one of two profiles": ("report: shown.html", ["--profile", "quiet", "--profile", "shows"], {}),
}


@pytest.mark.parametrize("how", [*PROFILES, "none"])
def test_a_report_is_refused_however_it_is_asked_for(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder whose Table 1 is another configuration's; a run that shows nothing is not refused."""
    made = scripted(tmp_path / "run")
    sidecar = made.folder / "results/tables/table1.provenance.json"
    write_json(sidecar, {"configuration": {"digest": "another", "options": "--configfile first.yaml"}})
    text, arguments, environment = PROFILES.get(how, ("printshellcmds: true", ["--profile", "shows", "-n"], {}))
    for name, lines in (("shows", text), ("quiet", "printshellcmds: true")):
        (made.folder / name).mkdir()
        (made.folder / name / "config.yaml").write_text(f"{lines}\n", encoding="utf-8")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = call(made, "table1", *arguments, "--configfile", "config.yaml")
    lines = [line for line in run.output.splitlines() if line.startswith("Error: ")]
    if how == "none":
        assert (run.code, lines) == (0, []), run.output
    else:
        assert run.code != 0 and len(lines) == 1, run.output
        assert "results/ has table1 of --configfile first.yaml" in lines[0]
    assert not (made.folder / "shown.html").exists()

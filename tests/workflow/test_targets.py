"""What is asked for is checked, and nothing else; a table can be left out; a target that nothing makes is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from harness import Project

NewProject = Callable[[], Project]
HEADINGS = "name\tsource\trevision\tbackend\tdtype\tquantization\n"
ACTOR = "actor\tscript.json\t-\tscripted\tfloat32\tnone\n"


def with_model(project: Project, row: str) -> None:
    """Give the discriminator `thinker` another model."""
    (project.folder / "models.tsv").write_text(f"{HEADINGS}{ACTOR}{row}\n", "utf-8")
    project.change("discriminators.thinker.model", row.partition("\t")[0])


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["tabel1"], "no rule makes 'tabel1'; did you mean 'table1'?"),
        (["table1", "evidence"], "no rule makes 'evidence'; it is now called 'contexts'"),
        (["results/tables/tabel2.csv"], "did you mean 'results/tables/table2.csv'?"),
        (["pareto"], "'pareto' is not made: the configuration leaves its table out (null)"),
    ],
)
def test_a_target_that_no_rule_makes(new_project: NewProject, targets: list[str], said: str) -> None:
    project = new_project()
    project.change("experiments.adaptive", None)
    assert said in project.refused("-n", *targets)


@pytest.mark.parametrize("how", ["overlay", "command line"])
def test_a_table_can_be_left_out(new_project: NewProject, how: str) -> None:
    project = new_project()
    over = project.folder / "over.yaml"
    over.write_text(yaml.safe_dump({"experiments": {"adaptive": None, "search": None}}), encoding="utf-8")
    own = ["--configfile", str(project.folder / "config.yaml")]
    project.settings = {}  # it names no file by itself
    more = [str(over)] if how == "overlay" else ["--config", "experiments={adaptive: null, search: null}"]
    run = project.snakemake("-n", "all", *own, *more)
    assert run.code == 0, run.output
    left_out = {"adaptive", "pareto", "search", "planner_costs", "plan_by_search", "measure_adaptive"}
    assert {"table1", "write_claims", "thresholds"} <= run.jobs.keys()
    assert not left_out & run.jobs.keys()


@pytest.mark.slow
def test_a_table_that_nobody_asked_for_refuses_nothing(new_project: NewProject) -> None:
    """Behind a server no verdict can be forced, and no chat be rendered that the row names no tokenizer for."""
    project = new_project()
    with_model(project, "far\thttp://127.0.0.1:9/v1#m\t-\topenai\t-\t-")
    project.change("generators.writer.model", "nowhere")
    project.change("contexts.result.reasoning", "no/such/prompt.txt")
    run = project.snakemake("-n", "table1", "table8", "results/tables/table5.html")
    assert run.code == 0, run.output
    assert "discriminators.thinker: a server does not tell how" in project.refused("-n", "pareto")
    assert "no/such/prompt.txt" in project.refused("-n", "contexts")
    for target in ("table7", "claims", "explorer", "estimate", "results/candidates/writer.sample.jsonl"):
        assert "'nowhere' is not defined" in project.refused("-n", target)


def test_what_is_missing_is_found_when_planning(new_project: NewProject) -> None:
    project = new_project()
    with_model(project, "gone\tno/such/folder/model\t-\ttransformers\tfloat32\tnone")
    assert "model 'gone': no/such/folder/model does not exist" in project.refused("-n", "table1")
    finished = project.folder / "results/judgments/thinker/no_schema/pool.parquet"
    finished.parent.mkdir(parents=True)
    finished.touch()
    assert project.snakemake("-n", "table1").code == 0, "what has been judged is not asked again"
    (project.folder / "data.zip").write_bytes(b"PK\x03\x04 cut short")
    project.change("dataset.source", "data.zip")
    line = project.refused("-n", "table1")
    assert "configuration, dataset.source: data.zip: not a zip archive, or a truncated one" in line


@pytest.mark.parametrize("name", ["answer", "claims"])
def test_what_is_there_already_is_printed_when_it_is_asked_for(finished: Project, name: str) -> None:
    table = (finished.folder / f"results/tables/{name}.md").read_text(encoding="utf-8")
    for _ in range(2):
        run = finished.snakemake(name)
        assert (run.code, run.jobs) == (0, {name: 1, "total": 1}), run.output
        assert table in run.output
    assert table not in finished.snakemake(name, "-n").output
    assert "cat " not in finished.snakemake("table1").output

"""What the workflow plans, and what it does again when something has changed."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, Project
from sqljudge.core.parquet import read_judgments

MODEL_RULES = {"generate", "judge", "force", "plan_by_search"}


def test_the_papers_plan_needs_no_data_no_models_and_no_network(tmp_path: Path) -> None:
    jobs = Project(tmp_path).snakemake("-n").jobs
    # six over the pool, six over the samples, six with results, six under other prompts, five few-shot, one with the
    # schema, one not thinking
    assert jobs["judge"] == 31
    assert jobs["stage_training"] == 1
    assert jobs["force"] == 1
    assert jobs["plan_by_search"] == 10  # two planners, each with two discriminators and three oracles
    assert jobs["generate"] == 5  # Stable-Code-3B's samples, and four greedy generators
    assert {f"table{n}" for n in range(1, 9)} | {"figure4", "figure5"} <= set(jobs)


def test_one_table_plans_only_what_it_needs(tmp_path: Path) -> None:
    jobs = Project(tmp_path).snakemake("table1", "-n").jobs
    assert jobs["judge"] == 6
    assert not {"table2", "table8", "plan", "measure_end_to_end", "figure5"} & set(jobs)


def test_every_named_target_is_explained(tmp_path: Path) -> None:
    listed = Project(tmp_path).snakemake("--list").output
    for target in ("table1", "table2", "table3", "figure5", "tables", "figures", "explorer", "provenance", "all"):
        assert any(line.startswith(f"{target} (") for line in listed.splitlines()), target


def test_a_router_is_trained_and_two_models_unpacked_before_they_judge_as_one(
    new_project: Callable[[], Project],
) -> None:
    project = new_project()
    head, *_ = (project.folder / "models.tsv").read_text().splitlines()
    rows = [head, *(f"{name}\t{name}.gguf\t-\ttransformers\tauto\tnone" for name in ("small", "large"))]
    rows += ["both\tsmall+large?router=results/routers/r.safetensors\t-\trouted\t-\t-"]
    (project.folder / "models.tsv").write_text("\n".join(rows))
    for name, model in (("thinker", "both"), ("taster", "large"), ("large", "large")):
        method = "yes_no" if name == "taster" else "reasoning"
        project.change(f"discriminators.{name}", {"model": model, "method": method})
    project.change("generators.writer.model", "large")
    files = {key: f"{key}.of_training" for key in ("questions", "candidates", "judgments")}
    for file in (*files.values(), "small.gguf", "large.gguf"):
        (project.folder / file).write_text("")
    router = {"small": "small", "discriminator": "large", "context": "no_schema", **files}
    project.change("routers", {"r": router})
    jobs = project.snakemake("table1", "-n").jobs
    assert (jobs["train_router"], jobs["unpack_model"], jobs["judge"]) == (1, 2, 2)
    plan = [line for line in project.snakemake("table1", "-n").output.splitlines() if "input:" in line]
    (judged,) = [line for line in plan if "results/routers/r.safetensors" in line and "results/candidates" in line]
    assert "results/models/small" in judged and "results/models/large" in judged
    project.change("routers.r.small", "both")
    assert "routers.r.small: model 'both' has the backend 'routed'" in project.refused("table1", "-n")


def test_everything_is_made_and_a_second_run_does_nothing(finished: Project) -> None:
    for n in range(1, 9):
        for form in ("csv", "md", "tex", "html", "provenance.json"):
            assert (finished.folder / f"results/tables/table{n}.{form}").stat().st_size > 0
    assert (finished.folder / "results/tables/answer.md").stat().st_size > 0
    assert (finished.folder / "results/tables/thresholds.html").stat().st_size > 0
    assert (finished.folder / "results/tables/adaptive.html").stat().st_size > 0
    assert (finished.folder / "results/tables/contexts.html").stat().st_size > 0
    assert (finished.folder / "results/tables/search.html").stat().st_size > 0
    for name in ("figure4", "figure5", "forest", "reliability", "pareto", "planner_costs"):
        assert (finished.folder / f"results/figures/{name}.svg").stat().st_size > 0
    explorer = finished.folder / "results/explorer"
    asked = len((finished.folder / "results/questions/mini_spider.jsonl").read_text(encoding="utf-8").splitlines())
    assert (explorer / "index.html").stat().st_size > 0
    assert len(list((explorer / "data/questions").glob("mini_spider-*.js"))) == asked
    assert "Nothing to be done" in finished.snakemake("-n").output


@pytest.mark.parametrize(
    ("path", "value", "again", "kept"),
    [
        ("resamples", 150, {"measure_intrinsic", "table1"}, {"score", "execute", "plan", "measure_end_to_end"}),
        ("experiments.table1.budget", 20, {"score", "measure_intrinsic", "table1"}, {"table2", "plan"}),
    ],
)
def test_a_knob_runs_only_its_own_stages_again(
    made: Project, path: str, value: object, again: set[str], kept: set[str]
) -> None:
    made.change(path, value)
    jobs = set(made.snakemake("-n").jobs)
    assert again <= jobs
    assert not (kept | MODEL_RULES) & jobs


def test_a_baseline_is_added_without_a_model(made: Project) -> None:
    made.change("discriminators.quarter", {"method": "oracle", "p": 0.25})
    made.change("experiments.table2.baselines", ["majority", "likelihood", "oracle-1", "random", "quarter"])
    jobs = made.snakemake("table2", "-n").jobs
    assert (jobs["score_baseline"], jobs["plan"]) == (2, 2)
    assert not {"score", "group", "execute", "measure_end_to_end", *MODEL_RULES} & set(jobs)


def test_bins_draw_the_reliability_diagram_again_and_no_score(made: Project) -> None:
    made.change("calibration", {"bins": 4})
    jobs = set(made.snakemake("-n").jobs)
    assert {"measure_calibration", "thresholds", "reliability", "write_claims"} <= jobs
    assert not {"score", "measure_intrinsic", "table1", "figure5", *MODEL_RULES} & jobs


def test_a_larger_budget_asks_the_model_again(made: Project) -> None:
    made.change("experiments.table8.budgets", [20, 60, 90])
    assert made.snakemake("table8", "-n").jobs["judge"] == 1


def test_a_new_discriminator_runs_alone(made: Project) -> None:
    made.change("discriminators.second", {"model": "actor", "method": "yes_no"})
    made.change("experiments.table1.discriminators", ["thinker", "taster", "second"])
    jobs = made.snakemake("table1", "-n").jobs
    assert jobs["judge"] == 1
    assert "generate" not in jobs


def test_a_budget_below_the_largest_runs_no_model(made: Project) -> None:
    made.change("experiments.table8.budgets", [20, 40, 60])
    jobs = set(made.snakemake("table8", "-n").jobs)
    assert {"score", "measure_intrinsic", "measure_reasoning", "table8"} <= jobs
    assert not MODEL_RULES & jobs


def test_a_new_question_is_the_only_one_asked(made: Project) -> None:
    run_file = made.folder / "results/candidates/writer.greedy.run.json"
    before = json.loads(run_file.read_text(encoding="utf-8"))["distinct"]
    made.change("dataset.per_hardness", 3)
    run = made.snakemake(str(run_file.relative_to(made.folder)))
    assert run.code == 0, run.output
    after = json.loads(run_file.read_text(encoding="utf-8"))
    assert (after["distinct"], after["from_journal"]) == (before + 4, before)


def test_a_caption_is_no_reason_to_run_anything(made: Project) -> None:
    caption = made.root / "workflow/report/table1.rst"
    caption.write_text(caption.read_text(encoding="utf-8") + "\nOne more sentence.\n", encoding="utf-8")
    assert "Nothing to be done" in made.snakemake("-n").output
    assert made.snakemake("table1", "--report", "report.html").code == 0
    assert "One more sentence" in (made.folder / "report.html").read_text(encoding="utf-8")


def test_code_of_a_stage_runs_that_stage_again_and_a_comment_does_not(made: Project) -> None:
    planning = made.root / "workflow/sqljudge/stages/plan.py"
    planning.write_text("# A better comment.\n" + planning.read_text(encoding="utf-8"), encoding="utf-8")
    assert "Nothing to be done" in made.snakemake("-n").output
    planning.write_text(planning.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    jobs = set(made.snakemake("-n").jobs)
    assert {"plan", "measure_end_to_end", "table2", "figure5"} <= jobs
    assert not {"score", "execute", "table1", *MODEL_RULES} & jobs


def test_a_change_in_plotting_redraws_figures_only(made: Project) -> None:
    figures = made.root / "workflow/sqljudge/report/figures/__init__.py"
    figures.write_text(figures.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    drawn = {"figure4", "figure5", "forest", "reliability", "pareto", "planner_costs"}
    assert set(made.snakemake("-n").jobs) == {*drawn, "provenance", "all", "total"}


def test_prompts_show_the_extras_of_their_context(finished: Project) -> None:
    """The scripted model answers a prompt by what stands in it."""

    def said(context: str) -> set[float | None]:
        path = finished.folder / f"results/judgments/taster/{context}/pool.parquet"
        return {judgment.p_yes for judgment in read_judgments(path)}

    assert (said("no_schema"), said("few_shot")) == ({0.6}, {0.4})
    assert said("result") == {0.6, 0.7}, "some candidates give rows, others do not run"


def test_what_demonstrations_come_from_asks_again_for_them_alone(made: Project) -> None:
    training = made.root / "resources/mini_spider/train.json"
    training.write_text(training.read_text(encoding="utf-8").replace("How many members", "How many readers"))
    jobs = made.snakemake("-n").jobs
    assert (jobs["stage_training"], jobs["judge"]) == (1, 1)
    assert not {"stage_dataset", "generate", "execute", "table1"} & set(jobs)
    (made.folder / "mine.json").write_text(training.read_text(encoding="utf-8"), encoding="utf-8")
    made.change("demonstrations", {"file": "mine.json", "number": 2})
    jobs = made.snakemake("-n").jobs
    assert jobs["judge"] == 1
    assert "stage_training" not in jobs


def test_limits_of_execution_hold_for_gold_queries_and_candidates(made: Project) -> None:
    """Which questions are asked may change, and on the labelled pool what contexts with results show."""
    made.change("execution.steps", 40_000_000)
    jobs = made.snakemake("-n").jobs
    assert jobs["execute"] > 1
    assert jobs["sample_questions"] == 1
    assert jobs["judge"] == 2 + 2, "the thinker and the taster on the samples, and on the pool where they see results"
    assert not {"import_pool", "force"} & set(jobs)


def test_without_demonstrations_no_training_file_is_needed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.configure({"experiments": {"contexts": {"contexts": ["no_schema", "result"]}}})
    jobs = project.snakemake("contexts", "-n").jobs
    assert jobs["judge"] == 12
    assert "stage_training" not in jobs


def test_forced_verdicts_are_cut_from_the_judgments_that_exist(made: Project) -> None:
    made.change("experiments.table1.scoring", "forced")
    jobs = made.snakemake("table1", "-n").jobs
    assert (jobs["score_forced"], jobs["force"]) == (2, 1), "the thinker's are there already"
    assert not {"generate", "judge", "score", "table2"} & set(jobs)
    made.change("experiments.table3.scoring", "forced")
    made.change("experiments.table3.budget", 0)
    run = made.snakemake("table1", "table3")
    assert run.code == 0, run.output
    assert {"force", "score_forced", "plan"} <= set(run.jobs)
    assert not {"generate", "judge"} & set(run.jobs)
    scores = made.folder / "results/scores/thinker/no_schema/writer.sample.b0.forced.check.jsonl"
    assert {json.loads(line)["failure"] for line in scores.read_text(encoding="utf-8").splitlines()} == {False}


def test_a_new_checkpoint_asks_for_its_own_verdicts_only(made: Project) -> None:
    report = made.folder / "results/forced/thinker/no_schema/pool.run.json"
    before = json.loads(report.read_text(encoding="utf-8"))["distinct"]
    made.change("experiments.adaptive.checkpoints", [0, 10, 20, 60])
    run = made.snakemake("adaptive", "pareto")
    assert run.code == 0, run.output
    assert not {"generate", "judge"} & set(run.jobs)
    after = json.loads(report.read_text(encoding="utf-8"))
    assert after["from_journal"] == before < after["distinct"]
    assert after["new_tokens"] == 0


def test_what_is_tried_to_stop_a_thought_runs_no_model(made: Project) -> None:
    made.change("forced", {"confidences": [0.7]})
    jobs = set(made.snakemake("-n").jobs)
    assert {"measure_adaptive", "adaptive", "pareto"} <= jobs
    assert not {"score_forced", "table1", "measure_intrinsic", *MODEL_RULES} & jobs


SEARCHED = "thinker/no_schema/writer.sample.b60.soft.check"


def lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_searches_leave_choices_costs_and_how_they_came_about(finished: Project) -> None:
    results = finished.folder / "results"
    questions = [each["id"] for each in lines(results / "questions/mini_spider.jsonl")]
    for planner in ("correction", "tree_search"):
        chosen = lines(results / f"selections/{planner}/{SEARCHED}.jsonl")
        trace = lines(results / f"search/{planner}/{SEARCHED}.trace.jsonl")
        assert [each["question_id"] for each in chosen] == [each["question_id"] for each in trace] == questions
        for one, how in zip(chosen, trace, strict=True):
            best = max(how["tried"], key=lambda each: each["score"])["score"]
            assert one["score"] == how["score"] == best
            assert one["sql"] in {each["sql"] for each in how["tried"] if each["score"] == best}
        ran = lines(results / f"search/{planner}/{SEARCHED}.executions.jsonl")
        assert {(run["question_id"], run["sql"]) for run in ran} >= {(one["question_id"], one["sql"]) for one in chosen}
        costs = lines(results / f"costs/{planner}/{SEARCHED}.jsonl")
        run = json.loads((results / f"search/{planner}/{SEARCHED}.generator.run.json").read_text(encoding="utf-8"))
        assert sum(cost["generator_calls"] for cost in costs) == run["requests"]
        assert sum(cost["generator_written"] for cost in costs) == run["new_tokens"]
    table = csv.DictReader((results / "tables/search.csv").open(encoding="utf-8"))
    rows = {(row["discriminator"], row["planner"]) for row in table if row["status"] == "ok"}
    assert len(rows) == 8  # four planners with the model, the generator alone, three with the oracle
    costs = (results / "tables/costs.md").read_text(encoding="utf-8")
    assert f"tree_search / {SEARCHED.replace('/', ' / ')}.generator".replace("_", "\\_") in costs


def test_the_first_round_of_a_correction_is_what_is_re_ranked(finished: Project) -> None:
    results = finished.folder / "results"
    candidates = lines(results / "candidates/writer.sample.jsonl")
    trace = lines(results / f"search/correction/{SEARCHED}.trace.jsonl")
    for group, how in zip(candidates, trace, strict=True):
        first = [(each["sql"], each["count"]) for each in how["tried"] if each["step"] == 0]
        assert first == [(each["sql"], each["count"]) for each in group["candidates"]]


def test_a_search_that_was_killed_goes_on_from_the_journal_to_the_same_bytes(made: Project) -> None:
    results = made.folder / "results"
    names = [f"selections/tree_search/{SEARCHED}.jsonl", f"search/tree_search/{SEARCHED}.trace.jsonl"]
    names.append(f"costs/tree_search/{SEARCHED}.jsonl")
    before = [(results / name).read_bytes() for name in names]
    for file in results.glob("journal/actor/search.tree_search*.jsonl"):
        kept = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(kept[: len(kept) // 2]), encoding="utf-8")
    (results / names[0]).unlink()
    run = made.snakemake(f"results/{names[0]}")
    assert run.code == 0, run.output
    assert [(results / name).read_bytes() for name in names] == before


def test_a_planners_number_searches_again_and_judges_nothing_again(made: Project) -> None:
    made.change("planners.tree_search.expansions", 2)
    jobs = made.snakemake("-n").jobs
    assert jobs["plan_by_search"] == 2, "with the model and with the oracle"
    assert not {"generate", "judge", "score", "plan", "table2"} & set(jobs)


def test_estimates_of_searches_are_bounds(made: Project) -> None:
    made.change("planners.tree_search.expansions", 6)
    (made.folder / f"results/selections/tree_search/{SEARCHED}.jsonl").unlink()
    for file in made.folder.glob("results/journal/actor/search.tree_search*.jsonl"):
        file.unlink()
    said = made.snakemake("estimate").output
    (row,) = (line for line in said.splitlines() if "search.tree_search.thinker" in line and "generator" in line)
    assert "| 120 |" in re.sub(" +", " ", row), "8 questions, 6 expansions, 3 completions; the generator asks the first"
    assert "at most" in said


def test_a_report_holds_every_table_and_figure(finished: Project) -> None:
    run = finished.snakemake("--report", "report.html")
    assert run.code == 0, run.output
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    for name in (
        *(f"table{n}.html" for n in range(1, 9)),
        "figure4.svg",
        "figure5.svg",
        "claims.html",
        "costs.html",
        "provenance.html",
    ):
        assert name in page, name
    assert "model jobs on script asked" in page, "a caption's own numbers"


def test_the_chain_behind_a_table_goes_back_to_the_dataset(finished: Project) -> None:
    """Snakemake's own records, read by the command that prints them."""
    command = [sys.executable, "-m", "sqljudge", "lineage", "results/tables/table1.html"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(command, cwd=finished.folder, env=environment, capture_output=True, text=True, check=True)
    made = set(re.findall(r"^  rule (\w+)", done.stdout, re.MULTILINE))
    assert made >= {"table1", "measure_intrinsic", "score", "judge", "import_pool", "stage_dataset"}
    assert not made & {"table2", "explorer"}
    assert "model actor (scripted), on script" in done.stdout
    assert "dev.json  sha256" in done.stdout
    assert "CHANGED" not in done.stdout


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq")
def test_the_commands_of_the_worked_example_run(finished: Project) -> None:
    """Each command of the example in docs/method.md names files that a run makes, and fields that they have."""
    page = (ROOT / "docs/method.md").read_text(encoding="utf-8")
    example = page.partition("\n## From a question to a cell of Table 1\n")[2].partition("\n## ")[0]
    _, *commands = re.findall(r"```bash\n(.*?)```", example, re.DOTALL)
    asked = (finished.folder / "results/questions/mini_spider.jsonl").read_text(encoding="utf-8")
    question = json.loads(asked.splitlines()[0])
    names = {"DATA": "mini_spider", "Q": str(question["id"]), "ASKED": question["question"], "GEN": "writer"}
    names |= {"JUDGE": "thinker", "YESNO": "taster", "B": "60", "SMALL": "20", "LARGE": "60"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for command in commands:
        line = f"set -euo pipefail; {command}".replace("PYTHONPATH=workflow", f"PYTHONPATH={ROOT}/workflow")
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=finished.folder,
            env={**os.environ, **names, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command
    assert len(commands) == 8


def test_the_workflow_can_be_a_module_of_another(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(
        f'module judge:\n    snakefile: "{ROOT}/workflow/Snakefile"\n    config: config\n\n'
        "use rule * from judge as judge_*\n\nrule mine:\n    default_target: True\n"
        '    input: "results/tables/table1.html"\n',
        encoding="utf-8",
    )
    project = Project(tmp_path, tmp_path)
    jobs = project.snakemake("-n", "--configfile", str(ROOT / "config/config.yaml")).jobs
    assert jobs["judge_judge"] == 6


def test_the_authors_own_question_ids_take_the_place_of_the_sample(made: Project) -> None:
    (made.folder / "ids.txt").write_text("7\n3\n", encoding="utf-8")
    made.change("dataset.question_ids", "ids.txt")
    assert "generate" in made.snakemake("-n").jobs
    assert made.snakemake("results/questions/mini_spider.jsonl").code == 0
    lines = (made.folder / "results/questions/mini_spider.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [7, 3]

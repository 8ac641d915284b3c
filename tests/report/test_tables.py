"""The tables: which metric stands in which cell, beside which published figure, in each format."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pandas
import pytest
from metric_files import Metric, experiment, merge, place
from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.files import read_json, write_json
from sqljudge.core.variants import VOTE, Experiment, Variant, parse, path
from sqljudge.data.datasets import FORMATS as FORMATS_OF_DATA
from sqljudge.metrics.intrinsic import METRICS
from sqljudge.report.cells import Results, all_files, build_table, files
from sqljudge.report.measures import INTRINSIC
from sqljudge.report.render import render
from sqljudge.report.specs import FIGURES, SPECS, experiment_from, tables_of
from sqljudge.report.table import Cell, Column, Row, Table
from sqljudge.report.text import FORMATS, number, signed
from sqljudge.report.write import write_table

ROOT = Path(__file__).parents[2]
PUBLISHED = json.loads((ROOT / "resources" / "published.json").read_text(encoding="utf-8"))
DISPLAY = {"distill-r1-1.5b": "Distill-R1", "stable-code-3b": "Stable-Code-3B", "mine": "My <b>model</b> & 100 %_x"}
SCORED = {"context": "no_schema", "budget": 512, "scoring": "soft"}
BASE = {**SCORED, "mode": "naive"}
SAMPLES = {"generator": "stable-code-3b", "decoding": "sample"}
MODES = ("naive", "check")
LEVELS = ("easy", "medium", "hard", "extra", "all")


def around(value: float | None, n: int = 40) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "n": 0}
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": n}


def intrinsic(discriminator: str, pwacc: float | None, **settings: Any) -> dict[str, Metric]:
    found = {
        "settings": {"discriminator": discriminator, **BASE, **settings},
        "questions": 40,
        "candidates": 1221,
        "pairs": 41,
        "per_question": [],
        "metrics": {**{name: around(0.5) for name in METRICS}, "pwacc": around(pwacc), "failure_rate": around(0.25)},
    }
    return place("intrinsic", found)


def end_to_end(ex: float, **settings: Any) -> dict[str, Metric]:
    names = ("em", "partial_acc", "partial_recall", "partial_f1")
    level = {"ex": around(ex), **{name: around(0.3) for name in names}}
    found = {"settings": settings, "questions": 40, "metrics": dict.fromkeys(LEVELS, level), "per_question": []}
    return place("end_to_end", found)


def rerank(discriminator: str, ex: float, **settings: Any) -> dict[str, Metric]:
    return end_to_end(ex, **{**BASE, **SAMPLES, "planner": "rerank", "discriminator": discriminator, **settings})


def reasoning(discriminator: str, **settings: Any) -> dict[str, Metric]:
    names = ("repetition", "one_minus_ttr", "repeated_ngrams", "diversity")
    chosen = {key: value for key, value in {**BASE, **settings}.items() if key not in ("scoring", "mode")}
    metrics = {**{name: around(0.1) for name in names}, "entropy_bits": around(4.5)}
    found = {"settings": {"discriminator": discriminator, **chosen}, "responses": 1221, "metrics": metrics}
    return place("reasoning", found)


def make(name: str, given: Experiment, *metrics: dict[str, Metric], **more: Any) -> Table:
    """A table of placed metrics, beside the published figures."""
    return build_table(SPECS[name], given, Results(merge(*metrics), PUBLISHED, **{"display": DISPLAY, **more}))


def cell_of(table: Table, label: str, column: str, group: str = "") -> Cell:
    found = [
        cell
        for row, col, cell in table.cells()
        if label in row.labels and col.label == column and (not group or col.group == group)
    ]
    assert len(found) == 1, f"{len(found)} cells for {label}, {column}, {group}"
    return found[0]


DISCRIMINATORS = ("distill-r1-1.5b", "codellama-7b", "mine")
TABLE1 = experiment(discriminators=DISCRIMINATORS, **SCORED, modes=MODES)


def test_cell_shows_ours_and_published_in_per_cent() -> None:
    table = make("table1", TABLE1, intrinsic("distill-r1-1.5b", 0.5))
    cell = cell_of(table, "Distill-R1", "PwAcc", "Naive")
    assert (cell.value, cell.low, cell.high, cell.n) == pytest.approx((50.0, 45.0, 55.0, 40))
    assert cell.published == 51.34
    assert cell.difference == pytest.approx(-1.34)
    assert cell.status == "ok"


def test_cells_not_run_not_published_and_without_data_are_told_apart() -> None:
    table = make("table1", TABLE1, intrinsic("mine", None))
    assert cell_of(table, "Distill-R1", "PwAcc", "Naive").status == "not run"
    assert cell_of(table, DISPLAY["mine"], "PwAcc", "Naive").status == "no data"
    assert cell_of(table, DISPLAY["mine"], "F1", "Naive").status == "ok"
    assert cell_of(table, DISPLAY["mine"], "F1", "Naive").published is None
    assert cell_of(table, "codellama-7b", "F1", "Executability check").published is None


def tied(value: float | None, at_random: float, without_verdict: float = 0.0) -> dict[str, Any]:
    return {**around(value), "at_random": at_random, "without_verdict": without_verdict}


@pytest.mark.parametrize(
    ("hit1", "shown"),
    [
        (tied(0.5, 0.5), ""),
        (tied(0.5, 0.500049), ""),  # as shown, the same
        (tied(0.5, 0.417), "shuffled 41.70"),
        (tied(0.5, 0.417, 0.25), "shuffled 41.70, unjudged 25.00"),
        (tied(None, 0.417, 0.5), "shuffled 41.70"),
    ],
)
def test_a_cell_says_what_equal_scores_do_to_it(hit1: dict[str, Any], shown: str) -> None:
    given = experiment(discriminators=["mine"], **SCORED, modes=["naive"])
    metrics = intrinsic("mine", 0.6)
    (metric,) = metrics.values()
    metric["metrics"] = {**metric["metrics"], "hit1": hit1}
    table = make("table1", given, metrics)
    cell = table.rows[0].cells[2]
    assert cell.ties(2) == shown
    assert cell.status == ("ok" if hit1["value"] is not None else "no verdict")
    for form in ("md", "html", "tex"):
        cells = render(table, form).partition("In brackets")[0]
        assert ("shuffled" in cells) == bool(shown), form
        assert ("no verdict" in cells) == (hit1["value"] is None), form
    row = next(row for row in csv.DictReader(io.StringIO(render(table, "csv"))) if row["metric"] == "Hit@1")
    assert float(row["at_random"]) == pytest.approx(100 * hit1["at_random"], abs=1e-4)


def test_a_metric_of_other_settings_is_not_taken() -> None:
    metrics = [
        intrinsic("mine", 0.5, budget=256),
        intrinsic("mine", 0.5, scoring="hard"),
        intrinsic("mine", 0.5, context="schema"),
        intrinsic("mine", 0.5, mode="check"),
    ]
    table = make("table1", TABLE1, *metrics)
    assert cell_of(table, DISPLAY["mine"], "PwAcc", "Naive").status == "not run"
    assert cell_of(table, DISPLAY["mine"], "PwAcc", "Executability check").status == "ok"


def test_what_a_metric_says_of_its_settings_is_not_asked() -> None:
    """Its path says whose it is."""
    metrics = {name: {**metric, "settings": {}} for name, metric in intrinsic("mine", 0.5).items()}
    assert cell_of(make("table1", TABLE1, metrics), DISPLAY["mine"], "PwAcc", "Naive").status == "ok"


def test_metric_without_a_measure_is_named() -> None:
    ((name, broken),) = intrinsic("mine", 0.5).items()
    del broken["metrics"]["mrr"]
    with pytest.raises(DataError, match=r"metrics/intrinsic/mine/.*naive.json: has no mrr; re-run its evaluation"):
        make("table1", TABLE1, {name: broken})


def test_an_experiment_that_lacks_a_setting() -> None:
    with pytest.raises(ConfigError, match="experiment table1: no discriminators; name at least one"):
        files(SPECS["table1"], Experiment())
    with pytest.raises(ConfigError, match="experiment table1: no modes"):
        make("thresholds", experiment(discriminators=["mine"], **SCORED))


def test_table2_and_3_take_their_own_mode_and_table_3_the_greedy_row() -> None:
    common = {"discriminators": ["distill-r1-1.5b"], **SAMPLES, **SCORED}
    metrics = [
        rerank("distill-r1-1.5b", 0.56),
        rerank("distill-r1-1.5b", 0.58, mode="check"),
        end_to_end(0.57, planner="greedy", generator="stable-code-3b", decoding="greedy"),
    ]
    two = make("table2", experiment(**common, mode="naive"), *metrics)
    three = make("table3", experiment(**common, mode="check", greedy_decoding="greedy"), *metrics)
    ex = "Execution accuracy (EX)"
    assert cell_of(two, "Distill-R1", "All", ex).value == pytest.approx(56)
    assert cell_of(three, "Distill-R1", "All", ex).value == pytest.approx(58)
    assert cell_of(three, "Distill-R1", "Extra", ex).published == 26
    greedy = cell_of(three, "None (greedy)", "All", ex)
    assert (greedy.value, greedy.published) == (pytest.approx(57), 57.8)
    assert cell_of(three, "None (greedy)", "F1", "Partial match, all").published == 52.36
    assert len(two.rows) == 1


def test_table4_has_a_row_per_context() -> None:
    given = experiment(
        discriminator="distill-r1-1.5b", contexts=["none", "schema"], budget=1024, scoring="soft", mode="naive"
    )
    found = [
        {name.replace("/x/", "/none/"): metric for name, metric in each.items()}
        for each in (
            intrinsic("distill-r1-1.5b", 0.5, context="x", budget=1024),
            reasoning("distill-r1-1.5b", context="x", budget=1024),
        )
    ]
    table = make("table4", given, *found)
    assert table.row_headers == ("Discriminator", "Context")
    entropy = cell_of(table, "No schema", "Entropy")
    assert (entropy.value, entropy.published) == (4.5, 4.49)
    assert cell_of(table, "No schema", "Failure rate").published == 6.1
    assert cell_of(table, "Schema", "PwAcc").status == "not run"
    assert cell_of(table, "Schema", "PwAcc").published == 53.79


def test_table5_and_6_compare_scorings() -> None:
    common = {"discriminator": "distill-r1-1.5b", "context": "no_schema", "budget": 512}
    common |= {"scorings": ["soft", "hard"], "modes": MODES}
    metrics = [
        intrinsic("distill-r1-1.5b", 0.4, scoring="hard"),
        rerank("distill-r1-1.5b", 0.55, scoring="hard", mode="check"),
    ]
    five = make("table5", experiment(**common), *metrics)
    hard = cell_of(five, "Hard", "PwAcc", "Naive")
    assert (hard.value, hard.published) == (pytest.approx(40), 34.47)
    six = make("table6", experiment(**common, **SAMPLES), *metrics)
    assert six.row_headers == ("Discriminator", "Mode", "Scores")
    row = next(row for row in six.rows if row.labels[1:] == ("Executability check", "Hard"))
    assert row.cells[4].value == pytest.approx(55)
    assert row.cells[4].published == 58.0


def test_table7_has_a_row_per_generator() -> None:
    metrics = end_to_end(0.1, planner="greedy", generator="tinyllama-1.1b", decoding="greedy")
    table = make("table7", experiment(generators=["tinyllama-1.1b", "mine"], decoding="greedy"), metrics)
    cell = cell_of(table, "tinyllama-1.1b", "All", "Execution accuracy (EX)")
    assert (cell.value, cell.published) == (pytest.approx(10), 11.3)
    assert any("true greedy decoding" in note for note in table.notes)


def test_table8_has_a_row_per_budget() -> None:
    given = experiment(discriminator="distill-r1-1.5b", **{**BASE, "budgets": [256, 512]})
    table = make("table8", given, intrinsic("distill-r1-1.5b", 0.5))
    assert cell_of(table, "512", "PwAcc").value == pytest.approx(50)
    assert cell_of(table, "256", "PwAcc").published == 1.96
    assert cell_of(table, "512", "Diversity").status == "not run"


WHOLE = {
    "discriminators": ["mine"],
    "generators": ["mine"],
    "decodings": ["sample"],
    "contexts": ["no_schema"],
    "budgets": [512],
    "scorings": ["soft"],
    "modes": ["naive"],
    "planners": [VOTE],
    "greedy_decoding": "greedy",
    "checkpoints": [64, 512],
}
"""Settings for every table."""


@pytest.mark.parametrize("name", ["table4", "table5", "table6", "table8"])
def test_another_model_has_no_published_value_in_the_reasoning_tables(name: str) -> None:
    table = make(name, experiment(**WHOLE))
    assert {cell.published for _, _, cell in table.cells()} == {None}


def test_notes_say_what_the_table_rests_on() -> None:
    given = experiment(discriminators=DISCRIMINATORS, **{**SCORED, "budget": 256}, modes=MODES)
    table = make("table1", given, intrinsic("distill-r1-1.5b", 0.5, budget=256))
    text = " ".join(table.notes)
    assert "40 questions, 1,221 candidates, 41 pairs" in text
    assert "95 % interval" in text
    assert "; responses are cut at 256 tokens; a score is the probability of the verdict (soft)." in text
    assert "responses are cut at 512 tokens (here: responses are cut at 256 tokens)" in text
    assert "Distill-R1, naive: 25.00 %" in text


def test_best_of_a_column_is_by_what_is_shown() -> None:
    def column_of(better: Any, *values: float | None) -> Table:
        rows = tuple(Row((str(i),), (Cell(value, status="ok"),)) for i, value in enumerate(values))
        return Table("t", "T", ("Row",), (Column("", "C", decimals=1, better=better),), rows)

    assert column_of("high", 1.0, 2.04, 2.01, None).best(0) == {1, 2}
    assert column_of("low", 0.0, 2.0).best(0) == {0}
    assert column_of("high", 2.0, 2.0).best(0) == frozenset()
    assert column_of("high", 2.0, None).best(0) == frozenset()
    assert column_of(None, 1.0, 2.0).best(0) == frozenset()


def test_numbers_have_no_negative_zero() -> None:
    assert (number(-0.001, 2), number(-1.5, 1)) == ("0.00", "-1.5")
    assert (signed(-0.001, 2), signed(0.5, 1), signed(-0.5, 1)) == ("0.00", "+0.5", "-0.5")


@pytest.fixture
def table1() -> Table:
    return make("table1", TABLE1, intrinsic("distill-r1-1.5b", 0.5), intrinsic("mine", 0.25))


def test_csv_is_tidy(table1: Table) -> None:
    frame = pandas.read_csv(io.StringIO(render(table1, "csv")))
    assert len(frame) == 3 * 2 * len(INTRINSIC)
    row = frame[(frame.discriminator == "Distill-R1") & (frame.group == "Naive") & (frame.metric == "PwAcc")].iloc[0]
    assert (row.value, row.low, row.high, row.n, row.unit) == (50, 45, 55, 40, "%")
    assert (row.published, row.difference, row.status) == (51.34, -1.34, "ok")
    absent = frame[frame.discriminator == "codellama-7b"]
    assert set(absent.status) == {"not run"}
    assert set(absent.published_status) == {"not published"}
    assert absent.value.isna().all()


def test_markdown_cells(table1: Table) -> None:
    text = render(table1, "md")
    assert "**50.00** [45.0, 55.0] (51.34)" in text
    assert "25.00 [20.0, 30.0] |" in " ".join(text.split()), "the paper has no such row"
    assert "not run (n.p.)" in text
    assert "n.p.: not published" in text
    assert "<b>" not in text.replace(r"\<b\>", "")


def test_markdown_of_models_that_the_paper_does_not_have_shows_no_empty_column() -> None:
    alone = make("table1", experiment(discriminator="mine", **SCORED, modes=MODES), intrinsic("mine", 0.25))
    text = render(alone, "md")
    assert "25.00 [20.0, 30.0] " in text
    assert "n.p." not in text
    assert "not published" not in text and "The paper has no such rows." in text, "a note says so once"


def test_html_stands_alone_and_escapes(table1: Table) -> None:
    text = render(table1, "html")
    assert "<b>model" not in text
    assert "&lt;b&gt;model" in text
    assert not re.search(r'src=|href="(?!\.\./explorer/index\.html#)|https?://|@import', text)
    assert "prefers-color-scheme: dark" in text
    assert text.count("<tr>") == 2 + 3
    assert 'class="best"' in text
    assert "not run" in text
    assert "not published" in text
    assert "<span>paper 51.34</span> <span>(−1.34)</span>" in text


def test_latex_escapes_and_is_balanced(table1: Table) -> None:
    text = render(table1, "tex")
    assert r"My \textless{}b\textgreater{}model\textless{}/b\textgreater{} \& 100 \%\_x" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert re.search(r"\\textbf\{50\.00\}", text)
    assert "51.34 ($-$1.34)" in text
    assert not re.search(r"\\begin\{tabular\}(?:(?!\\end\{tabular\})[\s\S])*\n\n", text), "an empty line in a tabular"
    unescaped = re.sub(r"\\[{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    body = [line for line in text.splitlines() if line.rstrip().endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body if "multicolumn" not in line} == {len(INTRINSIC) + 2}


def test_markdown_lines_up_as_plain_text(table1: Table) -> None:
    lines = [line for line in render(table1, "md").splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines[: len(lines) // 2]}) == 1
    assert lines[1].count(":|") == len(INTRINSIC), "numbers stand right"


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_table_renders_with_nothing_run(name: str, form: str) -> None:
    text = render(make(name, experiment(**WHOLE)), form)
    assert "not run" in text
    assert text.endswith("\n")
    assert "None" not in text.replace("None given", "").replace("None (greedy)", "")


def test_each_cell_leads_to_its_questions() -> None:
    """The explorer's name of its setting, its level and outcome; nothing where the explorer shows no such thing."""
    given = experiment(discriminator="mine", **SCORED, modes=MODES)
    made = build_table(SPECS["table1"], given, Results(intrinsic("mine", 0.5, mode="naive")))
    cell = cell_of(made, "mine", "Hit@1", "Naive")
    where = "rerank%2Fmine%2F"
    assert cell.link.startswith(f"../explorer/index.html#q=table&discriminator=mine&setting={where}")
    assert cell.link.endswith("naive&outcome=right")
    table = make("table7", experiment(**WHOLE))
    easy = table.rows[0].cells[0].link
    assert "hardness=easy&discriminator=-&setting=greedy%2Fnone%2Fnone%2F" in easy
    entropy = [
        cell.link for _, column, cell in make("table4", experiment(**WHOLE)).cells() if column.label == "Entropy"
    ]
    assert set(entropy) == {""}


def test_unknown_format() -> None:
    with pytest.raises(ConfigError, match="'docx'"):
        render(make("table7", experiment(**WHOLE)), "docx")


def test_published_copy_holds_all_that_was_published() -> None:
    shared = ROOT.parent / "shared" / "paper" / "published.json"
    if not shared.exists():
        pytest.skip("no shared folder with the published figures beside the project")
    source = json.loads(shared.read_text(encoding="utf-8"))
    further = json.loads(shared.with_name("published_partial.json").read_text(encoding="utf-8"))
    names = {"partial_acc": "accuracy", "partial_recall": "recall", "partial_f1": "f1"}
    for table in ("table2", "table3", "table7"):
        whole = source[table].pop("partial_all")
        for index, (name, theirs) in enumerate(names.items()):
            source[table][name] = {system: cells[theirs] for system, cells in further[table].items()}
            assert {who: cells["all"] for who, cells in source[table][name].items()} == {
                who: cells[index] for who, cells in whole.items() if who != "columns"
            }
    for mode, scoring in product(("naive", "check"), ("soft", "hard")):
        cells = further["table6"][mode][scoring]
        source["table6"][mode][scoring] |= {name: cells[theirs] for name, theirs in names.items()}
    assert {key: PUBLISHED[key] for key in source} == source


def test_partial_match_by_hardness_is_in_the_csv_file_alone() -> None:
    given = experiment(discriminators=["distill-r1-1.5b"], **SAMPLES, **SCORED, mode="naive")
    table = make("table2", given, rerank("distill-r1-1.5b", 0.5))
    rows = [row for row in csv.DictReader(io.StringIO(render(table, "csv"))) if row["group"] == "Partial match, recall"]
    assert [(row["metric"], float(row["published"])) for row in rows] == [
        ("Easy", 70.98),
        ("Medium", 41.91),
        ("Hard", 45.04),
        ("Extra", 28.54),
    ]
    assert all(row["value"] for row in rows)
    for form in ("md", "tex", "html"):
        assert "Partial match, recall" not in render(table, form)


def test_baselines_stand_in_blocks_below_the_models() -> None:
    given = experiment(
        discriminators=["mine"],
        **SAMPLES,
        **SCORED,
        mode="check",
        greedy_decoding="greedy",
        baselines=["oracle-1", "random"],
        planners=[VOTE],
    )
    free = {**SAMPLES, "mode": "check", "planner": "rerank"}
    metrics = [
        rerank("mine", 0.5, mode="check"),
        rerank("mine", 0.6, mode="check", planner=VOTE),
        end_to_end(0.3, discriminator="random", **free),
        end_to_end(0.9, discriminator="oracle-1", **free),
    ]
    oracle = "Oracle, right with p = 1 (uses gold)"
    display = {"mine": "Mine", "random": "Random", "oracle-1": oracle}
    table = make("table3", given, *metrics, display=display, uses_gold={"oracle-1"})
    assert [(row.labels[0], row.block.partition(" ")[0], row.uses_gold) for row in table.rows] == [
        ("Mine", "", False),
        ("None (greedy)", "", False),
        ("Majority × Mine", "Majority", False),
        ("Random", "No", False),
        (oracle, "Bounds", True),
    ]
    assert [row.cells[0].value for row in table.rows] == pytest.approx([50, None, 60, 30, 90])
    assert table.best(0) == {2}, "what looks at the gold query does not compete"
    assert all(row.cells[0].published is None for row in table.rows[2:])
    assert any(note.startswith("Oracle: knows") for note in table.notes)
    for form in FORMATS:
        text = render(table, form)
        assert "uses gold" in text
        assert form == "csv" or "Bounds that look at the gold query" in text


def test_table6_has_the_baselines_once_a_mode() -> None:
    given = experiment(
        discriminator="mine",
        **SAMPLES,
        context="no_schema",
        budget=512,
        scorings=["soft", "hard"],
        modes=MODES,
        baselines=["random"],
    )
    assert [row.labels for row in make("table6", given).rows[4:]] == [
        ("random", "Naive", "–"),
        ("random", "Executability check", "–"),
    ]
    assert sum("/random/" in file for file in files(SPECS["table6"], given)) == 2


def test_thresholds_repeat_the_papers_f1_and_nothing_else() -> None:
    names = ("f1", "f1_fitted", "auroc", "average_precision", "without_probability", "brier", "ece")
    metric = {
        "settings": {"discriminator": "distill-r1-1.5b", **BASE},
        "questions": 40,
        "reliability": {},
        "metrics": {name: around(0.5) for name in (*names, "brier_scaled", "ece_scaled", "threshold", "temperature")},
    }
    given = experiment(discriminators=DISCRIMINATORS, **BASE)
    table = make("thresholds", given, place("calibration", metric))
    first = table.rows[0]
    shown = {(column.group, column.label): cell for _, column, cell in table.cells() if _ is first}
    assert shown["Classification", "F1 at 0.5"].published == PUBLISHED["table1"]["naive"]["distill-r1-1.5b"][1]
    assert [cell.published for cell in first.cells[1:]] == [None] * (len(first.cells) - 1)
    assert (shown["Ranking", "AUROC"].value, shown["Classification", "F1 fitted"].value) == (0.5, 50.0)
    assert any("each database at the threshold" in note for note in table.notes)


def test_contexts_stand_beside_their_difference_to_the_first_and_a_pair_that_is_left_out_has_no_row() -> None:
    """A metric of one context is taken for neither another context nor a difference."""
    given = experiment(
        discriminators=["mine", "codellama-7b"],
        contexts=["no_schema", "result", "few_shot"],
        budget=512,
        scoring="soft",
        modes=["naive"],
        left_out=[("mine", "few_shot")],
    )
    settings = {"discriminator": "mine", **BASE, "context": "result"}
    names = ("pwacc", "f1", "hit1", "mrr", "auroc", "failure_rate")
    differences = {"settings": {**settings, "base": "no_schema"}, "metrics": dict.fromkeys(names, around(-0.125))}
    ranked = {"settings": settings, "metrics": {"auroc": around(0.75)}}
    table = make(
        "contexts",
        given,
        intrinsic("mine", 0.25),
        intrinsic("mine", 0.5, context="result"),
        place("calibration", ranked),
        place("contrast", differences),
    )
    assert [row.labels for row in table.rows] == [
        (DISPLAY["mine"], "No schema"),
        (DISPLAY["mine"], "Result"),
        ("codellama-7b", "No schema"),
        ("codellama-7b", "Result"),
        ("codellama-7b", "Demonstrations"),
    ]
    first, second = "Discrimination", "Difference to the first context"
    assert [cell.value for _, column, cell in table.cells() if column.label == "PwAcc"][0:2] == [25.0, None]
    shown = {(column.group, column.label): cell.value for row, column, cell in table.cells() if row is table.rows[1]}
    assert (shown[first, "PwAcc"], shown[first, "AUROC"], shown[first, "Failure rate"]) == (50.0, 0.75, 25.0)
    assert (shown[second, "PwAcc"], shown[second, "AUROC"], shown[second, "Failure rate"]) == (-12.5, -0.125, -12.5)
    assert {cell.status for row, _, cell in table.cells() if row is table.rows[4]} == {"not run"}
    said = f"{DISPLAY['mine']} is not asked in Demonstrations: that context has no prompt of its kind."
    assert table.notes[-1] == said
    assert any(note.startswith("Difference: to the same discriminator") for note in table.notes)
    assert not any("average precision" in note for note in table.notes), "what is not shown is not explained"


# --- files ------------------------------------------------------------------------------------------------------------


def test_no_row_is_compared_with_itself_and_differences_are_in_points() -> None:
    given = experiment(**{**WHOLE, "contexts": ["no_schema", "result"]})
    for name in ("contexts", "prompts"):
        table = make(name, given)
        for row, column, cell in table.cells():
            itself = column.group == "Difference to the first context" and "No schema" in row.labels
            assert (cell.status == "not compared") == itself
            assert column.unit == ("0–1" if column.label == "AUROC" else "points" if "Diff" in column.group else "%")
        assert not [
            file for file in files(SPECS[name], given) if "contrast/no_schema/" in file and "/no_schema/pool" in file
        ]
    units = {c.label: c.unit for c in make("adaptive", experiment(**WHOLE)).columns}
    assert (units["Saved"], units["Difference"]) == ("%", "points")


@pytest.mark.parametrize("generator", ["stable-code-3b", "mine"])
def test_published_figures_stand_beside_the_papers_candidates_alone(generator: str) -> None:
    given = experiment(discriminators=["codellama-13b", "mine"], generator=generator, decoding="sample", **BASE)
    table = make("table2", given)
    first, second = table.rows[0].cells, table.rows[1].cells
    assert any(cell.published for cell in first) == (generator == "stable-code-3b")
    assert all(cell.in_paper == (generator == "stable-code-3b") for cell in first)
    assert not any(cell.in_paper for cell in second), "the paper has no such model"


@pytest.mark.parametrize(("dataset", "shown"), [("spider", True), ("mini_spider", False), ("shop", False)])
def test_published_figures_stand_beside_the_papers_dataset_alone(dataset: str, shown: bool) -> None:
    assert (FORMATS_OF_DATA["spider"].figures(dataset) == "resources/published.json") == shown
    assert FORMATS_OF_DATA["bird"].figures(dataset) == "resources/unpublished.json"


def test_the_files_of_a_table_are_those_of_its_cells() -> None:
    table = experiment(discriminators=["a", "b"], **SCORED, modes=MODES)
    judged = [f"{name}/no_schema/pool.b512.soft.{mode}.json" for name in "ab" for mode in ("check", "naive")]
    assert files(SPECS["table1"], table) == [f"results/metrics/intrinsic/{place}" for place in judged]
    assert files(SPECS["thresholds"], table) == [f"results/metrics/calibration/{place}" for place in judged]
    assert all_files({"table1": table}) == sorted([*files(SPECS["table1"], table), *files(SPECS["thresholds"], table)])


@pytest.mark.parametrize("name", SPECS)
def test_a_table_opens_its_files_and_no_other(name: str) -> None:
    class Asked(dict[str, Metric]):
        def get(self, key: str, default: Any = None) -> Any:
            self[key] = {}
            return default

    found, given = Asked(), experiment(**WHOLE, baselines=["random"])
    build_table(SPECS[name], given, Results(found))
    drawn = {path(*each) for each in SPECS[name].drawn(given)} if SPECS[name].drawn else set()
    assert sorted({*found, *drawn}) == files(SPECS[name], given)
    for file in found:
        assert path(*parse(file)) == file


def test_the_figure_of_the_adaptive_table_takes_every_cut_and_forced_answer_too() -> None:
    row = Variant(discriminator="y", context="no_thinking", budget=32, scoring="soft")
    given = experiment(
        discriminators=["r"], context="no_schema", checkpoints=[0, 64], modes=["check"], extra_rows=[row]
    )
    assert files(SPECS["adaptive"], given) == [
        "results/metrics/adaptive/r/no_schema/pool.b0-64.check.json",
        "results/metrics/intrinsic/r/no_schema/pool.b0.forced.check.json",
        "results/metrics/intrinsic/r/no_schema/pool.b64.forced.check.json",
        "results/metrics/intrinsic/r/no_schema/pool.b64.soft.check.json",
        "results/metrics/intrinsic/y/no_thinking/pool.b32.soft.check.json",
    ]


def test_every_table_has_an_experiment_and_every_figure_a_table() -> None:
    assert tables_of({"table1": Experiment(), "search": Experiment()}) == dict.fromkeys(
        ("table1", "thresholds", "search"), Experiment()
    )
    assert {spec.source for spec in SPECS.values()} == {*SPECS} - {"thresholds"}
    assert {name: spec.name for name, spec in FIGURES.items()} == {
        "forest": "table3",
        "figure4": "table8",
        "figure5": "table7",
        "reliability": "thresholds",
        "pareto": "adaptive",
        "training_curves": "training",
        "generator_training_curves": "trained_generators",
        "planner_costs": "search",
    }


def test_an_experiment_survives_as_builtins() -> None:
    row = Variant(discriminator="y", context="no_thinking", budget=32, scoring="soft")
    given = experiment(**WHOLE, extra_rows=[row], left_out=[("mine", "few_shot")])
    given = dataclasses.replace(given, seeds=(("mine", ("mine-seed1", "mine-seed2")),))
    assert experiment_from(dataclasses.asdict(given)) == given
    assert experiment_from(json.loads(json.dumps(dataclasses.asdict(given)))) == given


def test_a_table_is_written_with_what_made_it_and_what_it_says(tmp_path: Path) -> None:
    given = experiment(discriminator="mine", **SCORED, modes=MODES)
    inputs = []
    for file in files(SPECS["table1"], given):
        mode = parse(file)[1].mode
        (metric,) = intrinsic("mine", 0.25 if mode == "naive" else 0.5, mode=mode).values()
        inputs.append(str(tmp_path / "module" / file))
        write_json(inputs[-1], metric)
    run = {"prompt_tokens": 3, "new_tokens": 4, "seconds": 1.0}
    write_json(tmp_path / "run.json", run)
    outputs = {form: str(tmp_path / f"t.{form}") for form in (*FORMATS, "sidecar", "findings")}
    write_table(
        inputs,
        [str(tmp_path / "run.json")],
        str(ROOT / "resources" / "published.json"),
        **outputs,
        name="table1",
        experiment=dataclasses.asdict(given),
        display={"mine": "Mine"},
        uses_gold=[],
        about={"mine": ["1.5B", True]},
        question_ids="resources/paper_questions.tsv",
        subject="dataset shop; seed 1",
        configuration={"digest": "d1", "options": "--configfile a.yaml"},
        seed=1,
        code="c0de",
    )
    for form in ("html", "md", "tex"):
        text = " ".join(Path(outputs[form]).read_text(encoding="utf-8").split())
        title, about, first = (
            text.index(each) for each in ("on the labelled pool", "Dataset shop; seed 1; made 2", "Mine")
        )
        assert title < about < first, form
    frame = pandas.read_csv(outputs["csv"])
    assert frame[frame.metric == "PwAcc"].value.tolist() == [25, 50], "each file in its own cell"
    assert "PwAcc (Naive) of *Mine* is 25.00 %" in Path(outputs["findings"]).read_text(encoding="utf-8")
    note = "whose gold query does not run, and any over a database without rows (in most copies of Spider"
    assert note in Path(outputs["md"]).read_text(encoding="utf-8")
    made = read_json(outputs["sidecar"])
    assert made["configuration"] == {"digest": "d1", "options": "--configfile a.yaml"}
    assert (made["seed"], made["code"], made["tokens"], len(made["inputs"])) == (1, "c0de", 7, 3)
    assert {"tabulate", "jinja2"} <= set(made["versions"])
    assert made["settings"]["table1"]["discriminators"] == ["mine"]

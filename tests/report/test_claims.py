"""The eight claims against runs made up so that each verdict is known."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from metric_files import Metric, experiment, merge, place
from sqljudge.core.files import read_json, write_json
from sqljudge.core.records import HARDNESS, Candidate, CandidateSet, Score
from sqljudge.metrics.intrinsic import intrinsic_metrics
from sqljudge.report.cells import Results, all_files, build_table
from sqljudge.report.claims import ROLES, Claim, claims_grid, evaluate_claims, write_claims
from sqljudge.report.claims.evaluate import UNDECIDED
from sqljudge.report.specs import SPECS
from sqljudge.report.text import FORMATS

PUBLISHED = json.loads((Path(__file__).parents[2] / "resources" / "published.json").read_text(encoding="utf-8"))
SCORINGS = ("hard", "soft")
REASONING, SMALL, LARGE = ROLES["reasoning"], ROLES["7b"], ROLES["13b"]
RESAMPLES = 500


def row(question: int, won: int = 1, pairs: int = 1, failures: int = 0, right: bool = True) -> dict[str, Any]:
    """One question with two candidates, one of them correct; `right`: whether both are classified as they are."""
    hit = {"hit1": won, "reciprocal_rank": 1.0 if won else 0.5, "asked": 2, "failures": failures, "candidates": 2}
    counts = {"tp": int(right), "fp": int(not right), "fn": int(not right), "tn": int(right)}
    return {"question_id": question, "pairs": pairs, "pairs_won": won if pairs else 0, **hit, **counts}


BASE = {"context": "no_schema", "budget": 512, "scoring": "soft", "mode": "naive"}


def intrinsic(
    discriminator: str, rows: list[dict[str, Any]], kind: str = "intrinsic", **settings: Any
) -> dict[str, Metric]:
    chosen = {"discriminator": discriminator, **BASE, **settings}
    return place(kind, {"settings": chosen, "metrics": {}, "per_question": rows})


def end_to_end(hits: list[bool | None], hardness: str = "easy", **settings: Any) -> dict[str, Metric]:
    rows = [{"question_id": i, "hardness": hardness, "exec": hit, "exact": False} for i, hit in enumerate(hits)]
    return place("end_to_end", {"settings": settings, "metrics": {}, "per_question": rows})


def rerank(discriminator: str, hits: list[bool | None], hardness: str = "easy", **settings: Any) -> dict[str, Metric]:
    base = {**BASE, "planner": "rerank", "generator": "stable-code-3b", "decoding": "sample"}
    return end_to_end(hits, hardness, **{**base, "discriminator": discriminator, **settings})


def evaluate(*metrics: dict[str, Metric], **roles: Any) -> list[Claim]:
    return evaluate_claims(merge(*metrics), PUBLISHED, roles, resamples=RESAMPLES)


def one(claims: list[Claim], number: int, words: str = "") -> Claim:
    found = [claim for claim in claims if claim.number == number and words in claim.statement]
    assert len(found) == 1, [claim.statement for claim in found]
    return found[0]


def test_nothing_run_leaves_every_statement_with_its_published_figure() -> None:
    claims = evaluate()
    assert {claim.number for claim in claims} == set(range(1, 9))
    assert {claim.verdict for claim in claims} == {"not run"}
    beyond = [claim for claim in claims if "fitted" in claim.statement]
    assert {claim.number for claim in beyond} == {1}
    assert all((claim.published is None) == (claim in beyond) and claim.value is None for claim in claims)


def test_published_figures_follow_from_the_published_tables() -> None:
    def relative(first: float, second: float) -> float:
        return round(100 * (first - second) / second, 1)

    claims = evaluate()
    naive, check, greedy = (PUBLISHED[table]["ex"] for table in ("table2", "table3", "table7"))
    assert one(claims, 3).published == relative(naive[REASONING]["all"], naive[LARGE]["all"])
    assert one(claims, 4, "extra-hard").published == relative(check[REASONING]["extra"], check[LARGE]["extra"])
    assert one(claims, 4, "ties").published == check[REASONING]["all"] - check[LARGE]["all"]
    table8, table4, table5 = PUBLISHED["table8"], PUBLISHED["table4"], PUBLISHED["table5"]
    for index, name in enumerate(("PwAcc", "F1", "Hit@1", "MRR")):
        gain = table8["2048"][index] - table8["1024"][index]
        assert one(claims, 5, f"{name} gains").published == pytest.approx(gain)
    assert one(claims, 6, "PwAcc").published == relative(table4["schema"][0], table4["no_schema"][0])
    assert one(claims, 6, "failure").published == pytest.approx(relative(19.24, 6.1), abs=0.5)
    assert one(claims, 7, "PwAcc").published == pytest.approx(relative(table5["naive"]["hard"][0], 51.34), abs=0.15)
    hard, soft = (sum(PUBLISHED["table6"]["naive"][scoring]["ex"][level] for level in HARDNESS) for scoring in SCORINGS)
    assert one(claims, 7, "EX").published == round(100 * (hard - soft) / soft, 2)
    assert f"(published: {hard} against {soft} of 400 right; the text gives a bound" in one(claims, 7, "EX").statement
    right = {name: sum(levels[level] for level in HARDNESS) for name, levels in greedy.items()}
    for name in ROLES["generators"]:
        claim = one(claims, 8, f" {name}'s")
        assert claim.published == relative(right[name], right[REASONING])
        assert f"(published: {right[name]} against {right[REASONING]} of 400 right" in claim.statement


def test_a_note_says_what_the_published_f1_of_the_large_model_is() -> None:
    """Of 501 correct and 720 wrong candidates none is called correct."""
    notes = " ".join(claims_grid(evaluate()).notes)
    assert "none of the 1,221 candidates correct" in notes
    calling_all_wrong = 2 * 720 / (2 * 720 + 501)
    assert round(calling_all_wrong, 4) == 0.7419
    assert round(50 * calling_all_wrong, 1) == round(PUBLISHED["table1"]["check"][LARGE][1], 1) == 37.1


def test_clear_win_holds_and_its_opposite_does_not() -> None:
    good, bad = [row(i, won=int(i % 10 > 0)) for i in range(60)], [row(i, won=int(i % 3 == 0)) for i in range(60)]
    claim = one(evaluate(intrinsic(REASONING, good), intrinsic(SMALL, bad)), 2, "every candidate")
    assert claim.value == pytest.approx(100 * (54 - 20) / 20)
    assert claim.low is not None and claim.high is not None and claim.low < 170 < claim.high
    assert (claim.verdict, claim.test) == ("holds", "swaps, exact")
    assert (claim.questions, claim.deciding) == (60, 38)
    assert one(evaluate(intrinsic(REASONING, bad), intrinsic(SMALL, good)), 2, "every").verdict == "does not hold"


@pytest.mark.parametrize("what", ["EX", "PwAcc", "F1"])
@pytest.mark.parametrize(
    ("questions", "deciding", "verdict", "p_value"),
    [(11, 5, UNDECIDED, 0.0625), (3, 3, UNDECIDED, 0.25), (11, 6, "holds", 0.03125), (400, 0, UNDECIDED, 1.0)],
)
def test_a_handful_of_questions_decides_nothing(
    what: str, questions: int, deciding: int, verdict: str, p_value: float
) -> None:
    if what == "EX":
        lost = [n >= deciding for n in range(questions)]
        claim = one(evaluate(rerank(REASONING, [True] * questions), rerank(LARGE, lost)), 3)
    elif what == "PwAcc":
        rows = [row(n) for n in range(questions)], [row(n, won=int(n >= deciding)) for n in range(questions)]
        claim = one(evaluate(*map(intrinsic, (REASONING, SMALL), rows)), 2, "every candidate")
    else:
        rows = [row(n) for n in range(questions)], [row(n, right=n >= deciding) for n in range(questions)]
        claim = one(evaluate(*map(intrinsic, (REASONING, SMALL), rows)), 1, "(every candidate scored)")
    assert (claim.verdict, claim.deciding) == (verdict, deciding)
    assert claim.p_value == pytest.approx(p_value)
    assert bool(claim.reason) == (deciding < 6)


def test_a_system_is_not_compared_with_itself() -> None:
    rows = [row(n) for n in range(20)]
    claims = evaluate(intrinsic(REASONING, rows), rerank(REASONING, [True] * 20), **{"7b": REASONING, "13b": REASONING})
    for number in (1, 2, 3, 4):
        found = [claim for claim in claims if claim.number == number]
        assert {(claim.verdict, claim.value) for claim in found} == {("not run", None)}
        assert {claim.reason for claim in found} == {"both sides are the same system in this run"}


def test_f1_is_of_the_summed_counts() -> None:
    good, bad = [row(i, right=i > 0) for i in range(10)], [row(i, right=i > 4) for i in range(10)]
    claims = evaluate(intrinsic(REASONING, good), intrinsic(SMALL, bad))
    assert one(claims, 1, "(every candidate scored)").value == pytest.approx(100 * (0.9 - 0.5) / 0.5)
    assert one(claims, 1, "(every candidate scored, thresholds fitted").verdict == "not run"


def test_claim_1_is_judged_at_both_thresholds() -> None:
    good, bad = [row(i) for i in range(30)], [row(i, right=False) for i in range(30)]
    fixed = [intrinsic(REASONING, good), intrinsic(SMALL, bad)]
    fitted = [intrinsic(name, good, "calibration") for name in (REASONING, SMALL)]
    claims = evaluate(*fixed, *fitted)
    assert one(claims, 1, "(every candidate scored)").verdict != "not run"
    again = one(claims, 1, "(every candidate scored, thresholds fitted on other databases)")
    assert (again.value, again.verdict) == (0, "not decidable with this many questions")


def test_execution_accuracy_is_tested_by_mcnemar() -> None:
    first, second = [True] * 8 + [False] * 2 + [True] * 30, [False] * 8 + [True] * 2 + [True] * 30
    claim = one(evaluate(rerank(REASONING, first), rerank(LARGE, second)), 3)
    assert (claim.test, claim.deciding, claim.questions) == ("McNemar, exact", 10, 40)
    assert claim.p_value == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    assert claim.value == pytest.approx(100 * (38 - 32) / 32)
    assert claim.verdict == "not decidable with this many questions"


def test_questions_without_rows_to_compare_are_left_out() -> None:
    claim = one(evaluate(rerank(REASONING, [True, None, True]), rerank(LARGE, [True, True, None])), 3)
    assert claim.questions == 1


def test_extra_hard_questions_only() -> None:
    both = {"mode": "check"}
    metrics = rerank(REASONING, [True] * 12, "extra", **both), rerank(LARGE, [False] * 11 + [True], "extra", **both)
    assert one(evaluate(*metrics), 4, "extra-hard").verdict == "holds"
    easy = rerank(REASONING, [True] * 12, **both), rerank(LARGE, [False] * 12, **both)
    assert one(evaluate(*easy), 4, "extra-hard").questions == 0
    assert one(evaluate(*easy), 4, "extra-hard").verdict == "not decidable with this many questions"


def test_relative_to_zero_has_no_value_but_a_verdict() -> None:
    claim = one(evaluate(rerank(REASONING, [True] * 12), rerank(LARGE, [False] * 12)), 3)
    assert (claim.value, claim.low) == (None, None)
    assert claim.verdict == "holds"


@pytest.mark.parametrize(
    ("differing", "count", "verdict"),
    [
        (0, 400, "holds"),
        (0, 40, "not decidable with this many questions"),
        (20, 400, "does not hold"),
        (4, 100, "not decidable with this many questions"),
    ],
)
def test_tie(differing: int, count: int, verdict: str) -> None:
    first, second = [True] * count, [False] * differing + [True] * (count - differing)
    claim = one(evaluate(rerank(REASONING, first, mode="check"), rerank(LARGE, second, mode="check")), 4, "ties")
    assert claim.verdict == verdict
    assert claim.unit == "points"


def test_bounds() -> None:
    failing = [row(i, won=0, failures=2) for i in range(400)]
    claims = evaluate(intrinsic(REASONING, failing, budget=256))
    assert one(claims, 5, "PwAcc is below").verdict == "holds"
    assert (one(claims, 5, "failure rate").value, one(claims, 5, "failure rate").verdict) == (100, "holds")
    fine = [row(i, won=i % 2, failures=i % 3) for i in range(60)]
    claims = evaluate(intrinsic(REASONING, fine, budget=256))
    assert {one(claims, 5, words).verdict for words in ("PwAcc is below", "failure rate")} == {"does not hold"}
    few = [row(i, won=0, pairs=int(i < 20), failures=2) for i in range(400)]
    claim = one(evaluate(intrinsic(REASONING, few, budget=256)), 5, "PwAcc is below")
    assert (claim.questions, claim.verdict) == (20, "not decidable with this many questions")


def test_gain_beyond_a_budget() -> None:
    enough, more = [row(i, won=int(i % 2 > 0)) for i in range(60)], [row(i) for i in range(60)]
    claims = evaluate(intrinsic(REASONING, enough, budget=1024), intrinsic(REASONING, more, budget=2048))
    gain = one(claims, 5, "PwAcc gains")
    assert (gain.value, gain.verdict) == (pytest.approx(50), "does not hold")
    assert one(claims, 5, "Hit@1 gains").test == "McNemar, exact"
    claims = evaluate(intrinsic(REASONING, more, budget=1024), intrinsic(REASONING, enough, budget=2048))
    assert one(claims, 5, "PwAcc gains").verdict == "holds"


def test_generators_and_other_roles() -> None:
    alone = {"planner": "greedy", "decoding": "greedy"}
    metrics = [
        end_to_end([True] * 20, generator="mine", **alone),
        end_to_end([False] * 19 + [True], generator="thinker", **alone),
    ]
    claim = one(evaluate(*metrics, generators=["mine"], reasoning_generator="thinker"), 8)
    assert (claim.verdict, claim.published) == ("holds", None)
    assert claim.value == pytest.approx(1900)


def test_metrics_as_the_stages_write_them_fit() -> None:
    pool = [CandidateSet(i, (Candidate("SELECT 1;", label=1), Candidate("SELECT 2;", label=0))) for i in range(12)]
    metrics = []
    for name, best in ((REASONING, "SELECT 1;"), (SMALL, "SELECT 2;")):
        scores = [
            Score(i, sql, float(sql == best), True, False) for i in range(12) for sql in ("SELECT 1;", "SELECT 2;")
        ]
        found = intrinsic_metrics(pool, scores, seed=1, resamples=RESAMPLES)
        metrics.append(place("intrinsic", {**found, "settings": {"discriminator": name, **BASE}}))
    claim = one(evaluate(*metrics), 2, "every")
    assert (claim.verdict, claim.deciding, claim.value) == ("holds", 12, None)
    given = experiment(discriminators=[REASONING], **BASE)
    table = build_table(SPECS["table1"], given, Results(merge(*metrics), PUBLISHED))
    assert [cell.value for cell in table.rows[0].cells[:4]] == [100, 100, 100, 100]


def test_claims_on_re_ranking_are_of_the_samples_of_one_decoding() -> None:
    first, second = [True] * 12, [False] * 12
    other = {"decoding": "hot"}
    metrics = [
        rerank(REASONING, first),
        rerank(LARGE, first),
        rerank(REASONING, first, **other),
        rerank(LARGE, second, **other),
    ]
    assert one(evaluate(*metrics), 3).deciding == 0
    assert one(evaluate(*metrics, sample_decoding="hot"), 3).deciding == 12
    assert one(evaluate(*metrics, sample_decoding="cold"), 3).verdict == "not run"


def test_metrics_of_candidates_that_a_generator_proposed_are_not_of_the_labelled_pool() -> None:
    metrics = [intrinsic(name, [row(0)], pool="g.sample") for name in (REASONING, SMALL)]
    assert one(evaluate(*metrics), 2, "every").verdict == "not run"


def test_same_seed_gives_the_same_claims() -> None:
    rows, others = [row(i, won=i % 2) for i in range(30)], [row(i, won=int(i % 3 > 0)) for i in range(30)]
    metrics = intrinsic(REASONING, rows), intrinsic(SMALL, others)
    assert evaluate(*metrics) == evaluate(*metrics)


@pytest.mark.parametrize("form", FORMATS)
def test_claims_render(form: str) -> None:
    good, bad = [row(i) for i in range(20)], [row(i, won=0) for i in range(19)] + [row(19)]
    metrics = [intrinsic("thinks", good), intrinsic("does_not", bad)]
    roles = {"reasoning": "thinks", "7b": "does_not"}
    display = {"thinks": "Thinks & <b>"}
    claims = evaluate_claims(merge(*metrics), PUBLISHED, roles, display=display, resamples=RESAMPLES)
    text = claims_grid(claims, roles, display).render(form)
    assert "not run" in text
    assert "holds" in text
    assert "<b>" not in text.replace(r"\<b\>", "") or form == "csv"
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == len(claims)
        assert (rows[4]["published"], rows[4]["value"], rows[4]["deciding"]) == ("2.9", "1900.0", "19")
    else:
        assert "19 of 20" in text
        assert "plays the reasoning discriminator" in text


def test_claims_are_written_with_what_made_them(tmp_path: Path) -> None:
    given = {"table1": experiment(discriminators=["a", "b"], **BASE)}
    rows = {"a": [row(i) for i in range(20)], "b": [row(i, won=0) for i in range(20)]}
    inputs = []
    for file in all_files(given):
        inputs.append(str(tmp_path / file))
        (metric,) = intrinsic("a", rows["a" if "/a/" in file else "b"]).values()
        write_json(inputs[-1], metric)
    published = tmp_path / "published.json"
    write_json(published, PUBLISHED)
    outputs = {form: str(tmp_path / f"claims.{form}") for form in (*FORMATS, "sidecar", "findings")}
    write_claims(
        inputs,
        [],
        str(published),
        **outputs,
        experiments={name: dataclasses.asdict(each) for name, each in given.items()},
        roles={"reasoning": "a", "7b": "b"},
        display={},
        uses_gold=[],
        about={"a": ["1.5B", True], "b": ["7B", False]},
        dataset="spider",
        seed=1,
        resamples=100,
        subject="dataset shop; seed 1",
        configuration={"digest": "d1", "options": "--configfile a.yaml"},
        code="c0de",
    )
    found = list(csv.DictReader(io.StringIO(Path(outputs["csv"]).read_text(encoding="utf-8"))))
    assert [each["deciding"] for each in found if "a's PwAcc beats b's (every" in each["statement"]] == ["20"]
    assert Path(outputs["findings"]).read_text(encoding="utf-8").startswith("Verdicts on the ")
    assert "Dataset shop; seed 1; made 2" in Path(outputs["html"]).read_text(encoding="utf-8")
    made = read_json(outputs["sidecar"])
    assert (len(made["inputs"]), made["settings"]["resamples"]) == (5, 100)
    assert {"numpy", "scipy"} <= set(made["versions"])

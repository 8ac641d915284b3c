"""One generation at the largest budget gives the same scores as a run of its own at each smaller budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqljudge.data.pool import read_pool
from sqljudge.models.session import Session
from sqljudge.stages.judge import judge, judged_pairs
from sqljudge.stages.prompts import Framing, read_template
from sqljudge.stages.score import MODES, SCORINGS, score_judgments

ROOT = Path(__file__).resolve().parents[2]
BUDGETS = (20, 44)
PROMPTS = 8


@pytest.mark.model
def test_scores_cut_from_the_longest_response_equal_those_of_separate_runs(embedded: Any) -> None:
    mini = ROOT / "resources/mini_spider"
    questions, groups = read_pool(mini / "pool.json", mini / "tables.json", questions=6, seed=7)
    pairs = judged_pairs(questions, groups)[:PROMPTS]
    assert len(pairs) == PROMPTS
    kept = {(question.id, sql) for question, sql in pairs}
    groups = [
        type(group)(group.question_id, tuple(c for c in group.candidates if (group.question_id, c.sql) in kept))
        for group in groups
    ]
    template = read_template(ROOT / "config/prompts/reasoning_examples.txt", required=("question", "sql"))
    executable = {pair: i % 4 != 0 for i, pair in enumerate(sorted(kept))}

    def judged(budget: int) -> list:
        session = Session(embedded, None, f"budget {budget}")
        return judge(session, pairs, method="reasoning", template=template, framing=Framing("chat"), budget=budget)

    longest = judged(max(BUDGETS))
    verdicts = 0
    for budget in BUDGETS:
        own = judged(budget) if budget < max(BUDGETS) else longest
        for scoring in SCORINGS:
            for mode in MODES:
                settings = {"budget": budget, "scoring": scoring, "mode": mode, "executable": executable}
                cut, alone = score_judgments(groups, longest, **settings), score_judgments(groups, own, **settings)
                assert [s.verdict for s in cut] == [s.verdict for s in alone]
                assert [s.score for s in cut] == pytest.approx([s.score for s in alone], abs=1e-4)
                verdicts += sum(score.verdict is not None for score in cut)
    assert verdicts > 0, "the test decides nothing if the model never gives a verdict"

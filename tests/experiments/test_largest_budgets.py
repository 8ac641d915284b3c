"""How far the model jobs of shipped tables go: the largest budgets of responses, and where verdicts are forced."""

from __future__ import annotations

from typing import Any

from sqljudge.core.artefacts import Judged, checkpoints, largest_budgets
from sqljudge.core.variants import POOL
from sqljudge.experiments.config import experiments_of, load_config
from test_config import changed, shipped


def needed(raw: dict[str, Any], *tables: str) -> dict[str, Any]:
    """The experiments of some tables, in the form from which jobs are counted."""
    left_out = {name: list(map(list, one.left_out)) for name, one in experiments_of(load_config(raw)).items()}
    return {
        name: {
            **raw["experiments"][name],
            "unasked": left_out[name],
            "beside": raw["experiments"][name].get("extra_rows", []),
        }
        for name in tables or raw["experiments"]
    }


def test_forced_verdicts_at_budget_0_and_where_they_are_cut() -> None:
    config = changed("experiments/table8/scoring", "forced")
    config["experiments"]["table8"]["budgets"] = [256, 0]
    config["experiments"]["table1"] |= {"scoring": "forced", "budget": 128, "discriminators": ["distill-r1-1.5b"]}
    shown = needed(config, "table1", "table2", "table8")
    assert checkpoints(shown) == {Judged("distill-r1-1.5b", "no_schema", POOL): [0, 128, 256]}


def test_the_largest_budgets_of_the_paper() -> None:
    largest = largest_budgets(needed(shipped()))
    reasoner = "distill-r1-1.5b"
    assert largest[Judged(reasoner, "no_schema", POOL)] == 2048
    assert largest[Judged(reasoner, "schema", POOL)] == 1024
    assert largest[Judged(reasoner, "no_schema", "stable-code-3b.sample")] == 512
    assert largest[Judged(reasoner, "no_thinking", POOL)] == 256
    assert largest[Judged(reasoner, "result", POOL)] == 512
    assert Judged(reasoner, "few_shot", POOL) not in largest, "it has no yes/no prompt"
    assert len(largest) == 6 + 1 + 1 + 6 + 6 + 5
    assert not any(job.pool.endswith(".greedy") for job in largest)


def test_the_largest_budget_is_over_all_experiments() -> None:
    experiments = needed(shipped())
    del experiments["table8"], experiments["adaptive"], experiments["contexts"]
    assert largest_budgets(experiments)[Judged("distill-r1-1.5b", "no_schema", POOL)] == 1024
    del experiments["table4"]
    assert largest_budgets(experiments)[Judged("distill-r1-1.5b", "no_schema", POOL)] == 512
    assert largest_budgets(needed(shipped(), "table7")) == {}

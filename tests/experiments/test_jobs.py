"""Which jobs the shipped tables need: the largest budgets, where verdicts are forced, and what records it all."""

from __future__ import annotations

from typing import Any

import pytest
from sqljudge.core.records import Question
from sqljudge.core.variants import POOL, Variant, parse, path
from sqljudge.experiments.config import experiments_of, load_config, resolve
from sqljudge.experiments.jobs import Needs, framing_of, model_jobs, needs_of
from sqljudge.report.specs import tables_of
from sqljudge.stages.prompts import Framing, fill, read_template
from test_config import changed, shipped

REASONER = "distill-r1-1.5b"


def needed(raw: dict[str, Any], *tables: str) -> Needs:
    """What some tables of a configuration need; without names, all of them."""
    raw = {**raw, "experiments": {name: raw["experiments"][name] for name in tables or raw["experiments"]}}
    config = load_config(raw)
    return needs_of(tables_of(experiments_of(config)), config)


def judged(discriminator: str, context: str, pool: str = POOL) -> Variant:
    return Variant(pool, discriminator, context)


def test_forced_verdicts_at_budget_0_and_where_they_are_cut() -> None:
    config = changed("experiments/table8/scoring", "forced")
    config["experiments"]["table8"]["budgets"] = [256, 0]
    config["experiments"]["table1"] |= {"scoring": "forced", "budget": 128, "discriminators": [REASONER]}
    found = needed(config, "table1", "table8").checkpoints()
    assert found == {judged(REASONER, "no_schema"): [0, 128, 256]}


def test_the_largest_budgets_of_the_paper() -> None:
    largest = needed(shipped()).budgets()
    assert largest[judged(REASONER, "no_schema")] == 2048
    assert largest[judged(REASONER, "schema")] == 1024
    assert largest[judged(REASONER, "no_schema", "stable-code-3b.sample")] == 512
    assert largest[judged(REASONER, "no_thinking")] == 256
    assert largest[judged(REASONER, "result")] == 512
    assert judged(REASONER, "few_shot") not in largest, "it has no yes/no prompt"
    assert len(largest) == 6 + 1 + 1 + 6 + 6 + 5 + 6
    assert not any(job.pool.endswith(".greedy") for job in largest)


def test_the_largest_budget_is_over_all_experiments() -> None:
    experiments = set(shipped()["experiments"]) - {"table8", "adaptive", "contexts"}
    assert needed(shipped(), *experiments).budgets()[judged(REASONER, "no_schema")] == 1024
    assert needed(shipped(), *experiments - {"table4"}).budgets()[judged(REASONER, "no_schema")] == 512
    assert needed(shipped(), "table7").budgets() == {}


def test_every_model_job_of_the_paper_is_counted_once() -> None:
    needs = needed(shipped())
    runs = needs.runs()
    assert runs == sorted(set(runs))
    kinds = [parse(run)[0] for run in runs]
    assert kinds.count("candidates_run") == 5, "Stable-Code-3B's samples, and four greedy generators"
    assert kinds.count("judgments_run") == len(needs.budgets())
    assert kinds.count("forced_run") == 1
    assert (kinds.count("search_generator_run"), kinds.count("search_discriminator_run")) == (10, 4)
    assert len(model_jobs(needs, load_config(shipped()))) == len(runs)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("generate.distill-r1-1.5b.greedy", {"new_tokens": 1024, "samples": 1, "candidates": "", "times": 1}),
        ("judge.distill-r1-1.5b.no_schema.pool", {"new_tokens": 2048, "samples": 5, "times": 1, "extra_tokens": 0}),
        ("judge.codellama-7b.few_shot.pool", {"new_tokens": 0, "samples": 5, "times": 1, "extra_tokens": 200}),
        ("force.distill-r1-1.5b.no_schema.pool", {"new_tokens": 0, "times": 7}),
        (
            "search.tree_search.codellama-13b.no_schema.stable-code-3b.sample.b512.soft.check.discriminator",
            {"new_tokens": 0, "samples": 250, "candidates": ""},
        ),
    ],
)
def test_what_counts_the_requests_of_a_job(name: str, wanted: dict[str, Any]) -> None:
    jobs = {job["name"]: job for job in model_jobs(needed(shipped()), load_config(shipped()))}
    assert {key: jobs[name][key] for key in wanted} == wanted
    if wanted.get("candidates") != "":
        assert jobs[name]["candidates"] == path("candidates", Variant(POOL))


def test_the_papers_prompts_become_tokens_as_in_the_program_behind_it() -> None:
    """[INST] around a yes/no prompt with the answer opened inside, Yes by itself, no special tokens anywhere."""
    config = load_config(shipped())
    asked = Question(0, "d", "How many?", "SELECT 1", "-- Table t: a", "easy")
    for name, entry in config.discriminators.items():
        if entry.is_baseline:
            continue
        framing = Framing(**framing_of(config, discriminator=name, context="no_schema"))
        assert framing.yes_token == "alone"
        template = read_template(resolve(config.contexts["no_schema"].prompts[entry.method]), required=())
        prompt = fill(template, asked, sql="SELECT 2;", framing=framing, chat=None)  # type: ignore[arg-type]
        assert not prompt.special
        if entry.method == "yes_no":
            assert prompt.text.startswith("[INST] ")
            assert prompt.text.endswith("Utterance: How many?\nSQL: SELECT 2;\nAnswer: [/INST]")
        else:
            assert prompt.text.endswith("\nSQL: SELECT 2;\n<think>\nOkay,")
    for name, one in config.generators.items():
        framing = Framing(**framing_of(config, generator=name))
        assert framing == Framing("raw" if one.extraction in ("fenced", "open_fence") else "inst")


def test_a_context_may_have_a_prompt_format_of_its_own() -> None:
    config = load_config(shipped())
    assert framing_of(config, discriminator="codellama-7b", context="unframed") == {
        "prompt_format": "raw",
        "special_tokens": True,
        "yes_token": "following",
    }
    assert framing_of(config, discriminator=REASONER, context="examples")["prompt_format"] == "raw"

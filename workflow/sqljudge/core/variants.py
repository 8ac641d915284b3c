"""What varies, and where it lies: the variant, the one table of file patterns, and the settings of an experiment.

A `Variant` is a value: which candidates, judged by whom, shown what, up to which budget, scored, filtered, chosen how.
`path` and `parse` turn it into the name of a file and back; rules use the same PATTERNS. No other module spells a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from typing import Any

POOL = "pool"
"""The name of the labelled pool among the pools of candidates."""

NONE = "none"
"""The discriminator of a planner that asks for no score, and the context of a discriminator that reads no prompt."""

FORCED = "forced"
"""The scoring that rests on forced verdicts."""

RERANK, VOTE, GREEDY = "rerank", "vote", "greedy"
CHOOSERS = (RERANK, VOTE)
"""The planners that choose among judged candidates; all others but GREEDY ask models while they plan."""


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """One way through the workflow. A field that a kind of file does not depend on has its default.

    `pool`: the candidates, POOL or `<generator>.<decoding>`. `budget`: new tokens of a response. `base`: the context
    that a contrast is taken to, or the discriminator or generator that a trained one is compared with, itself where it
    is compared with none. `checkpoints`: the budgets at which a thought may stop, the smallest first.
    """

    pool: str = ""
    discriminator: str = ""
    context: str = ""
    budget: int = 0
    scoring: str = ""
    mode: str = ""
    planner: str = ""
    base: str = ""
    checkpoints: tuple[int, ...] = ()

    @property
    def generator(self) -> str:
        """The generator of a sampled pool; "" for the labelled one."""
        return self.pool.rpartition(".")[0]

    @property
    def decoding(self) -> str:
        """The decoding of a sampled pool; "" for the labelled one."""
        return self.pool.rpartition(".")[2] if "." in self.pool else ""

    def settings(self) -> dict[str, Any]:
        """The fields that are set, for a person or a JSON file, and generator and decoding in place of a pool's name.

        The budget is set wherever there is a scoring.
        """
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {key: value for key, value in found.items() if value or (key == "budget" and self.scoring)}
        if self.generator:
            known = {"generator": self.generator, "decoding": self.decoding, **known}
            del known["pool"]
        return known


_JUDGED = "{discriminator}/{context}/{pool}"
_SCORED = f"{_JUDGED}.b{{budget}}.{{scoring}}.{{mode}}"
_PLANNED = f"{{planner}}/{_SCORED}"

PATTERNS: dict[str, str] = {
    "questions": "results/questions/{pool}.jsonl",
    "candidates": "results/candidates/{pool}.jsonl",
    "candidates_run": "results/candidates/{pool}.run.json",
    "executions": "results/executions/{pool}.jsonl",
    "groups": "results/groups/{pool}.jsonl",
    "judgments": f"results/judgments/{_JUDGED}.parquet",
    "judgments_run": f"results/judgments/{_JUDGED}.run.json",
    "forced": f"results/forced/{_JUDGED}.jsonl",
    "forced_run": f"results/forced/{_JUDGED}.run.json",
    "scores": f"results/scores/{_SCORED}.jsonl",
    "selections": f"results/selections/{_PLANNED}.jsonl",
    "costs": f"results/costs/{_PLANNED}.jsonl",
    "tried": f"results/search/{_PLANNED}.tried.jsonl",
    "trace": f"results/search/{_PLANNED}.trace.jsonl",
    "tried_executions": f"results/search/{_PLANNED}.executions.jsonl",
    "search_generator_run": f"results/search/{_PLANNED}.generator.run.json",
    "search_discriminator_run": f"results/search/{_PLANNED}.discriminator.run.json",
    "intrinsic": f"results/metrics/intrinsic/{_SCORED}.json",
    "calibration": f"results/metrics/calibration/{_SCORED}.json",
    "contrast": f"results/metrics/contrast/{{base}}/{_SCORED}.json",
    "training": f"results/metrics/training/{{base}}/{_SCORED}.json",
    "trained_generator": f"results/metrics/trained_generator/{{base}}/{_PLANNED}.json",
    "adaptive": f"results/metrics/adaptive/{_JUDGED}.b{{checkpoints}}.{{mode}}.json",
    "reasoning": f"results/metrics/reasoning/{_JUDGED}.json",
    "end_to_end": f"results/metrics/end_to_end/{_PLANNED}.json",
    "planner": f"results/metrics/planner/{_PLANNED}.json",
}
"""Each kind of file that depends on a variant, as a pattern of Snakemake's wildcards."""

OF_BUDGETS = "reasoning"
"""The kind of metric whose file holds several budgets: its values depend on the budget, and its name does not."""

_NAMES = r"[^/]+"
CONSTRAINTS = {
    **dict.fromkeys(("pool", "discriminator", "context", "planner", "base"), _NAMES),
    "budget": r"\d+",
    "checkpoints": r"\d+(?:-\d+)*",
    "scoring": "soft|hard|forced",
    "mode": "naive|check",
}
"""What each field may look like in a file's name."""


def path(kind: str, variant: Variant) -> str:
    """Where the file of a kind lies, for a variant."""
    checkpoints = "-".join(map(str, variant.checkpoints))
    values = {field.name: getattr(variant, field.name) for field in fields(variant)}
    return PATTERNS[kind].format_map({**values, "checkpoints": checkpoints})


def parse(name: str) -> tuple[str, Variant]:
    """The kind and variant of a file, in whatever folder the workflow runs; fields that do not matter have defaults.

    Raises ValueError for a name that no pattern gives.
    """
    for kind in PATTERNS:
        if found := _expression(kind).fullmatch(name):
            return kind, variant_of(found.groupdict())
    raise ValueError(f"{name}: no file of the workflow has such a name")


def variant_of(wildcards: Mapping[str, str]) -> Variant:
    """A job's wildcards as a variant; those that are no field of it are left out."""
    known: dict[str, Any] = {key: value for key, value in wildcards.items() if key in CONSTRAINTS}
    if "budget" in known:
        known["budget"] = int(known["budget"])
    if "checkpoints" in known:
        known["checkpoints"] = tuple(map(int, known["checkpoints"].split("-")))
    return Variant(**known)


def setting_name(variant: Variant) -> str:
    """What the explorer calls a way of choosing in its addresses: the name of the file of its choices."""
    return path("selections", variant).removeprefix("results/selections/").removesuffix(".jsonl")


def only(kind: str, variant: Variant) -> Variant:
    """A variant with the fields alone that a kind of file depends on: the key of that file."""
    names = fields_of(kind)
    return Variant(**{name: getattr(variant, name) for name in names})


def cell_of(kind: str, variant: Variant) -> Variant:
    """A variant with the fields alone that a value of a kind of metric depends on: see OF_BUDGETS."""
    found = only(kind, variant)
    return replace(found, budget=variant.budget) if kind == OF_BUDGETS else found


@cache
def fields_of(kind: str) -> tuple[str, ...]:
    """The fields of a variant that a kind of file depends on."""
    return tuple(re.findall(r"\{(\w+)\}", PATTERNS[kind]))


@cache
def _expression(kind: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", PATTERNS[kind])
    named = [f"(?P<{part}>{CONSTRAINTS[part]})" if place % 2 else re.escape(part) for place, part in enumerate(parts)]
    return re.compile("".join(["(?:.*/)?", *named]))


@dataclass(frozen=True, slots=True)
class Experiment:
    """The settings behind a table: the values of each, in their order; empty for those that it does not name.

    `baselines`: discriminators without a model, whose rows stand below the others. `planners`: those beside re-ranking,
    or the rows of a table of planners. `greedy_decoding`: of the generator's own row. `extra_rows`: other variants that
    a figure or the table itself shows. `left_out`: pairs of a discriminator and a context that has no prompt for its
    method. `seeds`: the discriminators or generators that are one of each seed of a training, with their names.
    """

    generators: tuple[str, ...] = ()
    decodings: tuple[str, ...] = ()
    discriminators: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    scorings: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    planners: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    greedy_decoding: str = ""
    checkpoints: tuple[int, ...] = ()
    extra_rows: tuple[Variant, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    seeds: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def pool(self) -> str:
        """The candidates that it works on: its generator's samples, or the labelled pool."""
        return f"{self.generators[0]}.{self.decodings[0]}" if self.generators else POOL

    def values(self, setting: str) -> tuple[Any, ...]:
        """The values of a setting, named in the singular."""
        found: tuple[Any, ...] = getattr(self, f"{setting}s", ())
        return found

    def members(self, name: str) -> tuple[str, ...]:
        """The discriminators or generators of each seed that a name stands for; itself where it stands for none."""
        return dict(self.seeds).get(name, (name,))

    def variants(self) -> Iterator[Variant]:
        """Every discriminator, of each seed, in every context that it is asked in, at every budget, scoring, mode."""
        axes = ("discriminator", "context", "budget", "scoring", "mode")
        for values in product(*(self.values(axis) or (getattr(Variant(), axis),) for axis in axes)):
            found = Variant(self.pool, **dict(zip(axes, values, strict=True)))
            if (found.discriminator, found.context) not in self.left_out:
                yield from (replace(found, discriminator=name) for name in self.members(found.discriminator))


def of_seed(name: str, seed: int) -> str:
    """What the entry of one seed of a training, or of what names its model, is called."""
    return f"{name}-seed{seed}"


def members(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """The entries of each seed of a name among the known ones, in their order; the name alone where it has none."""
    found = tuple(other for other in known if re.fullmatch(re.escape(name) + r"-seed\d+", other))
    return found or (name,)


def baseline_variant(name: str, pool: str, mode: str, planner: str = "") -> Variant:
    """The variant of a discriminator without a model: no context, no budget, soft scores."""
    return Variant(pool, name, NONE, 0, "soft", mode, planner)


def greedy_variant(pool: str) -> Variant:
    """The variant of a generator's first query, taken as it is."""
    return Variant(pool, NONE, NONE, 0, "soft", "naive", GREEDY)


def reference(variant: Variant) -> Variant | None:
    """The re-ranking that another planner is compared with; None for re-ranking and the generator alone."""
    return None if variant.planner in (RERANK, GREEDY) else replace(variant, planner=RERANK)

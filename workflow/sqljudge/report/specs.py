"""Every table in one place: its settings, its rows and columns, the paper's figures, and the figures drawn of it.

A new table is an entry of SPECS, an experiment of the configuration, and a caption in workflow/report/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqljudge.core.variants import FORCED, GREEDY, RERANK, Experiment, Variant
from sqljudge.report.measures import (
    CONTRASTED,
    EM,
    EX,
    INTRINSIC,
    MATCHES,
    PARTIAL_BY_LEVEL,
    QUALITY,
    REACHED_AND_NEEDED,
    SCORE_VALUE,
    STOPPED,
    TRAINED,
    TRAINED_GENERATORS,
    Measure,
)
from sqljudge.report.published import Lookup, by_budget, by_context, by_mode, by_scoring, by_system


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table: what it takes from its experiment, and what it makes of it.

    `title` stands over it, then `description`, what a reader sees in it, which `snakemake --list` gives, too.
    `settings`: what its experiment must name, in the singular for one value and in the plural for several; their
    values multiply to the rows, the first one slowest. `optional`: what it may name. `heads`: how many of the settings
    have a row header in any case; the others have one where they have several values. `columns`: measures by heading;
    in their place `across`: the setting whose values are the headings. `against`: the setting whose first value the
    others are compared with. `planner`: that chooses, in tables of what is chosen. `experiment`: the table whose
    experiment and published figures it shares. `published`: how a cell's figure is found in the paper's table.
    `about`: whether rows give the size of the model that judges, and whether it reasons. `spoken_of`: labels of the
    columns that its findings speak of, if not of the first. `figures`: what each of its figures shows, by name;
    `drawn`: the metrics that they show beyond the table's cells, each as kind and variant.
    """

    name: str
    title: str
    description: str
    settings: tuple[str, ...]
    columns: Mapping[str, Sequence[Measure]]
    optional: tuple[str, ...] = ()
    heads: int = 2
    across: str = ""
    against: str = "context"
    planner: str = ""
    experiment: str = ""
    published: Lookup | None = None
    about: bool = False
    spoken_of: tuple[str, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    drawn: Callable[[Experiment], Iterator[tuple[str, Variant]]] | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """The settings whose values multiply to the rows, in the singular."""
        names = (setting.removesuffix("s") for setting in self.settings)
        return tuple(name for name in names if name not in (self.across, "checkpoint"))

    @property
    def pools(self) -> bool:
        """Whether several seeds of one training are one row."""
        return self.against in ("discriminator", "generator")

    @property
    def source(self) -> str:
        """The table whose experiment and published figures are this one's: itself, but for those that share."""
        return self.experiment or self.name


def _cut_and_forced(experiment: Experiment) -> Iterator[tuple[str, Variant]]:
    """Thoughts that are cut, or forced to a verdict, at each checkpoint, and the experiment's extra rows."""
    for mode in experiment.modes:
        for name in experiment.discriminators:
            own = Variant(experiment.pool, name, experiment.contexts[0], mode=mode)
            for budget in experiment.checkpoints:
                yield "intrinsic", replace(own, budget=budget, scoring=FORCED)
                if budget:
                    yield "intrinsic", replace(own, budget=budget, scoring="soft")
        for row in experiment.extra_rows:
            yield "intrinsic", replace(row, pool=experiment.pool, mode=mode)


_END_TO_END = ("discriminators", "generator", "decoding", "mode", "context", "budget", "scoring")
_BELOW = ("greedy_decoding", "baselines", "planners")

SPECS: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        TableSpec(
            "table1",
            "Discriminators on the labelled pool",
            "How well each discriminator tells right SQL from wrong, on candidates of which that is known.",
            settings=("discriminators", "context", "budget", "scoring", "modes"),
            heads=1,
            columns={"": INTRINSIC},
            across="mode",
            published=by_mode,
            about=True,
        ),
        TableSpec(
            "table2",
            "Re-ranking end to end, every candidate scored",
            "How often the query that a discriminator picks among a generator's samples is right; every sample is "
            "scored.",
            settings=_END_TO_END,
            optional=_BELOW,
            heads=1,
            columns={**MATCHES, **PARTIAL_BY_LEVEL},
            planner=RERANK,
            published=by_system,
            about=True,
        ),
        TableSpec(
            "table3",
            "Re-ranking end to end, with the executability check",
            "How often the query that a discriminator picks is right if queries that do not execute rank last; "
            "beside it, the generator alone.",
            settings=_END_TO_END,
            optional=_BELOW,
            heads=1,
            columns={**MATCHES, **PARTIAL_BY_LEVEL},
            planner=RERANK,
            published=by_system,
            about=True,
            figures={"forest": "What reasoning gains in execution accuracy on every other discriminator."},
        ),
        TableSpec(
            "table4",
            "The reasoning discriminator without and with the schema",
            "How one reasoning discriminator judges, and how it writes, without and with the database schema in its "
            "prompt.",
            settings=("discriminator", "contexts", "mode", "budget", "scoring"),
            columns=QUALITY,
            published=by_context,
        ),
        TableSpec(
            "table5",
            "Soft and hard scores on the labelled pool",
            "How well one discriminator judges with scores that are probabilities (soft) and with scores of 0 or 1 "
            "(hard).",
            settings=("discriminator", "scorings", "context", "budget", "modes"),
            columns={"": INTRINSIC},
            across="mode",
            published=by_scoring,
        ),
        TableSpec(
            "table6",
            "Soft and hard scores, end to end",
            "How often one discriminator's picks are right, with scores that are probabilities (soft) and of 0 or 1 "
            "(hard).",
            settings=("discriminator", "modes", "scorings", "generator", "decoding", "context", "budget"),
            optional=("baselines",),
            heads=3,
            columns={EX: MATCHES[EX], EM: MATCHES[EM], **PARTIAL_BY_LEVEL},
            planner=RERANK,
            published=by_scoring,
        ),
        TableSpec(
            "table7",
            "Generators on their own, one greedy query per question",
            "How often the one query that a generator writes for a question is right; no discriminator chooses.",
            settings=("generators", "decoding"),
            heads=1,
            columns={**MATCHES, **PARTIAL_BY_LEVEL},
            planner=GREEDY,
            published=by_system,
            figures={"figure5": "Execution accuracy of generators by hardness, as bars."},
        ),
        TableSpec(
            "table8",
            "The reasoning discriminator at several budgets",
            "How well one reasoning discriminator judges, and how it writes, if it may write more or fewer tokens.",
            settings=("discriminator", "budgets", "mode", "context", "scoring"),
            columns=QUALITY,
            published=by_budget,
            figures={"figure4": "Quality and failure rate of a reasoning discriminator against its token budget."},
        ),
        TableSpec(
            "thresholds",
            "Scores without a fixed threshold: ranking and calibration",
            "How well scores rank candidates, and whether they say how likely a candidate is right, at any threshold.",
            settings=("discriminators", "modes", "context", "budget", "scoring"),
            columns=SCORE_VALUE,
            experiment="table1",
            published=by_mode,
            figures={
                "reliability": "How often a candidate is correct against the probability that a discriminator "
                "gives it.",
            },
        ),
        TableSpec(
            "adaptive",
            "Stopping a thought once its verdict is settled",
            "What is saved and what is lost if a thought stops once its verdict is settled, against thinking to the "
            "end.",
            settings=("discriminators", "modes", "context", "checkpoints"),
            optional=("extra_rows",),
            columns=STOPPED,
            spoken_of=("Saved", "Difference"),
            figures={
                "pareto": "Pairwise accuracy against the tokens that a discriminator writes, with the Pareto front."
            },
            drawn=_cut_and_forced,
        ),
        TableSpec(
            "contexts",
            "Showing the judge more: the candidate's result, or judged examples",
            "What a discriminator gains if its prompt shows more than the question and the SQL, against the first "
            "prompt.",
            settings=("discriminators", "contexts", "modes", "budget", "scoring"),
            columns=CONTRASTED,
        ),
        TableSpec(
            "prompts",
            "The same prompt in other words and frames",
            "What a discriminator gains or loses under other prompts that say the same, against the first prompt.",
            settings=("discriminators", "contexts", "modes", "budget", "scoring"),
            columns=CONTRASTED,
        ),
        TableSpec(
            "training",
            "What training did to discriminators",
            "Trained discriminators against the first, the model before its training.",
            settings=("discriminators", "budgets", "scorings", "modes", "context"),
            optional=("baselines",),
            columns=TRAINED,
            against="discriminator",
            figures={
                "training_curves": "Reward, length and accuracy over the steps of each discriminator's training.",
            },
        ),
        TableSpec(
            "trained_generators",
            "What training did to generators",
            "Trained generators on their own against the first, the model before its training.",
            settings=("generators", "decoding"),
            heads=1,
            columns=TRAINED_GENERATORS,
            against="generator",
            planner=GREEDY,
            figures={
                "generator_training_curves": "Reward, length and accuracy over the steps of each generator's training.",
            },
        ),
        TableSpec(
            "search",
            "When is search worth it? Planners and what they spend",
            "How often planners that ask models while they plan are right, and what each spends, beside re-ranking.",
            settings=("discriminators", "planners", *_END_TO_END[1:]),
            optional=("greedy_decoding", "baselines"),
            columns=REACHED_AND_NEEDED,
            figures={
                "planner_costs": "Execution accuracy of planners against the tokens that they need, with the Pareto "
                "front.",
            },
        ),
    )
}
FIGURES = {figure: spec for spec in SPECS.values() for figure in spec.figures}
"""The table that each figure belongs to, by the figure's name."""


def tables_of(experiments: Mapping[str, Experiment]) -> dict[str, Experiment]:
    """The experiment behind every table that can be made: by the table's name, in the order of SPECS."""
    return {name: experiments[spec.source] for name, spec in SPECS.items() if spec.source in experiments}


def experiment_from(settings: Mapping[str, Any]) -> Experiment:
    """An experiment from its fields as builtins (`dataclasses.asdict`), lists in place of tuples allowed."""
    known: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    rows = ({**row, "checkpoints": tuple(row.get("checkpoints", ()))} for row in known.pop("extra_rows", ()))
    pairs = tuple((who, context) for who, context in known.pop("left_out", ()))
    seeds = tuple((name, tuple(own)) for name, own in known.pop("seeds", ()))
    return Experiment(**known, extra_rows=tuple(Variant(**row) for row in rows), left_out=pairs, seeds=seeds)

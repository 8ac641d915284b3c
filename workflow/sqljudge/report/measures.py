"""What columns show: the measures of metric files, and sentences that explain them. Knows no table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqljudge.core.variants import VOTE
from sqljudge.report.table import Better, Column

EACH_LEVEL = "each level"
"""In a measure's path: a column for each level of difficulty of the dataset."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One column, or one for each level of difficulty, of a kind of metric file.

    `kind`: a key of PATTERNS. `path`: where the measure stands under "metrics" in such a file. `unit`: "%" where the
    file holds shares, "points" where it holds differences of shares, else what its numbers are. `in_csv`: in the CSV
    file alone. `shared`: shown where two models share the work in any row.
    """

    kind: str
    path: tuple[str, ...]
    label: str = ""
    unit: str = "%"
    decimals: int = 2
    better: Better = "high"
    in_csv: bool = False
    shared: bool = False

    def column(self, heading: str) -> Column:
        """The column that shows it under a heading."""
        return Column(heading, self.label, self.unit, self.decimals, self.better, self.in_csv)

    def each(self, levels: Sequence[str]) -> list[Measure]:
        """The measure, or one for each level if it stands for them all."""
        if self.path[0] != EACH_LEVEL:
            return [self]
        return [replace(self, path=(level, *self.path[1:]), label=level.title()) for level in levels]


INTRINSIC = (
    Measure("intrinsic", ("pwacc",), "PwAcc"),
    Measure("intrinsic", ("f1",), "F1"),
    Measure("intrinsic", ("hit1",), "Hit@1"),
    Measure("intrinsic", ("mrr",), "MRR"),
)
FAILURE = Measure("intrinsic", ("failure_rate",), "Failure rate", better="low")
REASONING = (
    Measure("reasoning", ("repetition",), "Repetition", better=None),
    Measure("reasoning", ("one_minus_ttr",), "1 − TTR", better=None),
    Measure("reasoning", ("repeated_ngrams",), "Repeated bigrams", better=None),
    Measure("reasoning", ("entropy_bits",), "Entropy", "bits", better=None),
    Measure("reasoning", ("diversity",), "Diversity", better=None),
)
QUALITY = {"Discrimination": (*INTRINSIC, FAILURE), "Reasoning quality": REASONING}

EX, EM = "Execution accuracy (EX)", "Exact match (EM)"
_match = partial(Measure, "end_to_end", decimals=1)
MATCHES = {
    EX: (_match((EACH_LEVEL, "ex")), _match(("all", "ex"), "All")),
    EM: (_match((EACH_LEVEL, "em")), _match(("all", "em"), "All")),
    "Partial match, all": (
        Measure("end_to_end", ("all", "partial_acc"), "Accuracy"),
        Measure("end_to_end", ("all", "partial_recall"), "Recall"),
        Measure("end_to_end", ("all", "partial_f1"), "F1"),
    ),
}

_partial = partial(Measure, "end_to_end", in_csv=True)
PARTIAL_BY_LEVEL = {
    f"Partial match, {name}": (_partial((EACH_LEVEL, key)),)
    for key, name in (("partial_acc", "accuracy"), ("partial_recall", "recall"), ("partial_f1", "F1"))
}
"""What the paper's notebooks print and its tables do not show."""

_calibration = partial(Measure, "calibration")
_probability = partial(_calibration, unit="0–1", decimals=3)
AUROC = _probability(("auroc",), "AUROC")
SCORE_VALUE = {
    "Classification": (
        _calibration(("f1",), "F1 at 0.5"),
        _calibration(("f1_fitted",), "F1 fitted"),
        _calibration(("threshold",), "Threshold", "median", better=None),
    ),
    "Ranking": (AUROC, _probability(("average_precision",), "AP")),
    "As probabilities": (
        _probability(("brier",), "Brier", better="low"),
        _probability(("ece",), "ECE", better="low"),
        _calibration(("without_probability",), "None given", decimals=1, better="low"),
    ),
    "Temperature scaled": (
        _probability(("brier_scaled",), "Brier", better="low"),
        _probability(("ece_scaled",), "ECE", better="low"),
        _calibration(("temperature",), "Temperature", "median", better=None),
    ),
}


LARGE_READ = "Large model read"


def _tokens(kind: str, *path: str) -> tuple[Measure, Measure]:
    """New tokens, and what the large of two models read."""
    measure = Measure(kind, (*path, "tokens"), "Tokens", "a candidate", 1, "low")
    return measure, replace(measure, path=(*path, "large_tokens"), label=LARGE_READ, shared=True)


def _spent_and_right(policy: str) -> tuple[Measure, ...]:
    return *_tokens("adaptive", policy), Measure("adaptive", (policy, "pwacc"), "PwAcc")


ADAPTIVE = "Adaptive, forced verdict"
STOPPED = {
    "Full thought": _spent_and_right("own"),
    "Full thought, forced verdict": _spent_and_right("full"),
    ADAPTIVE: (
        *_spent_and_right("adaptive"),
        Measure("adaptive", ("adaptive", "saved"), "Saved", decimals=1),
        Measure("adaptive", ("adaptive", "difference"), "Difference", "points"),
        Measure("adaptive", ("adaptive", "confidence"), "Confidence", "median", 3, None),
        Measure("adaptive", ("adaptive", "patience"), "Patience", "median", 1, None),
    ),
}

CONTRAST = "Difference to the first context"
_discrimination = (*INTRINSIC, AUROC, FAILURE)
CONTRASTED = {
    "Discrimination": _discrimination,
    CONTRAST: tuple(
        replace(each, kind="contrast", unit="points" if each.unit == "%" else each.unit) for each in _discrimination
    ),
}

GAIN = "Difference to the model before training"
SPREAD = "Spread of the difference over seeds"
COST = "One training"


def _in_points(measures: Sequence[Measure], part: str, better: bool) -> tuple[Measure, ...]:
    """Columns of the same measures that hold differences."""
    return tuple(
        replace(
            each,
            path=(part, *each.path),
            unit="points" if each.unit == "%" else each.unit,
            better=each.better if better else None,
        )
        for each in measures
    )


def _of_training(kind: str, heading: str, measures: Sequence[Measure]) -> dict[str, tuple[Measure, ...]]:
    spent = partial(Measure, kind, decimals=0, better=None)
    return {
        heading: tuple(measures),
        GAIN: _in_points(measures, "difference", better=True),
        SPREAD: _in_points(measures, "spread", better=False),
        COST: (
            spent(("cost", "seeds"), "Seeds", "number"),
            spent(("cost", "generated"), "Generated", "tokens"),
            spent(("cost", "trained"), "Trained on", "tokens"),
            spent(("cost", "seconds"), "Time", "s"),
            spent(("cost", "memory"), "Memory", "MiB"),
        ),
    }


_judge = partial(Measure, "training")
TRAINED = _of_training(
    "training",
    "Discrimination",
    (
        _judge(("pwacc",), "PwAcc"),
        _judge(("auroc",), "AUROC", "0–1", 3),
        _judge(("f1",), "F1 at 0.5"),
        _judge(("f1_fitted",), "F1 fitted"),
        _judge(("hit1",), "Hit@1"),
        _judge(("mrr",), "MRR"),
        _judge(("failure_rate",), "Failure rate", better="low"),
        _judge(("tokens",), "Tokens", "a candidate", 1, "low"),
    ),
)
TRAINED_GENERATORS = _of_training("trained_generator", EX, (Measure("trained_generator", ("ex",), "All", decimals=1),))

AGAINST = "Against re-ranking"
COMPARED = ("difference", "p_value", "extra", "gain")
"""Of a planner: what is against re-ranking."""


def _planner(name: str, label: str, unit: str = "a question", decimals: int = 1, better: Better = "low") -> Measure:
    return Measure("planner", (name,), label, unit, decimals, better)


def _of_model(role: str) -> tuple[Measure, ...]:
    return (
        _planner(f"{role}_calls", "Calls"),
        _planner(f"{role}_read", "Read", decimals=0),
        _planner(f"{role}_written", "Written", decimals=0),
        replace(_planner(f"{role}_large", LARGE_READ, decimals=0), shared=True),
    )


REACHED_AND_NEEDED = {
    EX: (_planner("ex", "All", "%", better="high"),),
    AGAINST: (
        _planner("difference", "Difference", "points", better="high"),
        _planner("p_value", "p value", "0–1", 3, None),
        _planner("extra", "Extra tokens", decimals=0),
        _planner("gain", "Gain", "points per 1,000 tokens", 2, "high"),
    ),
    "Both models": (_planner("tokens", "Tokens", decimals=0), _planner("queries", "Queries", better=None)),
    "Generator": _of_model("generator"),
    "Discriminator": _of_model("discriminator"),
}

WITHOUT_MODEL = "No model judges"
WITH_GOLD = "Bounds that look at the gold query"
BESIDE_RERANKING = {VOTE: ("Majority", "Majority of results, weighed by a discriminator")}
"""Planners that choose among judged candidates, as re-ranking does: what stands before a discriminator's label in their
rows of end-to-end tables, and over these rows."""

NOTES = {
    "PwAcc": "PwAcc (pairwise accuracy): of all pairs of one question's candidates, one right and one wrong, the share "
    "in which the right one scores higher.",
    "Hit@1": "F1: of calling each candidate right or wrong at a score of 0.5, the mean of the F1 of both classes. "
    "Hit@1: share of questions whose highest-scored candidate is right. MRR: mean of 1/rank of the first right one. "
    "Equal scores rank as the pool lists them, as in the paper's program. 'Shuffled': the mean if they are shuffled. "
    "'Unjudged': the part of the value from questions without any verdict, which the order of the file alone ranks. "
    "Both stand where they change what is shown. A model that gave no verdict at all has neither Hit@1 nor MRR.",
    "Failure rate": "Failure rate: share of a question's candidates that got no readable verdict; mean over questions.",
    "Repetition": "Reasoning quality: means over responses. Repetition: share of sentences that occur more than once. "
    "1 − TTR: 1 − distinct sentences / all sentences. Repeated bigrams: share of pairs of words that occur more than "
    "once. Entropy: how varied the sentences are. Diversity: 1 − mean cosine similarity of the sentences' embeddings; "
    "it can be above 100 %.",
    EM: "EM (exact match): share of questions whose query has the clauses of the gold query, by the official "
    "evaluator's rules; values in conditions do not count.",
    "Partial match, all": "Partial match: mean over ten kinds of clauses, such as SELECT and WHERE, and all questions. "
    "The official program gives a clause an F1 of 1 where its accuracy and recall are both 0, so this F1 is high for "
    "wrong queries, too.",
    "F1 fitted": "F1 at 0.5: as in Table 1. F1 fitted: each database at the threshold that gives the highest macro F1 "
    "on all other databases (of equally good ones, the one nearest to 0.5). Threshold: the median of these.",
    "AUROC": "AUROC: how likely a right candidate of any question scores above a wrong one, a tie counting half; 0.5 "
    "is chance. Candidates without a verdict, or kept from the model, rank below all others.",
    "AP": "AP: average precision of the same ranking; the share of correct candidates is chance.",
    "ECE": "Brier: mean squared distance between probability and label. ECE: mean distance between probability and "
    "share of correct candidates, over bins of equal width; weighing questions anew raises it, so it has no interval. "
    "Both are of candidates with a probability. None given: the share without one (no verdict, or kept from the "
    "model).",
    "Temperature": "Temperature scaled: the logit divided by the temperature, between 0.01 and 100, under which the "
    "labels of all other databases are most likely (Temperature: the median of these; at 100 every probability is "
    "near 0.5). It moves no score across 0.5. Intervals keep thresholds and temperatures as fitted.",
    ADAPTIVE: "Full thought: up to the last checkpoint, or its own end; scored by the verdict that the response gives, "
    "or by one that is forced: the thought is closed and the next token must be true or false. Adaptive: stopped at "
    "the first checkpoint where the forced verdict's probability is above the confidence, or where it has been the "
    "same so many checkpoints in a row (patience), both chosen for each database as those that save the most on all "
    "other databases at no loss in PwAcc there; the medians are shown (a confidence of 1: none). Tokens: new tokens, "
    "mean over candidates that the model was asked about; reading a verdict writes none. Saved, difference: to the "
    "full thought with a forced verdict. Intervals keep what was chosen.",
    BESIDE_RERANKING[VOTE][1]: "Majority × discriminator: candidates with equal results are one group, which weighs "
    "the sum of its samples' scores (failures 0); the best candidate of the heaviest group is chosen.",
    CONTRAST: "Difference: to the same discriminator in the first of its contexts, on the same questions, in points "
    "(AUROC: as it is); the interval is paired (Hit@1: exact, by McNemar's test).",
    GAIN: "Difference: to the first row, the model before its training, on the same questions, in points (AUROC, "
    "tokens: as they are); the interval is paired (Hit@1, EX: exact, by McNemar's test, for one seed). Several seeds "
    "of a training are one row: their mean, whose interval draws questions and seeds anew. With one seed it says "
    "nothing of the noise of training. Fewer missing verdicts alone raise PwAcc: compare forced verdicts, and the "
    "model before its training without a thought (forced, budget 0).",
    SPREAD: "Spread: standard deviation of the difference over the seeds of a training, each on all questions.",
    COST: "One training: mean over its seeds, of all stages from the model before training on; memory: the most of "
    "any. Time is of the machine that it ran on.",
    LARGE_READ: "Large model read: where a small and a large model share the work, tokens that the large one read, "
    "prompts and pending tokens included; all others are the small one's, whichever gave them.",
    AGAINST: "Against re-ranking the first samples by the same discriminator. Difference: in EX, p value: McNemar's "
    "exact test. Extra tokens: beyond those of re-ranking. Gain: points of EX for every thousand of them (none where a "
    "planner needs no more). Re-ranking itself and the generator alone have nothing to be compared with.",
    "Both models": "What a planner needs for a question if it is run alone, on average, answers from the journal "
    "included. Tokens: read (a prompt once a call) and written, by both models, whatever their sizes. Queries: "
    "distinct ones that it chose from. Executing queries is not counted.",
    WITHOUT_MODEL: "No model judges: a draw by seed; the first sampled; the first that executes; the result that most "
    "samples agree on; the highest mean token probability by the generator itself.",
    WITH_GOLD: "Oracle: knows whether a candidate is right and says so with probability p, else the opposite; p = 1 is "
    "the most that any choice among these candidates can reach. It uses the gold query and competes with no row.",
}
"""Sentences under a table, in their order, each by the column, heading or block of rows that it explains."""

"""How a discriminator reasons: repetition, and lexical and semantic variety, of its responses (paper, section 6).

Knows no language model: sentence embeddings come from a function that is given. Definitions, as in the authors' code:
- sentence: what NLTK's Punkt gives for the text as it is, with its model of English. A line break does not end a
  sentence. Two sentences are the same when their characters are;
- word: what stands between white space, with its case and punctuation; bigrams run across sentence ends;
- a response without a sentence (or without a bigram) repeats nothing: 0, entropy 0, diversity 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sqljudge.core.errors import DataError
from sqljudge.core.files import write_json
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import UNANSWERED
from sqljudge.metrics.intervals import RESAMPLES, bootstrap, mean_between, ratio
from sqljudge.models.embedding import embedder as load_embedder
from sqljudge.stages.score import text_within

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

Embed = Callable[[list[str]], NDArray[np.floating[Any]]]
"""Sentences -> their vectors [sentences, dimensions], of any length above zero."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a text in their order (see above for what a sentence is)."""
    return list(_punkt().tokenize(text))


@cache
def _punkt() -> PunktSentenceTokenizer:
    """NLTK's tokenizer with the model that NLTK downloads as `punkt_tab`, taken from a package instead.

    Made when first needed: the import takes about a second.
    """
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
    from punkt.data import english

    model = PunktParameters()
    model.abbrev_types.update(english.ABBREV_TYPES)
    model.collocations.update(english.COLLOCATIONS)
    model.sent_starters.update(english.SENT_STARTERS)
    model.ortho_context.update(english.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(model)


def split_words(text: str) -> list[str]:
    """The words of a text in their order (see above for what a word is)."""
    return text.split()


def repeated_share(items: Sequence[object]) -> float:
    """Occurrences of items that occur more than once / all items; 0 of none."""
    return sum(count for count in Counter(items).values() if count > 1) / len(items) if items else 0.0


def one_minus_type_token_ratio(items: Sequence[object]) -> float:
    """1 - distinct items / all items; 0 of none."""
    return 1 - len(set(items)) / len(items) if items else 0.0


def entropy_bits(items: Sequence[object]) -> float:
    """Shannon entropy, in bits, of the items' distribution; 0 of none."""
    return sum(-count / len(items) * math.log2(count / len(items)) for count in Counter(items).values()) + 0.0


def diversity(vectors: NDArray[np.floating[Any]]) -> float:
    """1 - mean cosine similarity over all pairs of rows; 1 for fewer than two rows.

    `vectors`: [sentences, dimensions], each of unit length. Over all ordered pairs the similarities add up to the
    squared length of the summed vector, less that of each vector with itself.
    """
    count = len(vectors)
    if count < 2:
        return 1.0
    exact = vectors.astype(np.float64)
    total = exact.sum(axis=0)
    return float(1 - (total @ total - (exact * exact).sum()) / (count * (count - 1)))


LEXICAL: dict[str, Callable[[list[str], list[tuple[str, str]]], float]] = {
    "repetition": lambda sentences, _: repeated_share(sentences),
    "one_minus_ttr": lambda sentences, _: one_minus_type_token_ratio(sentences),
    "repeated_ngrams": lambda _, bigrams: repeated_share(bigrams),
    "entropy_bits": lambda sentences, _: entropy_bits(sentences),
}
"""The measures of (sentences, word bigrams) by name; `diversity`, of the embeddings, joins them in the result."""


def reasoning_metrics(
    responses: Sequence[tuple[int, str]], embed: Embed, *, budget: int, seed: int, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """The five measures, each averaged over responses, with 95 % intervals.

    `responses`: (question id, text within the budget, without the prompt). `embed` is called once, with all distinct
    sentences. JSON-able: `responses`, `questions`, and `metrics`: repetition, one_minus_ttr, repeated_ngrams and
    diversity as fractions, entropy_bits in bits, each with value, low, high and n (questions: intervals are over these,
    with all their responses). `budget`: tokens that a response has at most, and so sentences. Raises DataError if
    `embed` does not give one vector a sentence.
    """
    split = [split_sentences(text) for _, text in responses]
    vectors, places = _embedded(split, embed)
    measured: dict[str, list[float]] = {name: [] for name in [*LEXICAL, "diversity"]}
    for (_, text), sentences in zip(responses, split, strict=True):
        bigrams = list(pairwise(split_words(text)))
        for name, measure in LEXICAL.items():
            measured[name].append(measure(sentences, bigrams))
        measured["diversity"].append(diversity(vectors[[places[sentence] for sentence in sentences]]))
    questions = [question for question, _ in responses]
    most = {"entropy_bits": math.log2(max(2, budget)), "diversity": 2.0}
    return {
        "responses": len(responses),
        "questions": len(set(questions)),
        "metrics": {
            name: _interval(values, questions, most.get(name, 1.0), seed, resamples)
            for name, values in measured.items()
        },
    }


def _embedded(split: Sequence[Sequence[str]], embed: Embed) -> tuple[NDArray[np.float32], Mapping[str, int]]:
    """Unit vectors of all distinct sentences, and the row of each."""
    distinct = list(dict.fromkeys(sentence for sentences in split for sentence in sentences))
    places = {sentence: row for row, sentence in enumerate(distinct)}
    if not distinct:
        return np.zeros((0, 1), np.float32), places
    vectors = np.asarray(embed(distinct), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(distinct):
        raise DataError(f"embedding: vectors of shape {vectors.shape} for {len(distinct)} sentences; check the model")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise DataError("embedding: a sentence's vector is zero or not a number; check the model")
    return vectors / lengths, places


def _interval(
    values: Sequence[float], questions: Sequence[int], most: float, seed: int, resamples: int
) -> dict[str, Any]:
    """The mean over responses; a question's statistics are the sum over its responses and their number."""
    rows = {question: row for row, question in enumerate(dict.fromkeys(questions))}
    statistics = np.zeros((len(rows), 2))
    for question, value in zip(questions, values, strict=True):
        statistics[rows[question]] += (value, 1)
    return asdict(bootstrap(statistics, ratio, mean_between(0.0, most), seed=seed, resamples=resamples))


def write_reasoning(
    *,
    judgments: str,
    metrics: str,
    embedder: str,
    budgets: Sequence[int],
    settings: Mapping[str, Any],
    seed: int,
    resamples: int,
) -> None:
    """Write the quality measures of a discriminator's responses, cut at each of the budgets, with their settings.

    Questions of which a request failed are left out.
    """
    found = read_judgments(judgments)
    unanswered = {judgment.question_id for judgment in found if judgment.finish_reason == UNANSWERED}
    answered = [judgment for judgment in found if judgment.question_id not in unanswered]
    embed = load_embedder(embedder, device="cpu")
    measured = {}
    for budget in budgets:
        responses = [(judgment.question_id, text_within(judgment, budget)) for judgment in answered]
        measured[str(budget)] = reasoning_metrics(responses, embed, budget=budget, seed=seed, resamples=resamples)
    write_json(metrics, {"settings": settings, "budgets": measured})

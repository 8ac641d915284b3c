"""Two rows of the models table as one model: loading, refusals, choices, identity, costs, the journal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from letters import WORDS, save
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.parquet import read_judgments, write_judgments
from sqljudge.core.records import Candidate, CandidateSet, Question
from sqljudge.experiments.config import read_models
from sqljudge.models.engines import load_backend, spec_of
from sqljudge.models.engines.base import ChoiceRequest, Completion, Failure, GenerationRequest, ModelSpec, Prompt
from sqljudge.models.engines.routed import small_name
from sqljudge.models.engines.router import Router, Trained, load_router, save_router
from sqljudge.models.engines.weights import Route, parse_route
from sqljudge.models.session import Session
from sqljudge.stages.force import force
from sqljudge.stages.judge import judge
from sqljudge.stages.prompts import Framing, PromptTemplate
from sqljudge.stages.score import score_judgments

TEXTS = ["a:", "abc:", "hello:", "z" * 30 + ":", "b:", "lorem:"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "small": save(root / "small", "qwen2", 1),
        "large": save(root / "large", "qwen2", 2, hidden_size=48),
        "padded": save(root / "padded", "qwen2", 2, vocab_size=49),
        "filled": save(root / "filled", "qwen2", 3, [*WORDS, "[PAD32]", "[PAD33]"], vocab_size=52),
        "other": save(root / "other", "qwen2", 3, [*WORDS[:-1], "Z"]),
        "short": save(root / "short", "qwen2", 4, max_position_embeddings=24),
    }


HEAD = "name\tsource\trevision\tbackend\tdtype\tquantization\n"


@pytest.fixture
def spec(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], ModelSpec]:
    """Reads the model of a source from a table that lists all tiny models below it."""

    def read(source: str) -> ModelSpec:
        rows = [f"{name}\t{path}\t-\ttransformers\tfloat32\tnone\n" for name, path in folders.items()]
        (tmp_path / "models.tsv").write_text(HEAD + f"two\t{source}\t-\trouted\t-\t-\n" + "".join(rows))
        return read_models(tmp_path / "models.tsv")["two"]

    return read


def generated(backend: Any, temperature: float = 0.0) -> list[Completion]:
    requests = [GenerationRequest(Prompt(text), 12, temperature, seed=4) for text in TEXTS]
    found = dict(backend.generate(requests))
    return [found[i] for i in range(len(requests))]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize(("rule", "alone"), [("never", 0), ("always", 1)])
def test_routed_to_one_model_it_says_what_that_model_says(
    spec: Callable[[str], ModelSpec], rule: str, alone: int, temperature: float
) -> None:
    two = spec(f"small+large?{rule}")
    own = generated(load_backend(two.parts[alone], device="cpu"), temperature)
    assert len({one.token_ids for one in own}) > 3
    for one, other in zip(generated(load_backend(two, device="cpu"), temperature), own, strict=True):
        assert (one.text, one.token_ids, one.finish_reason) == (other.text, other.token_ids, other.finish_reason)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)


@pytest.mark.parametrize("rule", ["never", "always", "random=0.5", "entropy=2.5"])
def test_a_choice_is_the_model_s_that_would_give_the_token(spec: Callable[[str], ModelSpec], rule: str) -> None:
    two = spec(f"small+large?{rule}")
    requests = [ChoiceRequest(Prompt(text), ("b", "a"), alone=True) for text in [*TEXTS, TEXTS[1]]]
    backend = load_backend(two, device="cpu")
    found = dict(backend.choose(requests))
    own = [dict(load_backend(part, device="cpu").choose(requests)) for part in two.parts]
    first = generated(backend)
    routed = [bool(first[i % len(TEXTS)].routed[:1] == (0,)) for i in range(6)] + [first[1].routed[:1] == (0,)]
    for i in range(len(requests)):
        given = own[routed[i]][i]
        assert found[i].probabilities == pytest.approx(given.probabilities, rel=1e-4)
        assert found[i].large_tokens == (given.prompt_tokens if routed[i] else 0)
    if "=" in rule:
        assert len(set(routed)) == 2


def test_a_vocabulary_with_padding_is_cut_to_the_tokens(spec: Callable[[str], ModelSpec]) -> None:
    for source in ("small+padded", "padded+small", "filled+small", "filled+padded"):
        backend = load_backend(spec(f"{source}?random=0.5"), device="cpu")
        found = generated(backend)
        assert backend.vocabulary == len(WORDS), source
        assert {token for one in found for token in one.token_ids} <= set(range(len(WORDS)))
        assert any(one.routed for one in found)
    assert load_backend(spec("small+large?never"), device="cpu").vocabulary is None


@pytest.mark.parametrize("source", ["small+other", "other+small"])
def test_models_with_different_tokenizers_are_refused(spec: Callable[[str], ModelSpec], source: str) -> None:
    with pytest.raises(ModelError, match=r"model 'two': .* have different tokenizers \(2 tokens or ids differ\)"):
        generated(load_backend(spec(f"{source}?always"), device="cpu"))


def test_the_shorter_context_counts(spec: Callable[[str], ModelSpec]) -> None:
    found = generated(load_backend(spec("small+short?never"), device="cpu"))
    assert [isinstance(one, Failure) for one in found] == [len(text) + 12 > 24 for text in TEXTS]


@pytest.mark.parametrize(
    ("source", "route"),
    [
        ("a+b?never", Route("a", "b", "never")),
        ("a-0.5b+b-1.5b?entropy=1.25", Route("a-0.5b", "b-1.5b", "entropy", 1.25)),
        ("a+b?router=results/routers/x", Route("a", "b", "router", None, "results/routers/x")),
        ("a+b?router=x&threshold=0.4", Route("a", "b", "router", 0.4, "x")),
        ("a+b?random=1", Route("a", "b", "random", 1.0)),
        ("a+b?random=0", Route("a", "b", "random", 0.0)),
    ],
)
def test_a_source_names_two_models_and_a_rule(source: str, route: Route) -> None:
    assert parse_route(ModelSpec("two", source)) == route


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("small", "not two models and one rule"),
        ("small+large", "not two models and one rule"),
        ("+large?never", "not two models and one rule"),
        ("small+large+other?never", "not two models and one rule"),
        ("small+large?never&always", "not two models and one rule"),
        ("small+large?entropie=1", "did you mean 'entropy'"),
        ("small+large?never=1", "takes no number"),
        ("small+large?router", "needs the router's file"),
        ("small+large?router=a&threshold=2", "'threshold' needs a number of at least 0 and at most 1"),
        ("small+large?router=a&share=0.5", "not two models and one rule"),
        ("small+large?entropy", "needs a number of at least 0, as in entropy=0.5"),
        ("small+large?entropy=-1", "needs a number of at least 0, as in"),
        ("small+large?entropy=inf", "needs a number"),
        ("small+large?random=nan", "needs a number of at least 0 and at most 1"),
        ("small+large?random=1.5", "at least 0 and at most 1"),
        ("smal+large?never", "model 'smal' is not in the table; did you mean 'small'"),
        ("small+two?never", "model 'two' has the backend 'routed'; only"),
    ],
)
def test_a_malformed_source_is_refused_with_its_line(spec: Callable[[str], ModelSpec], source: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"models\.tsv, line 2: ") as error:
        spec(source)
    assert said in str(error.value)


def test_a_row_as_a_rule_gives_it_is_the_same_model(spec: Callable[[str], ModelSpec]) -> None:
    two = spec("small+large?never")
    row = json.loads(json.dumps(asdict(two)))
    assert spec_of(row, []) == two
    unpacked = spec_of(row, ["results/models/large"])
    assert [part.source for part in unpacked.parts] == [two.parts[0].source, "results/models/large"]


def test_the_identity_tells_models_rules_and_thresholds_apart(spec: Callable[[str], ModelSpec]) -> None:
    sources = ["small+large?never", "small+large?always", "large+small?never", "small+padded?never"]
    sources += ["small+large?entropy=1", "small+large?entropy=1.5", "small+large?random=1"]
    found = [json.dumps(load_backend(spec(source), device="cpu").identity()) for source in sources]
    assert len(set(found)) == len(found)
    small = load_backend(spec("small+large?never").parts[0], device="cpu").identity()
    assert small["revision"] in found[0], "the weights of both are part of it"


def test_the_journal_answers_smaller_budgets_and_says_what_each_model_cost(
    spec: Callable[[str], ModelSpec], tmp_path: Path
) -> None:
    backend = load_backend(spec("small+large?random=0.5"), device="cpu")
    request = GenerationRequest(Prompt("hello:"), 12)
    first = Session(backend, tmp_path / "journal", "job")
    (whole,) = first.complete([request])
    assert isinstance(whole, Completion)
    assert 0 < len(whole.routed) < len(whole.token_ids)
    again = Session(load_backend(backend.spec, device="cpu"), tmp_path / "journal", "job")
    assert again.complete([request, replace(request, max_new_tokens=5)]) == [whole, whole.cut(5)]
    for session in (first, again):
        report = session.report()
        assert report["routed_tokens"] == len(whole.routed)
        assert report["large_tokens"] == whole.prompt_tokens + max(whole.routed)
    assert again.usage.from_journal == 1


@pytest.mark.parametrize("rule", ["never", "always", "random=0.4", "entropy=2.5"])
def test_what_the_large_model_read_stands_in_judgments_and_scores(
    spec: Callable[[str], ModelSpec], tmp_path: Path, rule: str
) -> None:
    """At the full budget a job's scores add up to what the job recorded of itself; at smaller ones to no more."""
    session = Session(load_backend(spec(f"small+large?{rule}"), device="cpu"), None, "job")
    sets = [CandidateSet(i, (Candidate(text),)) for i, text in enumerate(TEXTS)]
    pairs = [(Question(i, "db", text, "x", "", "easy"), text) for i, text in enumerate(TEXTS)]
    template = PromptTemplate("${question}${sql}", "")
    how: dict[str, Any] = {"method": "reasoning", "template": template, "framing": Framing("raw")}
    write_judgments(tmp_path / "judgments", judge(session, pairs, budget=12, **how))
    judgments = read_judgments(tmp_path / "judgments")
    read = session.usage.large_tokens
    assert (read > 0) == (rule != "never")

    def large(budget: int) -> int:
        scores = score_judgments(sets, judgments, budget=budget, scoring="soft", mode="naive", executable=None)
        return sum(score.large_tokens for score in scores)

    assert large(12) == read
    assert large(3) == sum(
        each.prompt_tokens + max(position for position in each.routed if position < 3)
        for each in judgments
        if min(each.routed, default=9) < 3
    )
    closing = PromptTemplate("z", "z:")
    verdicts = force(session, pairs, judgments, closing=closing, budgets=[3, 12], **how)
    for verdict, judgment in zip(verdicts[::2], judgments, strict=True):
        whole = judgment.prompt_tokens + verdict.tokens  # what a verdict is read after, but for what closes the thought
        assert verdict.large_tokens == judgment.large_tokens(3) or verdict.large_tokens > whole
        assert verdict.prompt_tokens == judgment.prompt_tokens
    if rule in ("never", "always"):
        asked_large = [verdict.large_tokens > 0 for verdict in verdicts]
        assert set(asked_large) == {rule == "always"}


def test_the_journal_of_another_model_says_nothing_of_routes(spec: Callable[[str], ModelSpec], tmp_path: Path) -> None:
    backend = load_backend(spec("small+large?never").parts[0], device="cpu")
    session = Session(backend, tmp_path, "job")
    session.complete([GenerationRequest(Prompt("hello:"), 4)])
    session.choose([ChoiceRequest(Prompt("a:"), ("b",), alone=True)])
    text = (tmp_path / "job.jsonl").read_text()
    assert "token_ids" in text
    assert "routed" not in text
    assert "large_tokens" not in text


def router_for(backend: Any, path: Path, threshold: float, **other: Any) -> Path:
    torch.manual_seed(5)
    router = Router(other.get("width", 32), 20)
    save_router(path, Trained(router, threshold, other.get("small", small_name(backend.identity()))))
    return path


def test_a_router_reads_logits_hidden_state_and_token_of_the_small_model(
    spec: Callable[[str], ModelSpec], tmp_path: Path
) -> None:
    small = load_backend(spec("small+large?never").parts[0], device="cpu")
    path = router_for(small, tmp_path / "router", 0.5)
    found = generated(load_backend(spec(f"small+large?router={path}"), device="cpu"))
    odds = []
    router = load_router(path).router
    for text, one in zip(TEXTS, found, strict=True):
        ids = small.encode(Prompt(text))
        with torch.inference_mode():
            seen = small.model(torch.tensor([[*ids, *one.token_ids]]), output_hidden_states=True)
            logits, hidden = (each[0, len(ids) - 1 : -1] for each in (seen.logits, seen.hidden_states[-1]))
            embedded = small.model.get_input_embeddings().weight[logits.argmax(-1)]
            odds.append(router(logits.sort(descending=True).values[:, :20], hidden, embedded))
        assert one.routed == tuple(i for i, each in enumerate(odds[-1].tolist()) if each >= 0)
    middle = float(torch.cat(odds).sigmoid().median())
    mixed = generated(load_backend(spec(f"small+large?router={path}&threshold={middle}"), device="cpu"))
    assert 0 < sum(len(one.routed) for one in mixed) < sum(len(one.token_ids) for one in mixed)


@pytest.mark.parametrize(("threshold", "like"), [(0, "always"), (1, "never")])
def test_the_threshold_of_a_source_goes_before_the_router_s_own(
    spec: Callable[[str], ModelSpec], tmp_path: Path, threshold: int, like: str
) -> None:
    small = load_backend(spec("small+large?never").parts[0], device="cpu")
    path = router_for(small, tmp_path / "router", 0.5)
    found = generated(load_backend(spec(f"small+large?router={path}&threshold={threshold}"), device="cpu"))
    assert found == generated(load_backend(spec(f"small+large?{like}"), device="cpu"))


def test_a_router_is_part_of_the_identity_and_fits_one_small_model(
    spec: Callable[[str], ModelSpec], tmp_path: Path
) -> None:
    small = load_backend(spec("small+large?never").parts[0], device="cpu")
    one = router_for(small, tmp_path / "one", 0.5)
    other = router_for(small, tmp_path / "other", 0.6)
    said = [load_backend(spec(f"small+large?router={path}"), device="cpu").identity() for path in (one, other)]
    said.append(load_backend(spec(f"small+large?router={one}&threshold=0.6"), device="cpu").identity())
    assert len({json.dumps(each) for each in said}) == 3
    for wrong, told in (({"width": 16}, "width 16"), ({"small": "other 1"}, "weights other 1")):
        path = router_for(small, tmp_path / "wrong", 0.5, **wrong)
        with pytest.raises(ModelError, match=f"model 'two': the router .* {told}, but 'small' has"):
            generated(load_backend(spec(f"small+large?router={path}"), device="cpu"))
    (tmp_path / "wrong").write_bytes(b"{}")
    for path in (tmp_path / "wrong", tmp_path / "none"):
        with pytest.raises(ModelError, match=f"router {path}: cannot be read"):
            load_backend(spec(f"small+large?router={path}"), device="cpu").identity()


def test_models_that_attend_to_a_window_are_refused(spec: Callable[[str], ModelSpec], tmp_path: Path) -> None:
    two = spec("small+large?never")
    windowed = save(tmp_path / "windowed", "qwen2", 1, use_sliding_window=True, sliding_window=4, max_window_layers=0)
    two = replace(two, parts=(two.parts[0], replace(two.parts[1], source=str(windowed))))
    with pytest.raises(ModelError, match="'large' attends to a window"):
        generated(load_backend(two, device="cpu"))

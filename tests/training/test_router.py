"""Labels of a router, against a plain reckoning of our own, and its training on what can be learnt."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from letters import save
from sqljudge.core.errors import DataError
from sqljudge.core.records import Candidate, CandidateSet, Judgment, Question, write_jsonl
from sqljudge.experiments.config import read_models
from sqljudge.models.engines import load_backend
from sqljudge.models.engines.base import ChoiceRequest, GenerationRequest, ModelSpec, Prompt
from sqljudge.models.engines.router import Router, load_router, save_router
from sqljudge.models.engines.transformers import TransformersBackend, load
from sqljudge.models.session import Session
from sqljudge.stages.force import SPELLINGS, WORDS, Thought
from sqljudge.stages.judge import judge_pool
from sqljudge.training import router as module
from sqljudge.training.router import (
    SHARES,
    Examples,
    Labelling,
    Recipe,
    is_held_out,
    label_tokens,
    proposals,
    refuse_evaluated,
    scores,
    threshold_of,
    thresholds_of,
    train,
    train_router,
)
from torch.distributions import Categorical

TEXTS = ["a:", "abc:", "hello:", "lorem:"]
CLOSING = "zz:"


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> tuple[TransformersBackend, TransformersBackend]:
    root = tmp_path_factory.mktemp("models")
    folders = save(root / "small", "qwen2", 1), save(root / "large", "qwen2", 2, hidden_size=48)
    small, large = (load(ModelSpec(folder.name, str(folder), dtype="float32"), "cpu") for folder in folders)
    return small, large


def thoughts_of(large: TransformersBackend, budget: int = 10, marker: str = "no such text") -> list[Thought]:
    """The large model's responses to the texts."""
    found = dict(large.generate([GenerationRequest(Prompt(text), budget) for text in TEXTS]))
    judgments: list[Any] = [
        Judgment(
            i,
            "SELECT 1",
            response=found[i].text,  # type: ignore[union-attr]
            token_ids=found[i].token_ids,  # type: ignore[union-attr]
            token_ends=found[i].token_ends,  # type: ignore[union-attr]
            budget=budget,
        )
        for i in range(len(TEXTS))
    ]
    return [Thought(Prompt(text), each, CLOSING, marker) for text, each in zip(TEXTS, judgments, strict=True)]


def test_a_proposal_is_what_the_small_model_says_after_the_tokens_before_it(backends: Any) -> None:
    small, large = backends
    for thought in thoughts_of(large):
        response = thought.judgment.token_ids
        (top, hidden, embedded), tokens = proposals(small, thought.prompt, response)
        assert len(tokens) == len(top) == len(hidden) == len(embedded) == len(response)
        for position in range(len(response)):
            ids = [*small.encode(thought.prompt), *response[:position]]
            with torch.inference_mode():
                seen = small.model(torch.tensor([ids]), output_hidden_states=True)
            logits = seen.logits[0, -1]
            assert tokens[position] == int(logits.argmax())
            assert top[position].tolist() == pytest.approx(sorted(logits.tolist(), reverse=True), abs=1e-3)
            assert hidden[position].tolist() == pytest.approx(seen.hidden_states[-1][0, -1].tolist(), abs=1e-3)
            own = small.model.get_input_embeddings().weight[tokens[position]]
            assert torch.equal(embedded[position], own.detach())


def forced(large: TransformersBackend, text: str) -> float:
    ((_, choice),) = large.choose([ChoiceRequest(Prompt(text.rstrip() + CLOSING), WORDS, SPELLINGS)])
    true, false = choice.probabilities  # type: ignore[union-attr]
    return float(true / (true + false))


@pytest.mark.parametrize(("span", "tolerance"), [(1, 0.1), (4, 0.02), (4, 0.3)])
def test_a_token_diverges_where_it_moves_the_forced_verdict(backends: Any, span: int, tolerance: float) -> None:
    """Reckoned again with the large model alone, one position at a time."""
    small, large = backends
    thoughts = thoughts_of(large)
    examples = label_tokens(small, Session(large, None, "job"), thoughts, Labelling(span, tolerance))
    expected = []
    for thought in thoughts:
        judgment = thought.judgment
        _, tokens = proposals(small, thought.prompt, judgment.token_ids)
        for position, (proposed, taken) in enumerate(zip(tokens, judgment.token_ids, strict=True)):
            if proposed == taken:
                expected.append(0.0)
                continue
            before = thought.prompt.text + large.decode(judgment.token_ids[:position])
            one = before + small.decode([proposed])
            if proposed not in small.end_ids and "?" not in one:
                ((_, gone),) = large.generate([GenerationRequest(Prompt(one), span, stop=("?",))])
                one += gone.text  # type: ignore[union-attr]
            other = thought.prompt.text + large.decode(judgment.token_ids[: position + span + 1])
            start = len(before)
            if "?" in other[start:]:
                other = other[: other.index("?", start) + 1]
            p, q = forced(large, one), forced(large, other)
            expected.append(float((p >= 0.5) != (q >= 0.5) or abs(p - q) >= tolerance))
    assert examples.labels.tolist() == expected
    assert examples.questions == [i for i, each in enumerate(thoughts) for _ in each.judgment.token_ids]
    if tolerance < 0.3:
        assert 0 < sum(expected) < len(expected)


def test_in_the_answer_after_a_thought_every_difference_counts(backends: Any) -> None:
    small, large = backends
    session = Session(large, None, "job")
    thoughts = thoughts_of(large)
    marked = [replace(thought, marker=thought.judgment.response[:1]) for thought in thoughts]
    found = label_tokens(small, session, marked)
    assert session.usage.requests <= 3 * len(thoughts), "nothing is asked but of a first token"
    after = [i for i, position in enumerate(p for t in thoughts for p in range(len(t.judgment.token_ids))) if position]
    taken = [token for thought in thoughts for token in thought.judgment.token_ids]
    proposed = [token for t in thoughts for token in proposals(small, t.prompt, t.judgment.token_ids)[1]]
    assert [bool(found.labels[i]) for i in after] == [taken[i] != proposed[i] for i in after]


def test_without_responses_there_is_nothing_to_learn(backends: Any) -> None:
    small, large = backends
    with pytest.raises(DataError, match="no response to learn from"):
        label_tokens(small, Session(large, None, "job"), [])


def learnable(questions: int = 40, each: int = 25) -> Examples:
    """Tokens that diverge, one in four, where the first hidden unit is large."""
    draw = torch.Generator().manual_seed(1)
    count = questions * each
    hidden, embedded = torch.randn(count, 12, generator=draw), torch.randn(count, 12, generator=draw)
    top = torch.randn(count, 9, generator=draw).sort(descending=True).values
    labels = (hidden[:, 0] > 0.67).float()
    return Examples((top, hidden, embedded), labels, [i // each for i in range(count)])


def test_it_learns_what_can_be_learnt_and_keeps_what_it_was_trained_for(tmp_path: Path) -> None:
    examples = learnable()
    trained = train(examples, "small 1", Recipe(learning_rate=3e-3, batch=64, epochs=8))
    found = scores(trained.router, examples)
    routed = found.sigmoid() >= trained.threshold
    divergent = examples.labels == 1
    assert routed[divergent].float().mean() > 0.9
    assert routed[~divergent].float().mean() < 0.2
    save_router(tmp_path / "router", trained)
    again = load_router(tmp_path / "router")
    assert (again.threshold, again.small) == (trained.threshold, "small 1")
    assert torch.equal(scores(again.router, examples), found)


def test_the_same_seed_gives_the_same_router() -> None:
    recipe = Recipe(learning_rate=3e-3, epochs=1)
    one, two, other = (train(learnable(), "s", replace(recipe, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(scores(one.router, learnable()), scores(two.router, learnable()))
    assert not torch.equal(scores(one.router, learnable()), scores(other.router, learnable()))


def test_of_questions_that_were_sampled_with_the_same_seed_a_share_is_held_out() -> None:
    """A pool takes those whose digest is small (`data/pool.py`)."""
    drawn = sorted(range(5000), key=lambda i: hashlib.sha256(f"42/{i}".encode()).digest())[:400]
    share = sum(is_held_out(question, Recipe(seed=42)) for question in drawn) / len(drawn)
    assert share == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("labels", [0.0, 1.0])
def test_tokens_of_one_kind_alone_teach_nothing(labels: float) -> None:
    examples = learnable(10)
    with pytest.raises(DataError, match="tokens of the questions trained on diverge; both kinds are needed"):
        train(replace(examples, labels=torch.full_like(examples.labels, labels)), "s")


@pytest.mark.parametrize(("recall", "threshold"), [(1.0, 0.2), (0.75, 0.4), (0.7, 0.4), (0.5, 0.6), (0.01, 0.9)])
def test_the_threshold_routes_fewest_tokens_at_a_recall(recall: float, threshold: float) -> None:
    probabilities = torch.tensor([0.9, 0.2, 0.6, 0.4, 0.99, 0.1])
    labels = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert threshold_of(probabilities, labels, recall) == pytest.approx(threshold)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("rule", ["router", "entropy"])
def test_its_record_says_from_where_so_large_a_share_is_routed(rule: str, share: float) -> None:
    examples, recipe = learnable(), Recipe(seed=2)
    torch.manual_seed(3)
    router = Router(12, 9)
    threshold = thresholds_of(examples, router, recipe)[f"{share:g}"][rule]
    held = torch.tensor([is_held_out(question, recipe) for question in examples.questions])
    top = examples.given[0][held]
    found = scores(router, examples)[held].sigmoid() if rule == "router" else Categorical(logits=top).entropy()
    assert (found >= threshold).float().mean() == pytest.approx(share, abs=2 / len(top))


@pytest.mark.parametrize(("width", "top", "millions"), [(1536, 100, 56)])
def test_at_the_paper_s_width_it_has_the_paper_s_size(width: int, top: int, millions: int) -> None:
    """About 56 million parameters, the inner width being 1,024."""
    with torch.device("meta"):
        router = Router(width, top)
    assert router.joined.out_features == 1024
    assert sum(each.numel() for each in router.parameters()) / 1e6 == pytest.approx(millions, abs=1.5)


def ask(i: int, db_id: str = "shop", text: str = "which?") -> Question:
    return Question(i, db_id, f"{text} {i}", "SELECT 1", "", "easy")


def test_questions_that_are_evaluated_are_refused() -> None:
    refuse_evaluated([ask(1), ask(2)], [ask(1, db_id="zoo"), ask(2, text="what?"), ask(3)])
    with pytest.raises(DataError, match=r"2 of the questions to learn from are evaluated \(first: question 1\)"):
        refuse_evaluated([ask(1), ask(2), ask(4)], [ask(2), ask(1)])


def test_a_job_makes_a_router_that_the_engine_takes(
    backends: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the files of a run: its questions, candidates and judgments."""
    questions = [ask(i, text=chr(97 + i)) for i in range(20)]
    rows = {role: asdict(backend.spec) for role, backend in zip(("small", "large"), backends, strict=True)}
    files = {
        name: str(tmp_path / name) for name in ("questions", "candidates", "judgments", "evaluated", "router", "run")
    }
    write_jsonl(files["questions"], questions)
    write_jsonl(files["candidates"], [CandidateSet(each.id, (Candidate("b;"),)) for each in questions])
    write_jsonl(files["evaluated"], [ask(0, db_id="zoo")])
    (tmp_path / "prompt.txt").write_text("${question}${sql}\n=== answer ===\na:", encoding="utf-8")
    (tmp_path / "closing.txt").write_text("zz\n=== answer ===\nb:", encoding="utf-8")
    given = {"prompt": str(tmp_path / "prompt.txt"), "framing": {"prompt_format": "raw"}}
    shared = {"gpu": 0, "journal": str(tmp_path / "journal"), "failures_tolerated": 0.0}
    judge_pool(
        questions=files["questions"],
        candidates=files["candidates"],
        weights=[],
        judgments=files["judgments"],
        run=str(tmp_path / "judge.json"),
        model=rows["large"],
        method="reasoning",
        budget=8,
        extras={},
        label="judge",
        **given,
        **shared,
    )
    monkeypatch.setattr(module, "Recipe", partial(Recipe, epochs=2, held_out=0.5))
    train_router(
        **{name: file for name, file in files.items() if name != "evaluated"},
        evaluated=[files["evaluated"]],
        closing=str(tmp_path / "closing.txt"),
        unpacked=[],
        models=rows,
        span=4,
        tolerance=0.02,
        seed=1,
        label="route.tiny",
        **given,
        **shared,
    )
    recorded = json.loads((tmp_path / "run").read_text())
    assert 0 < recorded["divergent"] < recorded["tokens"] <= 160
    assert set(recorded["thresholds"]) == {f"{share:g}" for share in SHARES}
    assert recorded["requests"] > 0
    assert (tmp_path / "journal" / "large" / "route.tiny.jsonl").is_file()
    table = ["name\tsource\trevision\tbackend\tdtype\tquantization"]
    table += [f"{role}\t{row['source']}\t-\ttransformers\tfloat32\tnone" for role, row in rows.items()]
    table += [f"two\tsmall+large?router={files['router']}\t-\trouted\t-\t-"]
    (tmp_path / "models.tsv").write_text("\n".join(table), encoding="utf-8")
    backend = load_backend(read_models(tmp_path / "models.tsv")["two"], device="cpu")
    found = dict(backend.generate([GenerationRequest(Prompt(text), 8) for text in TEXTS]))
    assert len(found) == len(TEXTS)
    assert "router" in backend.identity()

"""Labels for a router, and its training: where a small model's token changes what the large model will conclude.

A large model's response is followed token by token. Where the small model would take another token, the large one goes
on from both to the sentence's end, and the verdict is forced there (`stages/force.py`). The token counts as divergent
if that moves the verdict or its probability. The paper asks a third, larger model whether the meaning differs; but what
this task scores is the verdict, and the large model itself gives it in one forward pass. Continuations are requests as
any others, by text, so that the journal keeps them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from sqljudge.core.errors import DataError
from sqljudge.core.files import write_json
from sqljudge.core.parquet import read_judgments
from sqljudge.core.records import CORRECT_THRESHOLD, Question, read_jsonl
from sqljudge.models.engines.base import Choice, ChoiceRequest, Completion, GenerationRequest, ModelSpec, Prompt
from sqljudge.models.engines.prefill import forward
from sqljudge.models.engines.routed import RoutedBackend, small_name
from sqljudge.models.engines.router import TOP, Features, Router, Trained, features, save_router
from sqljudge.models.engines.routing import last_hidden
from sqljudge.models.engines.tokenizer import REPLACEMENT
from sqljudge.models.engines.transformers import TransformersBackend
from sqljudge.models.engines.weights import Route
from sqljudge.models.session import Session, model_sessions
from sqljudge.stages.force import SPELLINGS, WORDS, Thought, read_closing, read_thoughts
from sqljudge.stages.judge import read_pairs
from sqljudge.stages.prompts import Framing, read_template

SENTENCE_ENDS = (".", "?", "!", "\n")
"""What ends the sentence in which the models part."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """`span`: most tokens that the large model goes on by; `tolerance`: from which change of the forced verdict's
    probability two continuations differ; `vocabulary`: as in `RoutedBatch`.
    """

    span: int = 32
    tolerance: float = 0.1
    vocabulary: int | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """n proposals of a small model: what a router reads of each, whether it diverges, 0 or 1, and its question."""

    given: Features
    labels: torch.Tensor
    questions: Sequence[int]


@torch.inference_mode()
def proposals(
    small: TransformersBackend, prompt: Prompt, response: Sequence[int], vocabulary: int | None = None
) -> tuple[Features, list[int]]:
    """What the small model proposes in place of each of a response's n tokens, having read those before it.

    Gives what a router reads of each proposal, on the CPU, and the tokens.
    """
    asked = small.encode(prompt)
    ids = torch.tensor([[*asked, *response[:-1]]], device=small.model.device)
    with last_hidden(small.model) as hidden:
        logits = forward(small.model, None, len(response), input_ids=ids)[0, :, :vocabulary]
    tokens = logits.argmax(-1)
    top = min(TOP, logits.shape[-1])
    read = features(logits, hidden[0], tokens, small.model.get_input_embeddings(), top)
    return (read[0].cpu(), read[1].cpu(), read[2].cpu()), tokens.tolist()


@dataclass(frozen=True, slots=True)
class _Parting:
    """A position at which the small model proposes another token.

    `thought`: which of them; `proposed`: the response up to that token; `ended`: whether its sentence ends there.
    """

    thought: int
    position: int
    proposed: str
    ended: bool


def label_tokens(
    small: TransformersBackend, large: Session, thoughts: Sequence[Thought], how: Labelling | None = None
) -> Examples:
    """Examples from the large model's responses to prompts, a `Thought` each.

    In the answer that follows a thought every difference counts: it is short, and its verdict is one token. So does a
    token that holds a part of a character, which no text can show. Raises DataError where there is no response.
    """
    how = how or Labelling()
    thoughts = [thought for thought in thoughts if thought.judgment.token_ids]
    if not thoughts:
        raise DataError("there is no response to learn from; judge the pool with the large model first")
    read: list[Features] = []
    labels: list[torch.Tensor] = []
    partings: list[_Parting] = []
    for number, thought in enumerate(thoughts):
        judgment = thought.judgment
        given, proposed = proposals(small, thought.prompt, judgment.token_ids, how.vocabulary)
        differ = torch.tensor(proposed) != torch.tensor(judgment.token_ids)
        read.append(given)
        labels.append(differ.float())
        end = judgment.response.find(thought.marker)
        for position in differ.nonzero()[:, 0].tolist():
            start = judgment.token_ends[position - 1] if position else 0
            text = small.decode([proposed[position]])
            if REPLACEMENT not in text and not 0 <= end <= start:
                ended = proposed[position] in small.end_ids or any(mark in text for mark in SENTENCE_ENDS)
                partings.append(_Parting(number, position, judgment.response[:start] + text, ended))
    for parting, divergent in zip(partings, _diverge(large, thoughts, partings, how), strict=True):
        labels[parting.thought][parting.position] = float(divergent)
    columns = (torch.cat(column) for column in zip(*read, strict=True))
    top, hidden, embedded = columns
    questions = [t.judgment.question_id for t in thoughts for _ in t.judgment.token_ids]
    return Examples((top, hidden, embedded), torch.cat(labels), questions)


def _diverge(large: Session, thoughts: Sequence[Thought], partings: Sequence[_Parting], how: Labelling) -> list[bool]:
    """Whether each parting moves the verdict that is forced at the end of its sentence; so does one unanswered."""
    requests = []
    for parting in partings:
        prompt = thoughts[parting.thought].prompt
        if not parting.ended:
            begun = Prompt(prompt.text + parting.proposed, prompt.special)
            requests.append(GenerationRequest(begun, how.span, stop=SENTENCE_ENDS))
    went = iter(large.complete(requests))
    asked = []
    for parting in partings:
        thought = thoughts[parting.thought]
        text = parting.proposed
        if not parting.ended and isinstance(gone := next(went), Completion):
            text += gone.text
        for each in (text, _own(thought, parting.position, how.span)):
            thought_only = each.partition(thought.marker)[0]
            closed = (thought.prompt.text + thought_only).rstrip() + thought.closing
            asked.append(ChoiceRequest(Prompt(closed, thought.prompt.special), WORDS, SPELLINGS))
    found = [_probability(choice) if isinstance(choice, Choice) else None for choice in large.choose(asked)]
    return [_differ(one, other, how.tolerance) for one, other in zip(found[::2], found[1::2], strict=True)]


def _own(thought: Thought, position: int, span: int) -> str:
    """The response itself up to the end of the sentence at a position, or `span` tokens after it."""
    judgment = thought.judgment
    ends = judgment.token_ends
    start, last = ends[position - 1] if position else 0, ends[min(position + span, len(ends) - 1)]
    following = judgment.response[start:last]
    found = [at + 1 for mark in SENTENCE_ENDS if (at := following.find(mark)) >= 0]
    return judgment.response[:start] + following[: min(found, default=len(following))]


def _probability(choice: Choice) -> float:
    true, false = choice.probabilities
    return true / (true + false) if true + false else CORRECT_THRESHOLD


def _differ(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return True
    return (one >= CORRECT_THRESHOLD) != (other >= CORRECT_THRESHOLD) or abs(one - other) >= tolerance


# Training


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a router is trained; the defaults are the paper's program's.

    `held_out`: share of questions whose examples choose the epoch and the threshold. `patience`: epochs without a lower
    loss on them that end the training. `recall`: share of their divergent tokens that the threshold must catch.
    """

    learning_rate: float = 5e-5
    weight_decay: float = 5e-4
    batch: int = 1024
    epochs: int = 50
    patience: int = 10
    held_out: float = 0.2
    recall: float = 0.95
    seed: int = 0


def train(examples: Examples, small: str, recipe: Recipe | None = None) -> Trained:
    """A router from examples. `small`: the model that proposed (`routed.small_name`).

    Cross-entropy, divergent tokens weighted by how much rarer they are. Raises DataError where the questions trained
    on, or those held out, do not have tokens of both kinds.
    """
    recipe = recipe or Recipe()
    held = torch.tensor([is_held_out(question, recipe) for question in examples.questions])
    labels = examples.labels
    for what, part in (("trained on", labels[~held]), ("held out", labels[held])):
        if not 0 < part.sum() < len(part):
            count = f"{int(part.sum())} of {len(part)} tokens of the questions {what} diverge"
            raise DataError(f"router: {count}; both kinds are needed: take more questions")
    torch.manual_seed(recipe.seed)
    router = Router(examples.given[1].shape[1], examples.given[0].shape[1])
    weight = (~held & (labels == 0)).sum() / (~held & (labels == 1)).sum()
    optimizer = torch.optim.AdamW(router.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    order = torch.Generator().manual_seed(recipe.seed)
    known = (~held).nonzero()[:, 0]
    best, state, since = math.inf, router.state_dict(), 0
    for _ in range(recipe.epochs):
        router.train()
        shuffled = known[torch.randperm(len(known), generator=order)]
        for rows in torch.split(shuffled, recipe.batch):
            optimizer.zero_grad()
            odds = router(*(part[rows] for part in examples.given))
            binary_cross_entropy_with_logits(odds, labels[rows], pos_weight=weight).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        odds = scores(router, examples)[held]
        loss = float(binary_cross_entropy_with_logits(odds, labels[held], pos_weight=weight))
        since += 1
        if loss < best:
            best, since = loss, 0
            state = {name: tensor.clone() for name, tensor in router.state_dict().items()}
        if since >= recipe.patience:
            break
    router.load_state_dict(state)
    found = scores(router, examples)[held].sigmoid()
    return Trained(router.eval(), threshold_of(found, labels[held], recipe.recall), small)


@torch.inference_mode()
def scores(router: Router, examples: Examples) -> torch.Tensor:
    """A router's log-odds for all examples [n]."""
    found: torch.Tensor = router.eval()(*examples.given)
    return found.clone()


def threshold_of(probabilities: torch.Tensor, labels: torch.Tensor, recall: float) -> float:
    """The threshold that routes fewest tokens while it catches this share of the divergent ones."""
    divergent = probabilities[labels == 1].sort(descending=True).values
    return float(divergent[math.ceil(recall * len(divergent)) - 1])


SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of tokens that a record of a router gives thresholds for."""


def thresholds_of(examples: Examples, router: Router, recipe: Recipe | None = None) -> dict[str, dict[str, float]]:
    """From which probability of the router, and from which entropy, so large a share of the held-out tokens is routed.

    By share, for `SHARES`. The entropy, in nats, is of the 100 likeliest tokens. Text that two models wrote may have
    another share than the large one's, which this is measured on.
    """
    recipe = recipe or Recipe()
    held = torch.tensor([is_held_out(question, recipe) for question in examples.questions])
    logprobs = examples.given[0][held].log_softmax(-1)
    found = {"router": scores(router, examples)[held].sigmoid(), "entropy": -(logprobs.exp() * logprobs).sum(-1)}
    return {f"{share:g}": {rule: float(each.quantile(1 - share)) for rule, each in found.items()} for share in SHARES}


def is_held_out(question: int, recipe: Recipe) -> bool:
    """Whether a question's examples are not trained on: by its id, though not as a pool's questions are drawn by it."""
    digest = hashlib.sha256(f"held out/{recipe.seed}/{question}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < recipe.held_out


def train_router(
    *,
    questions: str,
    candidates: str,
    judgments: str,
    evaluated: Sequence[str],
    prompt: str,
    closing: str,
    unpacked: Sequence[str],
    router: str,
    run: str,
    models: Mapping[str, Mapping[str, Any]],
    framing: Mapping[str, Any],
    span: int,
    tolerance: float,
    seed: int,
    label: str,
    gpu: int = 0,
    journal: str,
    failures_tolerated: float,
) -> None:
    """Write a router's file, and what its labels cost the large model, with thresholds for some shares of tokens.

    `judgments`: the large model's responses, greedy, to `prompt` about the candidates of the questions. `evaluated`:
    files of questions that tables rest on. `models`: rows of the models table, `small` and `large`; `unpacked`: the
    folders of those that come as GGUF files. `span`, `tolerance`: as in `Labelling`. Raises DataError where a question
    is evaluated, and as `label_tokens` and `train` do.
    """
    pairs, _ = read_pairs(questions, candidates, "", {}, {})
    shown = [each for path in evaluated for each in read_jsonl(path, Question)]
    refuse_evaluated([question for question, _ in pairs], shown)
    with model_sessions(
        models,
        {role: [each for each in unpacked if Path(each).name == row["name"]] for role, row in models.items()},
        gpu=gpu,
        journal=journal,
        labels=dict.fromkeys(models, label),
        failures_tolerated=failures_tolerated,
    ) as sessions:
        small, large = sessions["small"].backend, sessions["large"].backend
        assert isinstance(small, TransformersBackend) and isinstance(large, TransformersBackend)
        names = small.spec.name, large.spec.name
        both = RoutedBackend(ModelSpec(f"{names[0]}+{names[1]}", ""), small, large, Route(*names, "never"))
        thoughts = read_thoughts(
            sessions["large"],
            pairs,
            read_judgments(judgments),
            template=read_template(prompt, required=("question", "sql")),
            closing=read_closing(closing),
            framing=Framing(**framing),
        )
        both.tokenizer  # noqa: B018  (refuses two that differ)
        examples = label_tokens(small, sessions["large"], thoughts, Labelling(span, tolerance, both.vocabulary))
        recipe = Recipe(seed=seed)
        trained = train(examples, small_name(small.identity()), recipe)
        save_router(router, trained)
        counts = {"tokens": len(examples.labels), "divergent": int(examples.labels.sum())}
        shares = thresholds_of(examples, trained.router, recipe)
        write_json(run, {**sessions["large"].report(), **counts, "thresholds": shares})


def refuse_evaluated(questions: Sequence[Question], evaluated: Sequence[Question]) -> None:
    """Raise DataError where a question to learn from is one that tables rest on."""
    known = {(each.db_id, each.question) for each in evaluated}
    found = sorted({each.id for each in questions if (each.db_id, each.question) in known})
    if found:
        what = f"{len(found)} of the questions to learn from are evaluated (first: question {found[0]})"
        raise DataError(f"router: {what}; take the judgments of a run on training questions")

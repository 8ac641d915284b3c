"""A learned judge in a minute on a CPU: a linear head on a frozen model's hidden state, saved as a model.

The model is cut after a layer, and its output layer says Yes or No by the head and nothing else: half of the head's
logit is that of Yes, its opposite that of No, and every other token lies far below. So the probability of Yes is the
head's, and any engine, prompt and stage takes it as it takes any yes/no discriminator; since both logits are about 0,
the few digits of bfloat16 tell close candidates apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.models.engines.prefill import last_states
from sqljudge.training.items import Item
from sqljudge.training.losses import margins
from sqljudge.training.methods import Settings
from sqljudge.training.offline import encode, verdict_words
from sqljudge.training.policy import Policy
from sqljudge.training.tasks import Task

FAR = 100.0
"""How far below Yes and No every other token lies, about."""


def cut(model: Any, layer: int) -> Any:
    """The model with its first `layer` layers alone (-1: all). Raises ConfigError where it has fewer."""
    layers = model.model.layers
    count = len(layers) if layer == -1 else layer
    if not 0 < count <= len(layers):
        raise ConfigError(f"layer is {layer}; the model has layers 1 to {len(layers)}, and -1 is the last")
    model.model.layers = layers[:count]
    model.config.num_hidden_layers = count
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = list(model.config.layer_types)[:count]
    return model


@torch.inference_mode()
def features(model: Any, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
    """The hidden state that the output layer sees at each sequence's end, float64 [sequences, hidden]."""
    distinct = sorted({tuple(sequence) for sequence in sequences})
    states = torch.cat([part.double().cpu() for part in last_states(model, distinct)])
    where = {sequence: place for place, sequence in enumerate(distinct)}
    return states[[where[tuple(sequence)] for sequence in sequences]]


def fit(states: torch.Tensor, labels: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights w of P(right) = sigmoid(w x), by logistic regression, float64 [hidden]; and the constant's.

    The second, c, is what gives about 1 for every state: the mean state by its squared length. It stands for the
    constant that an output layer has not. `states`: [n, hidden]. `strength`: of the L2 penalty, over all rows together,
    on all directions but that of c. Every other direction is scaled by its spread.
    """
    mean = states.mean(0)
    common = mean / mean.norm() ** 2
    spread = (states - mean).std(0).clamp(min=1e-8)
    centred = (states - (states @ common)[:, None] * mean) / spread
    weights = torch.zeros(states.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = centred @ weights[1:] + (states @ common) * weights[0]
        found = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.double())
        found = found + strength * (weights[1:] ** 2).sum() / (2 * len(states))
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        scaled = weights[1:] / spread
        found: torch.Tensor = scaled - (scaled @ mean) * common + weights[0] * common
    return found, common


def train_probe(
    policy: Policy, task: Task, items: Sequence[Item], settings: Settings
) -> tuple[Any, dict[str, Any], int]:
    """The model with the head in it, what is said of the fit, and the tokens that were read.

    Items that are kept for validation are judged after the fit: `auroc`, `pwacc`, and beside them `shorter`, the
    AUROC of taking the shorter query. Raises DataError where one label is missing.
    """
    rows = [encode(policy, task, item, traces=False) for item in items]
    rows = [row for row in rows if len(row.ids) <= settings.longest]
    training = [i for i, row in enumerate(rows) if not row.item.validation]
    if len({rows[i].item.label for i in training}) < 2:
        raise DataError("the training data hold right or wrong candidates alone; a probe needs both")
    frozen = cut(policy.copy(), settings.layer).to(getattr(torch, policy.reads_in))
    states = features(frozen, [row.ids for row in rows])
    labels = torch.tensor([row.item.label or 0 for row in rows])
    yes, no = verdict_words(policy, task, [row.item for row in rows])
    weights, common = fit(states[training], labels[training], settings.strength)
    model = cut(policy.copy(), settings.layer)
    head = torch.nn.Linear(len(weights), model.get_output_embeddings().weight.shape[0], bias=False, dtype=model.dtype)
    with torch.no_grad():
        head.weight[:] = (-FAR * common).to(model.dtype)
        head.weight[yes], head.weight[no] = (weights / 2).to(model.dtype), (-weights / 2).to(model.dtype)
    model.config.tie_word_embeddings = False
    model.set_output_embeddings(head)
    scores = states @ weights
    said: dict[str, Any] = {"step": 1, "accuracy": _share((scores > 0) == (labels == 1), training)}
    held = [i for i, row in enumerate(rows) if row.item.validation]
    if held:
        groups = {row.item.group: place for place, row in enumerate(rows)}
        of = torch.tensor([groups[rows[i].item.group] for i in held])
        short = torch.tensor([-float(len(rows[i].item.sql)) for i in held])
        found = margins(scores[held], labels[held], of)
        said |= {"auroc": area(scores[held], labels[held]), "shorter": area(short, labels[held])}
        said |= {"pwacc": float((found > 0).double().mean()), "pairs": len(found)}
    return model, said, sum(len(row.ids) for row in rows)


def _share(right: torch.Tensor, which: Sequence[int]) -> float:
    return float(right[which].double().mean())


def area(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """AUROC: how often a right candidate scores above a wrong one, of any question; a tie counts half."""
    gaps = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    return float(((gaps > 0).double() + (gaps == 0).double() / 2).mean())

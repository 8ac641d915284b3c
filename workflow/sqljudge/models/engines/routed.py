"""Two transformers models as one backend: a small one proposes tokens, and a large one gives some of them (R2R).

The model's source names both, and the rule that says which gives a token (`weights.parse_route`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from typing import Any

import torch

from sqljudge.core.errors import ModelError
from sqljudge.core.provenance import file_digest
from sqljudge.models.engines import transformers as single
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.batching import Decoder
from sqljudge.models.engines.cache import all_growing, new_cache
from sqljudge.models.engines.prefill import prefill
from sqljudge.models.engines.router import Trained, load_router
from sqljudge.models.engines.routing import (
    Proposals,
    RoutedDecoder,
    Rule,
    always,
    at_random,
    by_entropy,
    by_router,
    last_hidden,
    never,
    read_row,
)
from sqljudge.models.engines.tokenizer import Detokenizer
from sqljudge.models.engines.weights import Route, parse_route

RULES: dict[str, Callable[[float], Rule]] = {
    "always": lambda _: always,
    "never": lambda _: never,
    "random": at_random,
    "entropy": by_entropy,
}
"""The rules that need nothing but their threshold."""
PADDING = re.compile(r"\[PAD\d+\]")
"""What a GGUF file calls the tokens that make its vocabulary as long as the model's."""


def load(spec: ModelSpec, device: str) -> RoutedBackend:
    """Prepare both models; each is loaded when first needed. Raises as the backend `transformers` does."""
    small, large = (single.load(part, device) for part in spec.parts)
    return RoutedBackend(spec, small, large, parse_route(spec))


class RoutedBackend(single.TransformersBackend):
    """A small and a large model that share the work. Prompts are rendered and encoded by the small one's tokenizer.

    Wherever either model ends an answer, it ends.
    """

    def __init__(
        self, spec: ModelSpec, small: single.TransformersBackend, large: single.TransformersBackend, route: Route
    ) -> None:
        super().__init__(spec, small.weights, small.device)
        self.small, self.large, self.route = small, large, route

    @cached_property
    def tokenizer(self) -> Any:
        """The small model's tokenizer. Raises ModelError where the large model has other tokens."""
        one, two = (_tokens(part.tokenizer) for part in (self.small, self.large))
        if one != two:
            what = f"'{self.small.spec.name}' and '{self.large.spec.name}' have different tokenizers"
            differing = f"{len(one.items() ^ two.items())} tokens or ids differ"
            raise ModelError(
                f"model '{self.spec.name}': {what} ({differing}), so neither can go on with the other's tokens; "
                "take two models of one family"
            )
        return self.small.tokenizer

    @cached_property
    def model(self) -> Any:
        """The small model. Raises ModelError where either cannot be loaded or routed."""
        for part in (self.small, self.large):
            if not all_growing(new_cache(part.model)):
                what = "attends to a window of what is before, whose keys cannot be kept for a model that lags behind"
                raise ModelError(f"model '{self.spec.name}': '{part.spec.name}' {what}; take another model")
        return self.small.model

    @cached_property
    def vocabulary(self) -> int | None:
        """Tokens that both models have, where their vocabularies are padded to different sizes; else None."""
        sizes = [int(part.model.config.get_text_config().vocab_size) for part in (self.small, self.large)]
        return None if sizes[0] == sizes[1] else min(*sizes, max(_tokens(self.tokenizer).values()) + 1)

    @cached_property
    def rule(self) -> Rule:
        """Which tokens the large model gives."""
        if not self._trained:
            return RULES[self.route.rule](self._threshold())
        size = int(self.model.get_input_embeddings().weight.shape[1])
        for what, known, own in (
            ("hidden states of width", self._trained.router.width, size),
            ("weights", self._trained.small, small_name(self.small.identity())),
        ):
            if known != own:
                who = f"model '{self.spec.name}': the router {self.route.router}"
                fits = f"was trained for a small model with {what} {known}, but '{self.small.spec.name}' has {own}"
                raise ModelError(f"{who} {fits}; train one for it")
        router = self._trained.router.to(self.device)
        return by_router(router, self._threshold(), self.model.get_input_embeddings())

    @cached_property
    def _trained(self) -> Trained | None:
        return load_router(self.route.router) if self.route.router else None

    def _threshold(self) -> float:
        if self.route.threshold is not None:
            return self.route.threshold
        return self._trained.threshold if self._trained else 0.0

    @cached_property
    def _decoder(self) -> Decoder:
        known = lru_cache(maxsize=single.TEXTS_KEPT)(self.decode)
        return RoutedDecoder(
            self.model,
            end_ids=self._end_ids(),
            pad_id=self._pad_id(),
            slots=self._most_slots,
            new_detokenizer=lambda prompt_ids: Detokenizer(lambda ids: known(tuple(ids)), prompt_ids),
            large=self.large.model,
            rule=self.rule,
            vocabulary=self.vocabulary,
        )

    @torch.inference_mode()
    def _last_probabilities(self, prompts: Sequence[list[int]], found: list[torch.Tensor]) -> None:
        """Add the probabilities of each prompt's next token, by the model that would give it."""
        distinct = sorted({tuple(prompt) for prompt in prompts})
        where = [distinct.index(tuple(prompt)) for prompt in prompts]
        with last_hidden(self.model) as hidden:
            logits = prefill(self.model, distinct, self._pad_id(), keep=False).logits[:, : self.vocabulary]
        rows = [read_row(prompt) for prompt in distinct]
        routed = self.rule(Proposals(rows, logits, torch.cat(hidden), logits.argmax(-1)))
        if routed.any():
            asked = [distinct[i] for i in routed.nonzero()[:, 0].tolist()]
            given = prefill(self.large.model, asked, self._pad_id(), keep=False).logits
            logits = logits.clone()
            logits[routed] = given[:, : self.vocabulary].to(logits.device)
        found += [logits[where].softmax(-1).cpu(), routed[where].cpu()]

    def _end_ids(self) -> frozenset[int]:
        return self.small._end_ids() | self.large._end_ids()

    def _context(self) -> int | None:
        known = [context for part in (self.small, self.large) if (context := part._context())]
        return min(known, default=None)

    def _parts(self) -> list[Any]:
        return [self.small.model, self.large.model]

    @cache  # noqa: B019  (one backend lives as long as its job)
    def identity(self) -> dict[str, str]:
        """What makes two runs' answers the same: both models, the rule, its threshold, the router's digest."""
        small, large = self.small.identity(), self.large.identity()
        return {
            "model": f"{small['model']}+{large['model']}",
            "small": json.dumps(small, sort_keys=True),
            "large": json.dumps(large, sort_keys=True),
            "rule": self.route.rule,
            "threshold": repr(self._threshold()),
            **({"router": file_digest(self.route.router)} if self._trained else {}),
            "backend": small["backend"].replace("transformers", "routed"),
        }


def small_name(identity: Mapping[str, str]) -> str:
    """What a router's file says of the small model that it was trained for: its name and revision."""
    return f"{identity['model']} {identity['revision']}"


def _tokens(tokenizer: Any) -> dict[str, int]:
    return {token: i for token, i in tokenizer.get_vocab().items() if not PADDING.fullmatch(token)}

"""What every inference backend offers: completions with chosen-token log-probabilities, and next-token probabilities.

Knows nothing of SQL or questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqljudge.core.files import whole_text

PROMPT_FORMATS = ("raw", "inst", "chat")
"""How a prompt is formatted: as it is; between [INST] and [/INST]; or as a user's turn in the model's chat template."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One row of models.tsv: which weights, how they are loaded.

    `source`: a hub name, a local folder, a GGUF file, `package:<module>/<file>` for a file inside an installed
    package, or the address of a server (see `weights.Address`). `revision` is a hub commit, tag or branch. `dtype`:
    float32, bfloat16, float16, or auto (`device.fastest_dtype`). `quantization`: "none", "8bit" or "4bit" (of the
    weights in memory). `tokenizer`: for a model behind a server, the hub name (at `revision`) or folder of the
    tokenizer whose template renders chats. `placement`: "device", or "offload" for a model larger than the GPU,
    whose last layers then stay in the machine's memory. `context`: the most tokens of a prompt and its answer together;
    None for what the model's own settings say. `parameters`: its size as tables show it, such as "1.5B"; nothing
    depends on it. `parts`: the models that `source` names where it names two rows of the table (see `weights.Route`),
    the small one first.
    """

    name: str
    source: str
    revision: str = "main"
    backend: str = "transformers"
    dtype: str = "bfloat16"
    quantization: str = "none"
    tokenizer: str = ""
    placement: str = "device"
    context: int | None = None
    parameters: str = ""
    parts: tuple[ModelSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt. `special`: whether the tokenizer adds its special tokens (a chat template brings its own).

    Its text is whole (`whole_text`), whatever it is made from.
    """

    text: str
    special: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", whole_text(self.text))


About = tuple[int, str]
"""What a request is about: the id of a question, and the SQL of a candidate ("" for none)."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One completion wanted.

    `temperature` 0 is greedy. `seed` and `sample` (0-based index among the samples of one prompt) fix what is drawn,
    whatever else is in the queue. Generation ends at the model's end token, after `max_new_tokens`, or when the text
    contains one of `stop` (which stays in the text). `about` is for backends that answer by it (`by_subject`), and in
    the journal keys of these alone.
    """

    prompt: Prompt
    max_new_tokens: int
    temperature: float = 0.0
    seed: int = 0
    sample: int = 0
    stop: tuple[str, ...] = ()
    about: About | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion of n tokens.

    `logprobs`: natural-log probability that the model (temperature 1) gave each chosen token. `token_ends`: character
    position in `text` where the decoded text of tokens 0..i ends. `finish_reason`: "stop" or "length". `routed`: of two
    models that share the work, the positions of the tokens that the large one gave. The text is whole (`whole_text`),
    whatever the engine gives.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    token_ends: tuple[int, ...]
    finish_reason: str
    prompt_tokens: int
    routed: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", whole_text(self.text))

    def cut(self, max_new_tokens: int) -> Completion:
        """The completion that the same request gives with a smaller budget: its first tokens."""
        if len(self.token_ids) <= max_new_tokens:
            return self
        ends = self.token_ends[:max_new_tokens]
        return Completion(
            self.text[: ends[-1] if ends else 0],
            self.token_ids[:max_new_tokens],
            self.logprobs[:max_new_tokens],
            ends,
            "length",
            self.prompt_tokens,
            tuple(position for position in self.routed if position < max_new_tokens),
        )

    @property
    def large_tokens(self) -> int:
        """Tokens that the large of two models computed: the prompt and all before the last that it gave."""
        return self.prompt_tokens + self.routed[-1] if self.routed else 0


@dataclass(frozen=True, slots=True)
class ChoiceRequest:
    """The probability of each of `words` as the next token after `prompt` is wanted.

    `spellings[i]`, where given, are the ways in which `words[i]` may be written: wanted is then the probability that
    the next token begins one of them (see `tokenizer.choice_tokens`). `alone`: a word's token is the last one of the
    word encoded by itself, whatever the prompt ends in; else the one that the word is after the prompt. `about`: as
    above.
    """

    prompt: Prompt
    words: tuple[str, ...]
    spellings: tuple[tuple[str, ...], ...] = ()
    alone: bool = False
    about: About | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """`probabilities[i]`: softmax probability, over the whole vocabulary, of the token (or tokens) of `words[i]`.

    `large_tokens`: of two models that share the work, how many tokens the large one read for it.
    """

    probabilities: tuple[float, ...]
    prompt_tokens: int
    large_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """In place of an answer: a request that got none, and why. Nothing is known of what the model would have said.

    `own`: the reason lies in the request itself, so that it says nothing of whether others will be answered.
    """

    reason: str
    own: bool = False


def beyond_context(
    requests: Sequence[GenerationRequest | ChoiceRequest], prompts: Iterable[Sequence[int]], context: int | None
) -> dict[int, Failure]:
    """The requests that are not sent, by position: those whose prompt and budget do not fit the context.

    `prompts`: the token ids of each request's prompt, of which none is kept. `context`: tokens; None where there is no
    limit. The budget of a choice is the one token that is read. What the context cut short would look like what a
    budget did.
    """
    failures = {}
    for i, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
        budget = request.max_new_tokens if isinstance(request, GenerationRequest) else 1
        if context is not None and len(prompt) + budget > context:
            sizes = f"a prompt of {len(prompt)} tokens and a budget of {budget}"
            failures[i] = Failure(f"{sizes} are more than the model's context of {context}", own=True)
    return failures


def draw_key(request: GenerationRequest) -> bytes:
    """What decides a sampled request's draws, 32 bytes: its seed, sample index and prompt, and nothing else.

    Samples are then independent between prompts too, which intervals over questions assume.
    """
    return hashlib.sha256(f"{request.seed}/{request.sample}/{request.prompt.text}".encode()).digest()


def request_seed(request: GenerationRequest) -> int:
    """The seed (31 bits) of one sampled request for an engine that draws by itself; see `draw_key`."""
    return int.from_bytes(draw_key(request)[:4], "big") >> 1


Heartbeat = Callable[[int], None]
"""Told, now and then, how many new tokens have come since it was last told."""


def silent(tokens: int) -> None:
    """A heartbeat that nobody hears."""


class Backend(Protocol):
    """An inference engine with one model loaded.

    `batch`: how many requests it computes as one batch, in which an answer's last digits depend on the others; 0 where
    each answer stands alone. One with batches may tell by `refused(requests)` which requests, by position, no batch
    takes in. One that answers by what a request is about, not by its prompt, has `by_subject` True.
    """

    @property
    def batch(self) -> int: ...

    def render_chat(self, user: str, opening: str) -> Prompt:
        """A user's turn in the model's chat template, followed by the opening of the answer.

        Raises ModelError where the model has no chat template.
        """

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion | Failure]]:
        """Completions as they finish, each with its request's position; `heartbeat` hears of tokens meanwhile.

        A Failure stands for a request that got no answer while others may. Raises ModelError where none can.
        """

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice | Failure]]:
        """Next-token probabilities as they are computed, each with its request's position; failures as above."""

    def identity(self) -> dict[str, str]:
        """What makes two runs' answers the same: weights, revision, dtype, engine. Part of every journal key."""

    def describe(self) -> dict[str, Any]:
        """Everything else worth recording: device, versions, batch sizes."""

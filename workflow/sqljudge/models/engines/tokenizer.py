"""What backends do with a model's tokenizer: render, encode, decode, and find the token of a word.

Works on tokenizers of the transformers library, which is imported only when one is loaded: a chat in a plain template
is rendered without. Knows no weights.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqljudge.core.errors import ModelError
from sqljudge.core.files import read_json, read_text
from sqljudge.models.engines.base import ChoiceRequest, ModelSpec, Prompt
from sqljudge.models.engines.weights import Weights

REPLACEMENT = "\ufffd"
"""What a decoder puts for bytes that are not (yet) a whole character."""
CONTEXT = 16
"""Tokens of the prompt decoded before the first new one."""
TAIL = 40
"""Characters of a prompt's end that decide how what follows is split into tokens."""


def from_pretrained(kind: Any, spec: ModelSpec, weights: Weights, **arguments: Any) -> Any:
    """A part of a model (`kind`: one of the library's Auto classes), from where its weights lie.

    Raises ModelError, in one line, where it cannot be loaded.
    """
    if weights.gguf_file:
        arguments["gguf_file"] = weights.gguf_file
    reading = _gguf_read_once() if weights.gguf_file else contextlib.nullcontext()
    if not weights.local:
        arguments["revision"] = spec.revision
    try:
        with contextlib.redirect_stderr(io.StringIO()), reading:  # the library's loading bars
            return kind.from_pretrained(weights.location, **arguments)
    except Exception as error:  # a damaged file makes its reader raise nearly anything
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise ModelError(f"model '{spec.name}': {spec.source} cannot be loaded ({reason}){_advice(weights)}") from error


@contextlib.contextmanager
def _gguf_read_once() -> Iterator[None]:
    """While it lasts, a GGUF file is parsed once, not for each part of a model, and its bytes are a plain array.

    The library's reader makes a million small slices, which take six times as long of a memory map.
    """
    import gguf
    import numpy

    mapped = numpy.memmap

    def plain(*arguments: Any, **settings: Any) -> Any:
        return mapped(*arguments, **settings).view(numpy.ndarray)

    with (
        patch.object(gguf, "GGUFReader", _cached(gguf.GGUFReader)),
        patch.object(gguf, "get_tensor_name_map", _cached(gguf.get_tensor_name_map)),
        patch.object(numpy, "memmap", plain),
    ):
        yield


_cached = cache(cache)
"""A function's cached form, of which there is one."""


def load_tokenizer(spec: ModelSpec, weights: Weights) -> Any:
    """A model's tokenizer. Raises ModelError where it cannot be loaded."""
    from transformers import AutoTokenizer

    logging.getLogger("transformers").setLevel(logging.ERROR)
    return from_pretrained(AutoTokenizer, spec, weights)


TEMPLATE_FILES = ("chat_template.jinja", "tokenizer_config.json")
"""Where a model's folder holds its chat template: in a file of its own, or else among the tokenizer's settings."""
PLAIN = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
"""What a plain template may know: the messages, and what every chat is rendered with."""


class PlainChat:
    """A chat template that needs no tokenizer; it stands for one in `render_chat`."""

    def __init__(self, chat_template: str) -> None:
        from jinja2.meta import find_undeclared_variables
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # all as transformers has it
        environment.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
        needed = find_undeclared_variables(environment.parse(chat_template)) - PLAIN
        if needed:
            raise ValueError(f"the template needs more than its messages: {', '.join(sorted(needed))}")
        self.chat_template = chat_template
        self._compiled = environment.from_string(chat_template)
        self.apply_chat_template([{"role": "user", "content": "?"}])

    def apply_chat_template(
        self, messages: Sequence[dict[str, str]], *, tokenize: bool = False, add_generation_prompt: bool = True
    ) -> str:
        """The rendered chat, as a tokenizer of transformers gives it with `tokenize` False."""
        assert not tokenize, "a template alone makes no tokens"
        return self._compiled.render(
            messages=messages, tools=None, documents=None, add_generation_prompt=add_generation_prompt
        )


def plain_chat(weights: Weights) -> PlainChat | None:
    """The chat template of a model's folder if it is plain; None where only the tokenizer can tell.

    That is so for a GGUF file or a model of a hub, and for templates that ask for special tokens, the date, or
    functions of transformers.
    """
    if not weights.local or weights.gguf_file:
        return None
    own, settings = (Path(weights.location) / name for name in TEMPLATE_FILES)
    try:
        template = read_text(own) if own.is_file() else read_json(settings)["chat_template"]
        return PlainChat(template)
    except Exception:  # a template may raise anything; the tokenizer then says what is wrong
        return None


def _advice(weights: Weights) -> str:
    if weights.local:
        return "; is the download whole?"
    return "; offline, put the model into a folder and set models_folder in the configuration, or the table's source"


def render_chat(tokenizer: Any, name: str, user: str, opening: str) -> Prompt:
    """A user's turn in the tokenizer's chat template, then the opening of the answer.

    Raises ModelError, naming the model, where there is no template.
    """
    if not tokenizer.chat_template:
        raise ModelError(f"model '{name}' has no chat template; use the prompt format 'raw' or 'inst'")
    messages = [{"role": "user", "content": user}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    if opening.startswith("<think>") and text.rstrip().endswith("<think>"):
        text = text.rstrip().removesuffix("<think>")  # some templates open the thought themselves
    return Prompt(text + opening, special=False)


def encode(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of a prompt."""
    ids: list[int] = tokenizer(prompt.text, add_special_tokens=prompt.special)["input_ids"]
    return ids


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Text of token ids, special tokens left out."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


class Detokenizer:
    """Decodes tokens one by one.

    A token that ends inside a multi-byte character adds no text for it until the character is whole, so
    `text[:ends[i]]` is always the text of the first i + 1 tokens without a broken tail. `context`: the tokens before
    the first one. Many decoders drop the space before a text's first word; after a context it stays.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], context: Sequence[int] = ()) -> None:
        self._decode = decode
        self._ids: list[int] = list(context[-CONTEXT:])
        self._before = 0  # where the decoded window begins: always at a whole character
        self._settled = len(self._ids)  # tokens before this one end at a whole character and are in `text`
        self._prefix = decode(self._ids) if self._ids else ""
        self._shown = 0  # characters in `text` of the tokens that are not settled
        self.text = ""
        self.ends: list[int] = []

    def add(self, token: int) -> None:
        """Take the next token."""
        self._ids.append(token)
        window = self._decode(self._ids[self._before :])
        self._show(window.rstrip(REPLACEMENT))
        if not window.endswith(REPLACEMENT):
            self._settle()
        self.ends.append(len(self.text))

    def stay(self) -> None:
        """Take a token that has no text, such as the end of the answer."""
        self.ends.append(len(self.text))

    def finish(self) -> None:
        """Take what is left of a broken tail, as the decoder shows it: no more tokens will come to mend it."""
        if self._settled < len(self._ids):
            self._show(self._decode(self._ids[self._before :]))
            self._settle()
            self.ends[-1] = len(self.text)

    def _show(self, window: str) -> None:
        new = window[len(self._prefix) + self._shown :]
        self.text += new
        self._shown += len(new)

    def _settle(self) -> None:
        following = self._decode(self._ids[self._settled :])
        if following:  # a window of tokens without text would be no context for the next one
            self._before, self._prefix = self._settled, following
        else:
            self._prefix = self._decode(self._ids[self._before :])
        self._settled, self._shown = len(self._ids), 0


def gap(text: str, special_tokens: Iterable[str] = ()) -> str:
    """What comes between a prompt and a word: a space, unless the prompt ends in white space or a special token."""
    return "" if any(map(text.endswith, special_tokens)) or text[-1:].isspace() else " "


def word_token(tokenizer: Any, name: str, prompt: Prompt, word: str) -> int:
    """The one token that a word is after this prompt. Raises ModelError, naming the model, where it is not one."""
    tail = prompt.text[-TAIL:]
    space = gap(prompt.text, tokenizer.all_special_tokens)
    before = tokenizer(tail, add_special_tokens=False)["input_ids"]
    after = tokenizer(tail + space + word, add_special_tokens=False)["input_ids"]
    if after[: len(before)] != before or len(after) != len(before) + 1:
        raise ModelError(f"model '{name}': '{word}' is not one token after the prompt; change the prompt")
    return int(after[-1])


def choice_tokens(tokenizer: Any, name: str, request: ChoiceRequest) -> list[tuple[int, ...]]:
    """The tokens that stand for each word of a request: the one that the word is, or those that begin its spellings.

    Of a word that stands alone it is the last one of the word encoded by itself.

    Of a spelling's beginning only a token with a letter counts, and none that begins a spelling of two words: a quote
    or a space says neither. A spelling that would split the prompt's own end differently cannot follow it. Raises
    ModelError, naming the model, where no token is left of a word.
    """
    if request.alone:
        return [(int(tokenizer(word, add_special_tokens=False)["input_ids"][-1]),) for word in request.words]
    if not request.spellings:
        return [(word_token(tokenizer, name, request.prompt, word),) for word in request.words]
    begun = [_beginnings(tokenizer, request.prompt.text[-TAIL:], spellings) for spellings in request.spellings]
    found = []
    for i, word in enumerate(request.words):
        others = set().union(*begun[:i], *begun[i + 1 :])
        found.append(tuple(sorted(begun[i] - others)))
        if not found[i]:
            raise ModelError(f"model '{name}': no token begins '{word}' alone after the prompt; change the prompt")
    return found


def _beginnings(tokenizer: Any, tail: str, spellings: Sequence[str]) -> set[int]:
    before, *split = tokenizer([tail, *(tail + spelling for spelling in spellings)], add_special_tokens=False)[
        "input_ids"
    ]
    firsts = {ids[len(before)] for ids in split if len(ids) > len(before) and ids[: len(before)] == before}
    return {int(first) for first in firsts if any(map(str.isalpha, decode(tokenizer, [first])))}


def end_ids(tokenizer: Any, configured: Any) -> frozenset[int]:
    """The tokens that end an answer: those of the generation settings (an id, ids or None) and the tokenizer's own."""
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(i for i in [*ids, tokenizer.eos_token_id] if i is not None)

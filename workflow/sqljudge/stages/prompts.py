"""Prompt templates: text files with named fields, and how one is filled. Knows no model.

A template file holds the user's part, then a line `=== answer ===`, then the opening of the model's answer (which may
be empty). Fields are written `${name}`: question, schema, db_id, sql, knowledge (what the dataset adds to the question;
BIRD calls it evidence), and the extras that a context shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from string import Template

from sqljudge.core.errors import ConfigError
from sqljudge.core.records import Question
from sqljudge.models.engines.base import PROMPT_FORMATS, Prompt
from sqljudge.stages.echoes import DIVIDER, read_text

FIELDS = ("question", "schema", "db_id", "sql", "knowledge")

ANSWERS = ("Yes", "No")
"""How a yes/no prompt is answered for a right and a wrong query, by a model and in a demonstration."""

NO_KNOWLEDGE = "none"
"""What stands in a prompt for a question to which its dataset adds nothing."""

Extras = Callable[[Question, str], Mapping[str, str]]
"""What a prompt shows of a (question, SQL) pair beyond FIELDS: a text for each further field."""


def no_extras(question: Question, sql: str) -> Mapping[str, str]:
    """Nothing beyond FIELDS."""
    return {}


@dataclass(frozen=True, slots=True)
class Framing:
    """How a filled template becomes tokens, and which token its answer begins with.

    `prompt_format`: "raw" (both parts, a line break between), "inst" ([INST] and [/INST] around the user's part; paper,
    section 3) or "chat" (the model's own template). `special_tokens`: whether the tokenizer puts its special tokens
    before a prompt that is no chat. `yes_token`: a key of YES_TOKENS.
    """

    prompt_format: str
    special_tokens: bool = False
    yes_token: str = "following"


YES_TOKENS = ("following", "alone")
"""Which token `Yes` is: the one that follows when the word is written after the prompt, or the last one of the word
encoded alone, as in the program behind the paper."""


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A template's two parts, each with fields to fill."""

    user: str
    opening: str

    @property
    def text(self) -> str:
        """The template as its file has it."""
        return f"{self.user}\n{DIVIDER}\n{self.opening}"

    @property
    def fields(self) -> set[str]:
        """The fields that stand in it."""
        return {name for part in (self.user, self.opening) for name in Template(part).get_identifiers()}


def read_template(path: str | Path, *, required: tuple[str, ...], further: Iterable[str] = ()) -> PromptTemplate:
    """Read a template file. The last line break of each part is dropped; `\\n` inside the parts stays.

    `further`: fields that may stand in it beside FIELDS. Raises ConfigError naming the file where it is missing, has no
    divider, has an unknown field (naming the nearest known one), or lacks a field of `required`.
    """
    user, *rest = re.split(rf"^{DIVIDER}(?:\n|\Z)", read_text(path), maxsplit=1, flags=re.MULTILINE)
    if not rest:
        raise ConfigError(f"prompt {path}: needs a line '{DIVIDER}' between the request and the opened answer")
    template = PromptTemplate(user.removesuffix("\n"), rest[0].removesuffix("\n"))
    if not all(Template(part).is_valid() for part in (template.user, template.opening)):
        raise ConfigError(f"prompt {path}: write a lone dollar sign as $$, and a field as ${{name}}")
    known = (*FIELDS, *further)
    for name in sorted(template.fields - set(known)):
        near = get_close_matches(name, known, 1, 0.0)[0]
        raise ConfigError(f"prompt {path}: unknown field ${{{name}}}; did you mean ${{{near}}}?")
    for name in required:
        if name not in template.fields:
            raise ConfigError(f"prompt {path}: the field ${{{name}}} is missing, so the model would not see it")
    return template


def fill(
    template: PromptTemplate,
    question: Question,
    *,
    sql: str = "",
    framing: Framing,
    chat: Callable[[str, str], Prompt],
    extras: Extras = no_extras,
) -> Prompt:
    """The prompt of one question (and candidate), with what `extras` says of them.

    `chat(user, opening)`: the model's own template. Raises ConfigError for an unknown prompt format.
    """
    fields = {
        "question": question.question,
        "schema": question.schema_text,
        "db_id": question.db_id,
        "sql": sql,
        "knowledge": question.knowledge or NO_KNOWLEDGE,
        **extras(question, sql),
    }
    user, opening = Template(template.user).substitute(fields), Template(template.opening).substitute(fields)
    if framing.prompt_format == "chat":
        return chat(user, opening)
    if framing.prompt_format == "inst":
        return Prompt(f"[INST] {user} [/INST]" + (f" {opening}" if opening else ""), framing.special_tokens)
    if framing.prompt_format == "raw":
        return Prompt(f"{user}\n{opening}" if opening else user, framing.special_tokens)
    raise ConfigError(f"prompt_format '{framing.prompt_format}' is unknown; known: {', '.join(PROMPT_FORMATS)}")

"""How the official evaluator cuts SQL text into tokens (evaluator rules, section 1). Knows no schema and no grammar.

Words are split as the Penn Treebank tokenizer of NLTK splits them. The text that reaches that step has no quotes left
in it, so most of the tokenizer's rules cannot fire: the few that can are written out here, which saves the import of
NLTK (over a second) in a command that runs in a few. A test compares the two.
"""

from __future__ import annotations

import re

from sqljudge.core.errors import UnreadableSql

_STRING = re.compile(r'"[^"]*"')
_BLANKS = re.compile(r" {2,}")
_OTHER_SPACE = re.compile(r"\s*[^\S ]\s*")
_BACKTICKS = re.compile(r"`{2}|`|[«“‘„]")
_LAST_PERIOD = re.compile(r"(?<=[^.])\.([\])}>»”’ ]*)$")
_COMMA = re.compile(r"([:,])([^\d]|$)")
_ALONE = re.compile(r"\.{2,}|--|[;@#$%&?!*()\[\]{}<>‒-―»”’]")
_CONTRACTIONS = re.compile(r"\b(?:(can)(not)|(gim|lem)(me)|(gon)(na)|(got)(ta)|(wan)(na)(?=\s))\b", re.IGNORECASE)
_SPLITTABLE = re.compile(r"cannot|gimme|lemme|gonna|gotta|wanna", re.IGNORECASE)


def tokenize(sql: str) -> list[str]:
    """The tokens of a query: quoted strings whole (double quotes, case kept), all else in lower case.

    Raises UnreadableSql if the number of quotes is odd.
    """
    strings: dict[str, str] = {}

    def put_aside(match: re.Match[str]) -> str:
        key = f"__val_{match.start()}_{match.end() - 1}__"
        strings[key] = match.group()
        return key

    text = sql.replace("'", '"')
    if text.count('"') % 2:
        raise UnreadableSql("odd number of quotes")
    words = [word.lower() for word in split_words(_STRING.sub(put_aside, text))]
    if strings:
        words = [strings.get(word, word) for word in words]
    return _join_comparisons(words)


def split_words(text: str) -> list[str]:
    """Split quote-free text as NLTK's word tokenizer does, without sentence splitting."""
    text = _OTHER_SPACE.sub("\n", _BLANKS.sub(" ", text)).strip()
    if not text.isascii() or "`" in text:
        text = _BACKTICKS.sub(r" \g<0> ", text)
    text = _LAST_PERIOD.sub(r" . \1", text)
    text = _COMMA.sub(r" \1 \2", text)
    text = _ALONE.sub(r" \g<0> ", text)
    if _SPLITTABLE.search(text):
        text = _CONTRACTIONS.sub(_split_contraction, f" {text} ")
    return text.split()


def _split_contraction(match: re.Match[str]) -> str:
    return " " + " ".join(part for part in match.groups() if part) + " "


def _join_comparisons(words: list[str]) -> list[str]:
    """`! =`, `> =` and `< =` as one token each. The last `=` is joined first, as the official program does."""
    for at in range(len(words) - 1, 0, -1):
        if words[at] == "=" and words[at - 1] in ("!", ">", "<"):
            words[at - 1 : at + 1] = [words[at - 1] + "="]
    return words

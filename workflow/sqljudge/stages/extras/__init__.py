"""Evidence: what a prompt of judgment shows beyond the question and the candidate. One module a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqljudge.core.records import Question
from sqljudge.stages.extras import demonstrations, result
from sqljudge.stages.extras.base import Files, Kind, Settings
from sqljudge.stages.prompts import Evidence

KINDS: dict[str, Kind] = {"result": result.KIND, "demonstrations": demonstrations.KIND}
"""Kinds of evidence, by the name of the field that shows them in a template."""


def gathered(wanted: Mapping[str, Settings], files: Files, questions: Sequence[Question]) -> Evidence:
    """The evidence of a context: of each kind wanted, by its settings, a text for each (question, SQL) pair.

    `files`: those that the kinds read, by name. `questions`: all that are evaluated. Raises what the kinds raise.
    """
    texts = {name: KINDS[name].prepared(files, questions, settings) for name, settings in wanted.items()}
    return lambda question, sql: {name: text(question, sql) for name, text in texts.items()}


def tokens(wanted: Mapping[str, Settings]) -> int:
    """About how many tokens the evidence of a context adds to a prompt."""
    return sum(KINDS[name].tokens(settings) for name, settings in wanted.items())

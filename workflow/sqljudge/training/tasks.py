"""What an item asks a model, and what a response to it is worth: verdicts, executed queries, satisfied formulas.

Knows prompts, the engine's answers and the sandbox; no trainer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqljudge.core.errors import ConfigError, DataError
from sqljudge.core.records import CORRECT_THRESHOLD, Judgment
from sqljudge.models.engines.base import Choice, ChoiceRequest, Completion, Prompt
from sqljudge.sql.sandbox import QueryJob, QueryResult, Sandbox
from sqljudge.stages.force import SPELLINGS, WORDS, Thought
from sqljudge.stages.generate import extract_sql
from sqljudge.stages.prompts import Framing, PromptTemplate, fill
from sqljudge.stages.score import Rules, read_verdict
from sqljudge.training.items import Item
from sqljudge.training.methods import JUDGE, QUERY, SAT
from sqljudge.training.rewards import SATISFIED, THINK, THOUGHT, Response, Rows, saturn_reward

Chat = Callable[[str, str], Prompt]
Choose = Callable[[Sequence[ChoiceRequest]], Sequence[Choice]]
RESULT = "result"
NOTHING = Completion("", (), (), (), "length", 0)
"""A response without a token."""


@dataclass(frozen=True, slots=True)
class Task:
    """How items become prompts, and responses are read.

    `template`: of items that ask about a candidate or for a query. `closing`: of forced verdicts. `extraction`: how SQL
    is read from a response that has no `<answer>`. `databases`: the folder with a folder for each database; of items
    that ask for a query only. `chat`: the model's own template.
    """

    template: PromptTemplate | None
    framing: Framing
    chat: Chat
    closing: PromptTemplate | None = None
    extraction: str = "fenced"
    databases: Path | None = None
    verdicts: str = "any"

    def prompt(self, item: Item) -> Prompt:
        """What the model is asked. Raises ConfigError where there is no template."""
        if item.task == SAT:
            return self.chat(item.prompt, "") if self.framing.prompt_format == "chat" else Prompt(item.prompt)
        if self.template is None:
            raise ConfigError("training items about questions need a prompt; name it in the training's `prompt`")
        shown = {RESULT: item.result}
        return fill(
            self.template,
            item.as_question(),
            sql=item.sql,
            framing=self.framing,
            chat=self.chat,
            extras=lambda question, sql: shown,
        )

    def closed(self, item: Item, completion: Completion = NOTHING) -> Prompt:
        """The prompt of the verdict that is forced after a response; after no response, by default."""
        if self.closing is None:
            raise ConfigError("forced verdicts need what closes a thought; name it in `forced.prompt`")
        closing = fill(self.closing, item.as_question(), sql=item.sql, framing=Framing("raw"), chat=self.chat).text
        thought = Thought(self.prompt(item), as_judgment(item, completion), closing, self.closing.user.strip())
        return thought.forced(len(completion.token_ids))[0]

    def opened(self, prompt: Prompt) -> bool:
        """Whether a prompt has opened a thought that it does not close."""
        return prompt.text.rfind(THINK) > prompt.text.rfind(THOUGHT)

    def responses(self, items: Sequence[Item], completions: Sequence[Completion]) -> list[Response]:
        """What is known of each completion, beside the item that it answers; forced verdicts are `forced`'s."""
        found = [
            Response(item.id, each.text, each.token_ids, each.finish_reason == "stop", answer=item.answer)
            for item, each in zip(items, completions, strict=True)
        ]
        rows = iter(self._executed(items, completions))
        return [
            _of_task[item.task](self, item, completion, response, rows)
            for item, completion, response in zip(items, completions, found, strict=True)
        ]

    def verdict(self, item: Item, completion: Completion) -> bool | None:
        """The verdict that a response gives by itself; None where there is none that can be read."""
        judgment = as_judgment(item, completion)
        template = self.template.text if self.template else ""
        return read_verdict(judgment, len(completion.token_ids), Rules(self.verdicts, template)).value

    def forced(self, items: Sequence[Item], completions: Sequence[Completion], choose: Choose) -> list[float]:
        """The probability that each forced verdict gives to its item's label, of true and false together."""
        prompts = [self.closed(item, each) for item, each in zip(items, completions, strict=True)]
        found = []
        for item, choice in zip(
            items, choose([ChoiceRequest(each, WORDS, SPELLINGS) for each in prompts]), strict=True
        ):
            true, false = choice.probabilities
            share = true / (true + false) if true + false else CORRECT_THRESHOLD
            found.append(share if item.label else 1 - share)
        return found

    def _executed(
        self, items: Sequence[Item], completions: Sequence[Completion]
    ) -> list[tuple[Rows | None, Rows | None]]:
        """Rows of the gold query and of the response's, of items that ask for one; None where one does not run."""
        asking = [(item, each) for item, each in zip(items, completions, strict=True) if item.task == QUERY]
        if not asking:
            return []
        if self.databases is None:
            raise ConfigError("training items that ask for a query need databases; name their folder in `databases`")
        jobs = []
        for item, completion in asking:
            file = self.databases / item.db_id / f"{item.db_id}.sqlite"
            if not file.is_file():
                raise DataError(f"{file}: no such database; correct the training data's `databases`")
            jobs += [QueryJob(file, item.gold), QueryJob(file, self.query(completion.text))]
        with Sandbox() as sandbox:
            results = sandbox.run(jobs)
        return [(_rows(gold), _rows(own)) for gold, own in zip(results[::2], results[1::2], strict=True)]

    def query(self, text: str) -> str:
        """The query of a response: what stands between the last answer tags, else as candidates are extracted."""
        tagged = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL | re.IGNORECASE)
        opening = self.template.opening if self.template else ""
        if tagged:
            return re.sub(r"^```(?:sql)?|```$", "", tagged[-1].strip()).strip()
        return extract_sql(self.extraction, opening, text, template=self.template.text if self.template else "")


def _rows(result: QueryResult) -> Rows | None:
    return result.rows if result.outcome == "ok" else None


def as_judgment(item: Item, completion: Completion) -> Judgment:
    """A completion as the stages' readers take it."""
    return Judgment(
        0,
        item.sql,
        response=completion.text,
        token_ids=completion.token_ids,
        logprobs=completion.logprobs,
        token_ends=completion.token_ends,
        finish_reason=completion.finish_reason,
        budget=len(completion.token_ids),
        prompt_tokens=completion.prompt_tokens,
    )


def _judged(task: Task, item: Item, completion: Completion, response: Response, _rows: object) -> Response:
    verdict = task.verdict(item, completion)
    return replace(response, right=verdict is not None and verdict == bool(item.label))


def _queried(_task: Task, _item: Item, _completion: Completion, response: Response, rows: object) -> Response:
    gold, own = next(rows)  # type: ignore[call-overload]
    right = None if gold is None else own is not None and set(gold) == set(own)
    return replace(response, gold=gold, rows=own, right=right)


def _solved(_task: Task, _item: Item, _completion: Completion, response: Response, _rows: object) -> Response:
    return replace(response, right=saturn_reward([response]) == [SATISFIED])


_of_task: Mapping[str, Callable[[Task, Item, Completion, Response, object], Response]] = {
    JUDGE: _judged,
    QUERY: _queried,
    SAT: _solved,
}

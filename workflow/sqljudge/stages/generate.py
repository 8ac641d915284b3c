"""From a generator's prompt to candidates: ask, extract the SQL, normalise, remove duplicates. Knows no scoring."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.core.files import write_json
from sqljudge.core.records import EMPTY_SQL, Candidate, CandidateSet, Question, read_jsonl, write_jsonl
from sqljudge.models.engines.base import About, Completion, Failure, GenerationRequest, Prompt
from sqljudge.models.session import Session, model_session
from sqljudge.sql.text import first_statement, normalize_sql
from sqljudge.stages.echoes import first_block
from sqljudge.stages.prompts import Framing, PromptTemplate, fill, read_template
from sqljudge.stages.shards import in_shard

BLANK_LINE = "\n\n"
TALK = re.compile(r"```|\n\s*\n")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How completions are drawn: `samples` a question at `temperature` (0: greedy), of at most `max_new_tokens`."""

    samples: int
    temperature: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Extraction:
    """How SQL is read from a completion, and where a completion may stop without loss.

    `read`: from the opening of the answer, the completion, and the template of its prompt. `continues`: whether the SQL
    goes on from the opening.
    """

    read: Callable[[str, str, str], str]
    stop: tuple[str, ...] = ()
    continues: bool = True


def _continuation(opening: str, text: str, _template: str) -> str:
    return opening + text.partition(BLANK_LINE)[0]


def _statement(opening: str, text: str, _template: str) -> str:
    return first_statement(opening + TALK.split(text, maxsplit=1)[0])


def _fenced(_opening: str, text: str, template: str) -> str:
    return first_block(template, text, closed=True) or EMPTY_SQL


def _open_fence(_opening: str, text: str, template: str) -> str:
    return first_block(template, text) or EMPTY_SQL


EXTRACTIONS = {
    "continuation": Extraction(_continuation, (BLANK_LINE,)),
    "statement": Extraction(_statement, (BLANK_LINE, "```")),
    "fenced": Extraction(_fenced, continues=False),
    "open_fence": Extraction(_open_fence, continues=False),
}
"""How SQL is found in a completion.

`continuation`: the opened answer and all up to the first blank line (paper, section 3). `statement`: the same, but it
also ends at a code fence, or the semicolon that ends its statement, for chat models that go on talking. No model is
stopped at a semicolon, which may stand in a string. `fenced`: the first fenced ```sql block that is closed and does not
repeat the prompt, else the empty query (paper, section 3, Distill-R1). `open_fence`: the same, but the end of the text
closes a block, too.
"""


def _extraction(name: str) -> Extraction:
    if name not in EXTRACTIONS:
        raise ConfigError(f"extraction '{name}' is unknown; known: {', '.join(EXTRACTIONS)}")
    return EXTRACTIONS[name]


def extract_sql(extraction: str, opening: str, text: str, *, template: str = "", quoted_names: bool = False) -> str:
    """The normalised SQL of one completion; EMPTY_SQL where there is none.

    `opening` is what the prompt opened the answer with; `template` the text of its template, whose repetition is no
    answer; `quoted_names` as in `normalize_sql`. Raises ConfigError for an unknown extraction.
    """
    return normalize_sql(_extraction(extraction).read(opening, text, template), quoted_names=quoted_names)


def collect(sqls: Sequence[str], completions: Sequence[Completion]) -> tuple[Candidate, ...]:
    """Distinct queries in first-seen order, each with its count and the mean log-probability of its best sample."""
    seen: dict[str, list[float]] = {}
    for sql, completion in zip(sqls, completions, strict=True):
        mean = sum(completion.logprobs) / len(completion.logprobs) if completion.logprobs else 0.0
        seen.setdefault(sql, []).append(mean)
    return tuple(Candidate(sql, len(means), mean_logprob=round(max(means), 6)) for sql, means in seen.items())


def sample_requests(
    prompt: Prompt, *, extraction: str, decoding: Decoding, seed: int, about: About, first: int = 0
) -> list[GenerationRequest]:
    """A decoding's samples of one prompt, the indices from `first` on.

    A sample depends on the seed, the prompt and its index alone. Raises ConfigError for an unknown extraction.
    """
    stop = _extraction(extraction).stop
    return [
        GenerationRequest(
            prompt,
            decoding.max_new_tokens,
            temperature=decoding.temperature,
            seed=seed,
            sample=sample,
            stop=stop,
            about=about,
        )
        for sample in range(first, first + decoding.samples)
    ]


def generate_candidates(
    session: Session,
    questions: Sequence[Question],
    *,
    template: PromptTemplate,
    framing: Framing,
    extraction: str,
    decoding: Decoding,
    seed: int,
    quoted_names: bool = False,
) -> list[CandidateSet]:
    """All candidates of all questions, from one queue of requests.

    A sample depends on the seed, the prompt and its index alone. A question with a failed sample has no candidates and
    is marked as unanswered. `quoted_names` as in `normalize_sql`. Raises ConfigError for an unknown extraction.
    """
    prompts = [fill(template, question, framing=framing, chat=session.backend.render_chat) for question in questions]
    requests = [
        request
        for question, prompt in zip(questions, prompts, strict=True)
        for request in sample_requests(
            prompt, extraction=extraction, decoding=decoding, seed=seed, about=(question.id, "")
        )
    ]
    completions = session.complete(requests)
    sets = []
    for i, question in enumerate(questions):
        samples = completions[i * decoding.samples : (i + 1) * decoding.samples]
        answers = [sample for sample in samples if not isinstance(sample, Failure)]
        if len(answers) < len(samples):
            sets.append(CandidateSet(question.id, (), unanswered=True))
            continue
        how: dict[str, Any] = {"template": template.text, "quoted_names": quoted_names}
        sqls = [extract_sql(extraction, template.opening, each.text, **how) for each in answers]
        sets.append(CandidateSet(question.id, collect(sqls, answers)))
    return sets


def generate_pool(
    *,
    questions: str,
    prompt: str,
    weights: Sequence[str],
    candidates: str,
    run: str,
    model: Mapping[str, Any],
    framing: Mapping[str, Any],
    extraction: str,
    decoding: Mapping[str, Any],
    quoted_names: bool,
    seed: int,
    label: str,
    gpu: int = 0,
    shard: str = "",
    journal: str,
    failures_tolerated: float,
) -> None:
    """Write a generator's candidates for the questions of a shard ("": all), and what they cost."""
    with model_session(
        model, weights, gpu=gpu, journal=journal, label=label, shard=shard, failures_tolerated=failures_tolerated
    ) as session:
        sets = generate_candidates(
            session,
            [question for question in read_jsonl(questions, Question) if in_shard(question.id, shard)],
            template=read_template(prompt, required=("question", "schema")),
            framing=Framing(**framing),
            extraction=extraction,
            decoding=Decoding(**decoding),
            seed=seed,
            quoted_names=quoted_names,
        )
        write_jsonl(candidates, sets)
        write_json(run, session.report())

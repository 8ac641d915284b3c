"""Asks a backend, through the journal: identical requests once, finished ones never again, progress as it goes.

Knows requests and answers, not what they are for.
"""

from __future__ import annotations

import logging
import resource
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

from sqljudge.core.errors import ModelError
from sqljudge.models.device import own_device
from sqljudge.models.engines import load_backend, spec_of
from sqljudge.models.engines.base import (
    Backend,
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    Heartbeat,
    ModelSpec,
)
from sqljudge.models.journal import JournalReader, JournalWriter, request_key
from sqljudge.models.progress import Progress

log = logging.getLogger(__name__)

Request = TypeVar("Request", GenerationRequest, ChoiceRequest)
Answer = TypeVar("Answer", Completion, Choice)
Item = TypeVar("Item")
Ask = Callable[[Sequence[Request], Heartbeat], Iterable[tuple[int, Answer | Failure]]]
SECONDS = "seconds"
"""What a journalled answer says of its cost: its share of the wall seconds of its batch, so that a job's add up."""
MOST_FAILURES = 20
"""So many failures in a row, a request's own left out, and the rest are not tried: whatever answers has gone away."""
SHOWN = 160
"""Characters of a prompt's end by which a failed request is listed."""
RESUME = "unless the journal is off, what was answered is in it, and another run asks only for the rest"


@dataclass(slots=True)
class Usage:
    """What a job asked and what its distinct answers cost when they were made, those from the journal included.

    Of two models that share the work, `large_tokens` is what the large one computed, prompts and pending tokens
    included, and `routed_tokens` how many of the new tokens it gave.
    """

    requests: int = 0
    distinct: int = 0
    from_journal: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    large_tokens: int = 0
    routed_tokens: int = 0
    seconds: float = 0.0


class Note(NamedTuple):
    """What is known of an answer while it lies on disk: whether it ended by itself, its tokens, its seconds.

    `large_tokens`, `routed_tokens`: as in `Usage`.
    """

    ended: bool
    new_tokens: int
    prompt_tokens: int
    seconds: float
    large_tokens: int
    routed_tokens: int


class Lazy(Sequence[Item]):
    """A sequence whose items are made anew whenever they are looked at; it equals any sequence of equal items."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, length: int, make: Callable[[int], Item]) -> None:
        self._places = range(length)
        self._make = make

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Lazy[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | Lazy[Item]:
        places = self._places[at]
        return self._make(places) if isinstance(places, int) else Lazy(len(places), lambda i: self._make(places[i]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))


@dataclass(slots=True)
class Session:
    """A backend, the journal in front of it, and what has been spent. `journal` None: every request is asked anew.

    A request without an answer is listed in `failures`, never in the journal, and the others go on. `tolerated`: the
    share of distinct requests that may end so; beyond it ModelError is raised, when all others have their answers.
    `reader`: what has read the journal so far, so that each request's answer is looked for in what is new alone.
    """

    backend: Backend
    journal: Path | None
    writer: str
    usage: Usage = field(default_factory=Usage)
    tolerated: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)
    reader: JournalReader[Note] | None = None

    def complete(self, requests: Sequence[GenerationRequest]) -> Lazy[Completion | Failure]:
        """One completion a request, in order; a Failure where there was none and that is tolerated.

        All are asked for before this returns. The answers lie on disk, and each is read when it is looked at: of many
        long answers a job holds those alone that its backend computes together.

        A journalled response of the same request with another budget serves where it is long enough or ended by
        itself; it is cut to the budget (paper notes: a greedy response at a smaller budget is a prefix).
        """
        longest: dict[str, GenerationRequest] = {}
        keys = [self._key(request) for request in requests]
        for key, request in zip(keys, requests, strict=True):
            if key not in longest or request.max_new_tokens > longest[key].max_new_tokens:
                longest[key] = request
        answer = self._answers(longest, self.backend.generate, Completion)
        budgets = [request.max_new_tokens for request in requests]

        def cut(i: int) -> Completion | Failure:
            found = answer(keys[i])
            return found if isinstance(found, Failure) else found.cut(budgets[i])

        return Lazy(len(keys), cut)

    def choose(self, requests: Sequence[ChoiceRequest]) -> Lazy[Choice | Failure]:
        """Next-token probabilities of each request, in order; otherwise as above."""
        keys = [self._key(request) for request in requests]
        distinct = dict(zip(keys, requests, strict=True))
        answer = self._answers(distinct, lambda missing, heartbeat: self.backend.choose(missing), Choice)
        return Lazy(len(keys), lambda i: answer(keys[i]))

    def _key(self, request: GenerationRequest | ChoiceRequest) -> str:
        self.usage.requests += 1
        return request_key({"model": self.backend.identity(), **_content(self._written(request))})

    def _written(self, request: GenerationRequest | ChoiceRequest) -> dict[str, Any]:
        """A request as the journal keeps it: what it is about belongs to it where that decides the answer."""
        written = asdict(request)
        if not getattr(self.backend, "by_subject", False):
            del written["about"]
        return written

    def _answers(
        self, distinct: dict[str, Request], ask: Ask[Request, Answer], kind: Callable[..., Answer]
    ) -> Callable[[str], Answer | Failure]:
        """Ask for what the journal lacks; returns what reads the answer of a key.

        Without a journal a temporary one, of this call alone, holds the answers until nobody can read them any more.
        """
        if self.journal and not (self.reader and self.reader.folder == self.journal):
            self.reader = reader_of(self.journal)
        reader = self.reader if self.journal and self.reader else _temporary()
        reader.refresh()
        kept = {key: reader.places[key].note for key in distinct if key in reader.places}
        known = {key: note for key, note in kept.items() if _covers(note, distinct[key])}
        for note in known.values():
            self._spent(note)
        missing = sorted((key for key in distinct if key not in known), key=lambda key: _alike(distinct[key]))
        self.usage.distinct += len(distinct)
        self.usage.from_journal += len(known)
        if known:
            log.info(f"{self.writer}: {len(known)} of {len(distinct)} answers are in the journal")
        failures: dict[str, Failure] = {}
        if missing:
            failures = self._ask([distinct[key] for key in missing], missing, ask, reader.folder)
            self._check_failures()
            reader.refresh()

        def answer(key: str) -> Answer | Failure:
            if key in failures:
                return failures[key]
            found = {name: tuple(part) if isinstance(part, list) else part for name, part in reader.answer(key).items()}
            found.pop(SECONDS, None)
            return kind(**found)

        return answer

    def _ask(
        self, requests: Sequence[Request], keys: Sequence[str], ask: Ask[Request, Answer], folder: Path
    ) -> dict[str, Failure]:
        """Ask the backend, and put the answers into a journal's folder; the failures, by key."""
        if self.usage.distinct - self.usage.from_journal == len(requests):  # the first that the backend is asked
            log.info(f"{self.writer}: {len(requests)} requests; loading the model")
        progress = Progress(self.writer, len(requests), sum(getattr(each, "max_new_tokens", 0) for each in requests))
        failures: dict[str, Failure] = {}
        last, failed = time.monotonic(), 0
        with progress, JournalWriter(folder, self.writer, lasting=bool(self.journal)) as journal:
            for group in self._groups(requests, ask, progress.beat):
                seconds, last = (time.monotonic() - last) / len(group), time.monotonic()
                journal.put_all(
                    (keys[i], self._written(requests[i]), {**_parts(answer), SECONDS: round(seconds, 4)})
                    for i, answer in group
                    if not isinstance(answer, Failure)
                )
                for i, answer in group:
                    if isinstance(answer, Failure):
                        failures[keys[i]] = answer
                        failed += not answer.own
                        self._failed(requests[i], answer, last_one=failed >= MOST_FAILURES)
                        progress.add(0, 0)
                    else:
                        failed, new = 0, len(answer.token_ids) if isinstance(answer, Completion) else 0
                        self._spent(note_of({**_parts(answer), SECONDS: seconds}))
                        progress.add(answer.prompt_tokens, new)
        return failures

    def _groups(
        self, requests: Sequence[Request], ask: Ask[Request, Answer], heartbeat: Heartbeat
    ) -> Iterator[list[tuple[int, Answer | Failure]]]:
        """Answers with their requests' positions, those together whose last digits depend on each other.

        They are journalled together too, so that what is asked after a resume is batched as it would have been.
        """
        if not self.backend.batch:
            yield from ([found] for found in ask(requests, heartbeat))
            return
        refused: dict[int, Failure] = getattr(self.backend, "refused", lambda _: {})(requests)
        for found in refused.items():  # asked again after a resume, they would shift all batches
            yield [found]
        left = [i for i in range(len(requests)) if i not in refused]
        for start in range(0, len(left), self.backend.batch):
            together = left[start : start + self.backend.batch]
            answers = ask([requests[i] for i in together], heartbeat)
            yield [(together[position], answer) for position, answer in answers]

    def _failed(self, request: GenerationRequest | ChoiceRequest, failure: Failure, *, last_one: bool) -> None:
        self.failures.append({"reason": failure.reason, "prompt_end": request.prompt.text[-SHOWN:]})
        log.warning(f"{self.writer}: no answer: {failure.reason}; to: ...{request.prompt.text[-SHOWN:]!r}")
        if last_one:
            raise ModelError(f"{MOST_FAILURES} requests in a row got no answer, last: {failure.reason}; {RESUME}")

    def _check_failures(self) -> None:
        """Raise ModelError where more of the job's distinct requests failed than are tolerated."""
        failed, asked = len(self.failures), self.usage.distinct
        if failed > self.tolerated * asked:
            reasons = "; ".join(dict.fromkeys(each["reason"] for each in self.failures[:3]))
            allowed = f"failures_tolerated allows a share of {self.tolerated:g}"
            raise ModelError(f"{failed} of {asked} requests got no answer ({reasons}); {allowed}; {RESUME}")

    def _spent(self, note: Note) -> None:
        self.usage.prompt_tokens += note.prompt_tokens
        self.usage.new_tokens += note.new_tokens
        self.usage.large_tokens += note.large_tokens
        self.usage.routed_tokens += note.routed_tokens
        self.usage.seconds += note.seconds

    def report(self) -> dict[str, Any]:
        """What this job's sidecar records: requests, failed ones, tokens, seconds, memory, model, device."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            **asdict(self.usage),
            "failures": self.failures,
            "peak_memory_mib": round(getattr(self.backend, "peak_memory_mib", None) or own, 1),
            "model": self.backend.identity(),
            "engine": self.backend.describe(),
        }


def _content(written: dict[str, Any]) -> dict[str, Any]:
    """What of a request decides its answer: not the budget, and of a greedy one neither seed nor sample."""
    if "words" in written:
        return {
            "kind": "choose",
            **{key: part for key, part in written.items() if part or key not in ("spellings", "alone")},
        }
    greedy = ("seed", "sample") if written["temperature"] == 0 else ()
    content = {key: part for key, part in written.items() if key not in ("max_new_tokens", *greedy)}
    return {"kind": "generate", **content, "temperature": float(written["temperature"])}


def _alike(request: GenerationRequest | ChoiceRequest) -> tuple[Any, ...]:
    """A sorting key by content: those that begin alike together; where an answer is written, long prompts first."""
    text = request.prompt.text
    if isinstance(request, ChoiceRequest):
        return (text,)
    return -(len(text) // 512), text, request.sample, request.seed, request.temperature


def _covers(note: Note, request: GenerationRequest | ChoiceRequest) -> bool:
    return isinstance(request, ChoiceRequest) or note.ended or note.new_tokens >= request.max_new_tokens


def reader_of(folder: Path) -> JournalReader[Note]:
    """What reads a model's journal.

    Of several answers to a request it takes one that ended by itself, which serves every budget, else the longest.
    """
    return JournalReader(folder, note_of, lambda new, old: new[:2] > old[:2])


def _temporary() -> JournalReader[Note]:
    """A reader of an empty folder, which goes when the reader does."""
    reader = reader_of(Path(tempfile.mkdtemp(prefix="answers-")))
    weakref.finalize(reader, shutil.rmtree, reader.folder, ignore_errors=True)
    return reader


def _parts(answer: Completion | Choice) -> dict[str, Any]:
    """The fields of an answer as they are; `asdict` would copy each of its numbers.

    Who gave it is said where two models share the work alone.
    """
    parts = {each.name: getattr(answer, each.name) for each in fields(answer)}
    return {name: part for name, part in parts.items() if part or name not in ("routed", "large_tokens")}


def note_of(answer: Mapping[str, Any]) -> Note:
    """What a journalled answer says of itself."""
    ended, new = answer.get("finish_reason") == "stop", len(answer.get("token_ids", ()))
    read, routed = answer.get("prompt_tokens", 0), answer.get("routed", ())
    large = read + routed[-1] if routed else answer.get("large_tokens", 0)
    return Note(ended, new, read, answer.get(SECONDS, 0.0), large, len(routed))


def open_session(spec: ModelSpec, *, device: str, journal: str, writer: str, tolerated: float = 0.0) -> Session:
    """A session with a model. `journal`: the folder of all journals, or "" to ask everything anew.

    `tolerated`: the share of a job's distinct requests that may end without an answer before the job fails.

    A model's journal is a folder of its own; `writer` names the job's file in it. Raises ConfigError or ModelError
    where the model cannot be prepared.
    """
    folder = Path(journal) / spec.name if journal else None
    reader = reader_of(folder) if folder else None
    return Session(load_backend(spec, device=device), folder, writer, tolerated=tolerated, reader=reader)


@contextmanager
def model_session(
    model: Mapping[str, Any],
    weights: Sequence[str],
    *,
    gpu: int,
    journal: str,
    label: str,
    shard: str = "",
    failures_tolerated: float,
) -> Iterator[Session]:
    """The session of a job, or of a shard of it, that asks one model; arguments otherwise as in `model_sessions`."""
    with model_sessions(
        {label: model},
        {label: weights},
        gpu=gpu,
        journal=journal,
        labels={label: f"{label}.{shard}" if shard else label},
        failures_tolerated=failures_tolerated,
    ) as sessions:
        yield sessions[label]


@contextmanager
def model_sessions(
    models: Mapping[str, Mapping[str, Any]],
    weights: Mapping[str, Sequence[str]],
    *,
    gpu: int,
    journal: str,
    labels: Mapping[str, str],
    failures_tolerated: float,
) -> Iterator[dict[str, Session]]:
    """A session for each role of a job, on a device of the job's own until it ends.

    `models`: rows of the models table, by role; equal ones are loaded once. `weights`: the folder that a model's GGUF
    file was unpacked into, or nothing. `gpu`: how many GPUs the job was given. `labels`: what each role's file in the
    journal is called. Otherwise as `open_session`.
    """
    specs = {role: spec_of(row, weights[role]) for role, row in models.items()}
    with own_device(gpu) as device:
        opened: dict[str, Session] = {}
        for role, spec in specs.items():
            twin = next((opened[other] for other in opened if specs[other] == spec), None)
            if twin:
                opened[role] = Session(
                    twin.backend, twin.journal, labels[role], tolerated=failures_tolerated, reader=twin.reader
                )
            else:
                opened[role] = open_session(
                    spec, device=device, journal=journal, writer=labels[role], tolerated=failures_tolerated
                )
        yield opened


def no_report(name: str) -> dict[str, Any]:
    """What stands where a job would record what it asked of a model, of one that asked none."""
    return {
        **asdict(Usage()),
        "failures": [],
        "peak_memory_mib": 0.0,
        "model": {"model": name},
        "engine": {"device": "none"},
    }

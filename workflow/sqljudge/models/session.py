"""Asks a backend, through the journal: identical requests once, finished ones never again, progress as it goes.

Knows requests and answers, not what they are for.
"""

from __future__ import annotations

import io
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

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
from sqljudge.models.journal import JournalWriter, read_answers, request_key

log = logging.getLogger(__name__)

Request = TypeVar("Request", GenerationRequest, ChoiceRequest)
Answer = TypeVar("Answer", Completion, Choice)
Ask = Callable[[Sequence[Request], Heartbeat], Iterable[tuple[int, Answer | Failure]]]
SECONDS = "seconds"
"""What a journalled answer says of its cost: its share of the wall seconds of its batch, so that a job's add up."""
MOST_FAILURES = 20
"""So many failures in a row, a request's own left out, and the rest are not tried: whatever answers has gone away."""
SHOWN = 160
"""Characters of a prompt's end by which a failed request is listed."""
REPORT_SECONDS = 5.0
"""A log gets at most one line of progress in so many seconds."""
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


@dataclass(slots=True)
class Session:
    """A backend, the journal in front of it, and what has been spent. `journal` None: every request is asked anew.

    A request without an answer is listed in `failures`, never in the journal, and the others go on. `tolerated`: the
    share of distinct requests that may end so; beyond it ModelError is raised, when all others have their answers.
    """

    backend: Backend
    journal: Path | None
    writer: str
    usage: Usage = field(default_factory=Usage)
    tolerated: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)

    def complete(self, requests: Sequence[GenerationRequest]) -> list[Completion | Failure]:
        """One completion a request, in order; a Failure where there was none and that is tolerated.

        A journalled response of the same request with another budget serves where it is long enough or ended by
        itself; it is cut to the budget (paper notes: a greedy response at a smaller budget is a prefix).
        """
        longest: dict[str, GenerationRequest] = {}
        keys = [self._key(request) for request in requests]
        for key, request in zip(keys, requests, strict=True):
            if key not in longest or request.max_new_tokens > longest[key].max_new_tokens:
                longest[key] = request
        answers = self._answers(longest, self.backend.generate, Completion)
        found = ((answers[key], request) for key, request in zip(keys, requests, strict=True))
        return [one if isinstance(one, Failure) else one.cut(request.max_new_tokens) for one, request in found]

    def choose(self, requests: Sequence[ChoiceRequest]) -> list[Choice | Failure]:
        """Next-token probabilities of each request, in order; failures as above."""
        keys = [self._key(request) for request in requests]
        distinct = dict(zip(keys, requests, strict=True))
        answers = self._answers(distinct, lambda missing, heartbeat: self.backend.choose(missing), Choice)
        return [answers[key] for key in keys]

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
    ) -> dict[str, Answer | Failure]:
        kept = read_answers(self.journal, distinct, _longer) if self.journal else {}
        answers: dict[str, Answer | Failure] = {}
        for key, found in kept.items():
            if _covers(found, distinct[key]):
                seconds = found.pop(SECONDS, 0.0)
                parts = {name: tuple(part) if isinstance(part, list) else part for name, part in found.items()}
                answers[key] = answer = kind(**parts)
                self._spent(answer, seconds)
        missing = sorted((key for key in distinct if key not in answers), key=lambda key: _alike(distinct[key]))
        self.usage.distinct += len(distinct)
        self.usage.from_journal += len(answers)
        if answers:
            log.info(f"{self.writer}: {len(answers)} of {len(distinct)} answers are in the journal")
        if missing:
            answers.update(self._ask([distinct[key] for key in missing], missing, ask))
            self._check_failures()
        return answers

    def _ask(
        self, requests: Sequence[Request], keys: Sequence[str], ask: Ask[Request, Answer]
    ) -> Iterator[tuple[str, Answer | Failure]]:
        if self.usage.distinct - self.usage.from_journal == len(requests):  # the first that the backend is asked
            log.info(f"{self.writer}: {len(requests)} requests; loading the model")
        progress = Progress(self.writer, len(requests), sum(getattr(each, "max_new_tokens", 0) for each in requests))
        journal = JournalWriter(self.journal, self.writer) if self.journal else None
        last, failed = time.monotonic(), 0
        with progress, journal or nullcontext():
            for group in self._groups(requests, ask, progress.beat):
                seconds, last = (time.monotonic() - last) / len(group), time.monotonic()
                if journal:
                    journal.put_all(
                        (keys[i], self._written(requests[i]), {**_kept(answer), SECONDS: round(seconds, 4)})
                        for i, answer in group
                        if not isinstance(answer, Failure)
                    )
                for i, answer in group:
                    if isinstance(answer, Failure):
                        failed += not answer.own
                        self._failed(requests[i], answer, last_one=failed >= MOST_FAILURES)
                        progress.add(0, 0)
                    else:
                        failed, new = 0, len(answer.token_ids) if isinstance(answer, Completion) else 0
                        self._spent(answer, seconds)
                        progress.add(answer.prompt_tokens, new)
                    yield keys[i], answer

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

    def _spent(self, answer: Completion | Choice, seconds: float) -> None:
        self.usage.prompt_tokens += answer.prompt_tokens
        if isinstance(answer, Completion):
            self.usage.new_tokens += len(answer.token_ids)
            self.usage.routed_tokens += len(answer.routed)
        self.usage.large_tokens += answer.large_tokens
        self.usage.seconds += seconds

    def report(self) -> dict[str, Any]:
        """What this job's sidecar records: requests, failed ones, tokens, seconds, memory, model, device."""
        return {
            **asdict(self.usage),
            "failures": self.failures,
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "model": self.backend.identity(),
            "engine": self.backend.describe(),
        }


def _kept(answer: Completion | Choice) -> dict[str, Any]:
    """An answer as the journal keeps it; who gave it is said where two models share the work alone."""
    return {name: part for name, part in asdict(answer).items() if part or name not in ("routed", "large_tokens")}


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


def _covers(answer: dict[str, Any], request: GenerationRequest | ChoiceRequest) -> bool:
    if isinstance(request, ChoiceRequest):
        return True
    return answer["finish_reason"] == "stop" or len(answer["token_ids"]) >= request.max_new_tokens


def _longer(new: dict[str, Any], old: dict[str, Any]) -> bool:
    return len(new.get("token_ids", ())) > len(old.get("token_ids", ()))


def open_session(spec: ModelSpec, *, device: str, journal: str, writer: str, tolerated: float = 0.0) -> Session:
    """A session with a model. `journal`: the folder of all journals, or "" to ask everything anew.

    `tolerated`: the share of a job's distinct requests that may end without an answer before the job fails.

    A model's journal is a folder of its own; `writer` names the job's file in it. Raises ConfigError or ModelError
    where the model cannot be prepared.
    """
    folder = Path(journal) / spec.name if journal else None
    return Session(load_backend(spec, device=device), folder, writer, tolerated=tolerated)


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
                opened[role] = Session(twin.backend, twin.journal, labels[role], tolerated=failures_tolerated)
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


class Progress(tqdm):  # type: ignore[misc]
    """What a job says while it runs: requests done, tokens a second, time left.

    A bar on a terminal, else lines of the log. `budget`: new tokens that all requests may take together; 0 where none
    are made.
    """

    monitor_interval = 0  # no thread: what has stalled need not be drawn again

    def __init__(self, label: str, total: int, budget: int = 0) -> None:
        self.budget = budget
        self.new = self.computed = self.under_way = 0  # tokens: new ones of what is done, all of that, new ones else
        self.drawn = sys.stderr.isatty()
        super().__init__(
            desc=label,
            total=total,
            file=sys.stderr if self.drawn else _Lines(),
            leave=self.drawn,
            mininterval=0.1 if self.drawn else REPORT_SECONDS,
            miniters=0,
            delay=1e-9,  # nothing is shown before the first update
            position=0,
            bar_format=("{l_bar}{bar}| " if self.drawn else "{desc}: ")
            + "{n_fmt} of {total_fmt} requests, {speed:.0f} tokens/s, {left}",
        )

    def beat(self, tokens: int) -> None:
        """New tokens of requests that are not done yet."""
        self.under_way += tokens
        self.update(0)

    def add(self, prompt: int, new: int) -> None:
        """One more request is done: tokens of its prompt, and new ones, all of which came as beats."""
        self.new += new
        self.computed += prompt + new
        self.under_way = max(0, self.under_way - new)
        self.update(1)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What a line may show; `speed`: tokens a second, `left`: the time for what is left, at the speed so far.

        By new tokens where there are any: a request that is not done is taken to need its share of the budget at the
        start, and what the others needed at the end, since the ones that are done first are the short ones.
        """
        known = super().format_dict
        spent, ahead, behind = max(known["elapsed"], 1e-9), float(self.total - self.n), self.n
        if self.budget:
            share = self.n / self.total
            needed = (1 - share) * self.budget / self.total + (share * self.new / self.n if self.n else 0.0)
            ahead, behind = ahead * needed - self.under_way, self.new + self.under_way
        left = f"{self.format_interval(max(0.0, ahead) * spent / behind)} left" if behind else "time left not known yet"
        return {**known, "speed": (self.computed + self.under_way) / spent, "left": left}

    def close(self) -> None:
        """Say how far it came, if that was not said yet."""
        if not self.disable and not self.drawn and self.last_print_n < self.n:
            self.refresh()
        super().close()


class _Lines(io.TextIOBase):
    """A file that makes each state of a bar a line of the log."""

    def write(self, text: str) -> int:
        if line := text.strip():
            log.info(line)
        return len(text)

"""Requests to a server over HTTP: how many at once, tried how often, and which failures end what.

Knows JSON and HTTP, no model and no protocol. The key is read from the environment when asking begins, and goes nowhere
but into the request's header.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx2

from sqljudge.core.errors import ModelError
from sqljudge.models.engines.address import Address
from sqljudge.models.engines.base import Failure

Answer = TypeVar("Answer")
Body = dict[str, Any]

KEY_VARIABLE = "OPENAI_API_KEY"
FIRST_WAIT = 1.0
"""Seconds before the second try; each further wait is twice as long, of which a random half is taken off."""
LONGEST_WAIT = 60.0
LONGEST_REQUESTED_WAIT = 600.0
"""A server that asks for a longer pause than these seconds is not waited for."""
SHOWN = 200
"""Characters of a server's message that are repeated."""
TRANSIENT = frozenset({408, 409, 425, 429})


class UnusableAnswer(Exception):  # noqa: N818  (its message ends as a Failure's reason)
    """What a server answered cannot be used. `again`: whether it may be different the next time."""

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


def ask_all(
    who: str, address: Address, path: str, bodies: Sequence[Body], read: Callable[[Body, int], Answer]
) -> Iterator[tuple[int, Answer | Failure]]:
    """Send all bodies, and give each answer with its body's position as it comes.

    `who`: what errors call the model. `read(answer, i)`: makes something of the JSON object answered to body i, or
    raises UnusableAnswer. Raises ModelError as soon as the server refuses a request in a way that waiting cannot mend
    (key, model, malformed request); requests under way are then given up, as they are when the iterator is closed.
    """
    caller = _Caller(who, address, path, read)
    with asyncio.Runner() as runner:
        answers = caller.answers(bodies)
        try:
            while (found := runner.run(_next(answers))) is not None:
                yield found
        finally:
            runner.run(_close(answers))


async def _next(answers: AsyncIterator[Answer]) -> Answer | None:
    return await anext(answers, None)


async def _close(answers: Any) -> None:
    async with aclosing(answers):
        pass


class _Caller(Generic[Answer]):
    """One server and how it is asked. `resume_at`: no request is sent before this time, since the server said so."""

    def __init__(self, who: str, address: Address, path: str, read: Callable[[Body, int], Answer]) -> None:
        self.who = who
        self.address = address
        self.url = address.url + path
        self.read = read
        self.resume_at = 0.0

    async def answers(self, bodies: Sequence[Body]) -> AsyncIterator[tuple[int, Answer | Failure]]:
        """The answers as they come, from as many workers as may ask at once."""
        waiting = iter(enumerate(bodies))
        done: asyncio.Queue[tuple[int, Answer | Failure] | Exception] = asyncio.Queue()

        async def work(client: httpx2.AsyncClient) -> None:
            try:
                for i, body in waiting:
                    await done.put((i, await self._answer(client, body, i)))
            except Exception as error:  # handed to whoever reads the answers
                await done.put(error)

        async with _client(self.who, self.address) as client:
            workers = [asyncio.create_task(work(client)) for _ in range(min(self.address.concurrency, len(bodies)))]
            try:
                for _ in bodies:
                    found = await done.get()
                    if isinstance(found, Exception):
                        raise found
                    yield found
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _answer(self, client: httpx2.AsyncClient, body: Body, i: int) -> Answer | Failure:
        reason = ""
        for attempt in range(self.address.tries):
            if attempt:
                await asyncio.sleep(backoff(attempt))
            await asyncio.sleep(max(0.0, self.resume_at - time.monotonic()))
            try:
                return self.read(await self._post(client, body), i)
            except UnusableAnswer as error:
                reason = str(error)
                if not error.again:
                    return Failure(reason)
            except httpx2.TimeoutException:
                reason = f"no answer within {self.address.timeout} s"
            except httpx2.TransportError as error:
                reason = f"connection failed ({error or type(error).__name__})"
        return Failure(f"{reason}, {self.address.tries} times" if self.address.tries > 1 else reason)

    async def _post(self, client: httpx2.AsyncClient, body: Body) -> Body:
        response = await client.post(self.url, json=body)
        status = response.status_code
        if status in TRANSIENT or status >= 500:
            self._pause(response.headers.get("Retry-After"))
            raise UnusableAnswer(f"status {status}")
        if status != 200:
            raise self._refusal(response, client)
        try:
            answer = response.json()
        except (ValueError, httpx2.DecodingError) as error:
            raise UnusableAnswer("the answer is not JSON") from error
        if not isinstance(answer, dict):
            raise UnusableAnswer("the answer is not a JSON object")
        return answer

    def _pause(self, header: str | None) -> None:
        """Hold all requests back for as long as the server asks."""
        seconds = seconds_asked(header)
        if seconds > LONGEST_REQUESTED_WAIT:
            raise UnusableAnswer(f"the server asks to wait {seconds:.0f} s", again=False)
        self.resume_at = max(self.resume_at, time.monotonic() + seconds)

    def _refusal(self, response: httpx2.Response, client: httpx2.AsyncClient) -> ModelError:
        status = response.status_code
        if status in (401, 403):
            sent = "the key that it holds" if "Authorization" in client.headers else "which is not set"
            return ModelError(
                f"{self.who}: {self.address.url} refuses access (status {status}); "
                f"set the environment variable {KEY_VARIABLE} ({sent}) to a key for this server and model"
            )
        key = client.headers.get("Authorization", "").removeprefix("Bearer ")
        said = " ".join(_message(response).split())
        said = (said.replace(key, "***") if key else said)[:SHOWN]
        advice = {
            400: "; does the server offer completions with log-probabilities, and is its context long enough?",
            404: f"; does {self.address.url} serve the model '{self.address.model}', and does its path end in /v1?",
        }.get(status, "")
        return ModelError(f"{self.who}: {self.url} answers with status {status}: {said or 'no message'}{advice}")


def _client(who: str, address: Address) -> httpx2.AsyncClient:
    """Raises ModelError for a key that cannot stand in a header, without repeating it."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ModelError(f"{who}: the environment variable {KEY_VARIABLE} holds characters that no key has; correct it")
    return httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=address.timeout,
        limits=httpx2.Limits(max_connections=address.concurrency, max_keepalive_connections=address.concurrency),
    )


def _message(response: httpx2.Response) -> str:
    """What a server says is wrong: the message of its JSON error, or its text."""
    try:
        answer = json.loads(response.text)
        error = answer.get("error", answer) if isinstance(answer, dict) else answer
        return str(error.get("message", error) if isinstance(error, dict) else error)
    except ValueError:
        return response.text


def backoff(attempt: int) -> float:
    """Seconds to wait before try number `attempt` (0-based, at least 1): twice as many each time, half of it random."""
    return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0))


def seconds_asked(header: str | None) -> float:
    """The seconds of a Retry-After header, which holds a number or a date; 0 where it is missing or unreadable."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(header) if header.strip()[:1].isdigit() else _until(header))
    except (ValueError, TypeError):
        return 0.0


def _until(date: str) -> float:
    then = parsedate_to_datetime(date)
    return (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()

"""A model behind a server that speaks the OpenAI protocol's `/v1/completions`, with log-probabilities.

The client library `openai` sends requests and tries them again. Chats are rendered here, since the chat endpoint cannot
go on with an answer that is already opened: the row of the models table names the tokenizer whose template is used.
See docs/running.md.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import openai

from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.files import parse_json, whole_text
from sqljudge.models.engines import tokenizer
from sqljudge.models.engines.answers import NotOffered, UnusableAnswer, read_choice, read_completion
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    Heartbeat,
    ModelSpec,
    Prompt,
    request_seed,
    silent,
)
from sqljudge.models.engines.weights import Address, Weights, parse_address

Body = dict[str, Any]
Read = Callable[[Body, int], Completion | Choice]
"""Makes something of the JSON object that was answered to a request, or raises UnusableAnswer."""

KEY_VARIABLE = "OPENAI_API_KEY"
NO_KEY = "none"
"""Stands for a key where none is set, and is not sent: the client library wants one."""
FIRST_WAIT = 0.5
"""Seconds before an unusable answer is asked for again, twice as many each time: as the client library waits."""
LONGEST_WAIT = 8.0
LONGEST_PAUSE = 120.0
"""The client library does not wait for a server that asks for a longer pause than these seconds."""
TRANSIENT = frozenset({408, 409, 429})
"""Statuses that the client library tries again, beside 5xx."""
SHOWN = 200
"""Characters of a server's message that are repeated."""


def load(spec: ModelSpec, device: str) -> OpenAIBackend:
    """A model behind a server; asks nothing of it yet. Raises ConfigError for a malformed address."""
    return OpenAIBackend(spec, parse_address(spec))


class OpenAIBackend:
    """One model of one server."""

    batch = 0

    def __init__(self, spec: ModelSpec, address: Address) -> None:
        self.spec = spec
        self.address = address
        self.offered: set[type[Completion | Choice]] = set()
        """The kinds of answer that the server has given with all that belongs to them."""

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer that renders chats.

        Raises ConfigError where none is named, ModelError where it cannot be loaded.
        """
        if not self.spec.tokenizer:
            raise ConfigError(
                f"model '{self.spec.name}' is behind a server, and no tokenizer is named for its chat template; name "
                "one in the column 'tokenizer' of the models table, or use the prompt format 'raw' or 'inst'"
            )
        spec = dataclasses.replace(self.spec, source=self.spec.tokenizer)
        path = Path(spec.source).expanduser()
        return tokenizer.load_tokenizer(
            spec, Weights(str(path)) if path.is_dir() else Weights(spec.source, local=False)
        )

    def render_chat(self, user: str, opening: str) -> Prompt:
        """A user's turn in the tokenizer's chat template, then the opening of the answer.

        A server puts the text's first special token before it by itself, so that of the template is taken off.
        """
        prompt = tokenizer.render_chat(self.tokenizer, self.spec.name, user, opening)
        first = self.tokenizer.bos_token
        if first and tokenizer.encode(self.tokenizer, Prompt("", special=True))[:1] == [self.tokenizer.bos_token_id]:
            return Prompt(prompt.text.removeprefix(first))
        return Prompt(prompt.text)

    def generate(
        self, requests: Sequence[GenerationRequest], heartbeat: Heartbeat = silent
    ) -> Iterator[tuple[int, Completion | Failure]]:
        """Completions as they come; a request that failed as often as it may is a Failure."""
        bodies = map(self._completing, requests)
        return self._ask(bodies, Completion, lambda answer, i: read_completion(answer, requests[i]))

    def _completing(self, request: GenerationRequest) -> Body:
        body = self._body(request.prompt, request.max_new_tokens, request.temperature, logprobs=1)
        if request.temperature > 0:
            body["seed"] = request_seed(request)
        if request.stop:
            body["stop"] = list(request.stop)
        return body

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[tuple[int, Choice | Failure]]:
        """Next-token probabilities, from the likeliest tokens that the server lists; see `read_choice`.

        Raises ModelError for words with spellings: a server does not tell how it splits them into tokens.
        """
        if any(request.spellings for request in requests):
            raise ModelError(
                f"model '{self.spec.name}' is behind a server, which does not tell how it splits a verdict into "
                "tokens; force verdicts with the backend transformers or vllm"
            )
        bodies = (self._body(request.prompt, 1, 1.0, logprobs=self.address.top) for request in requests)
        return self._ask(bodies, Choice, lambda answer, i: read_choice(answer, requests[i], self.address.top))

    def _body(self, prompt: Prompt, budget: int, temperature: float, *, logprobs: int) -> Body:
        return {
            "model": self.address.model,
            "prompt": prompt.text,
            "max_tokens": budget,
            "temperature": temperature,
            "top_p": 1.0,
            "logprobs": logprobs,
        }

    def _ask(self, bodies: Iterable[Body], kind: type[Completion | Choice], read: Read) -> Iterator[tuple[int, Any]]:
        """Send all bodies, each made when its turn comes, and give each answer with its body's position as it comes.

        Raises ModelError as soon as the server refuses a request in a way that waiting cannot mend (key, model,
        malformed request), or where its first answers lack what it was asked for (log-probabilities); requests under
        way are then given up, as they are when the iterator is closed.
        """
        waiting = enumerate(bodies)
        pending: set[asyncio.Task[tuple[int, Any]]] = set()
        client = self._client()
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            try:
                while True:
                    for i, body in islice(waiting, self.address.concurrency - len(pending)):
                        pending.add(loop.create_task(self._answer(client, body, i, kind, read)))
                    if not pending:
                        return
                    done, pending = runner.run(asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED))
                    for found in [task.exception() or task.result() for task in done]:
                        if isinstance(found, BaseException):
                            raise found
                        yield found
            finally:
                runner.run(_give_up(client, pending))

    def _client(self) -> openai.AsyncOpenAI:
        """A client whose key goes nowhere but into the requests' header.

        It follows no redirection. Raises ModelError for a key that cannot stand in a header, without repeating it.
        """
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            what = f"the environment variable {KEY_VARIABLE} holds characters that no key has; correct it"
            raise ModelError(f"model '{self.spec.name}': {what}")
        hooks = _pausing_together()
        return openai.AsyncOpenAI(
            api_key=key or NO_KEY,
            base_url=self.address.url,
            timeout=self.address.timeout,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, event_hooks=hooks),
        )

    async def _answer(
        self, client: openai.AsyncOpenAI, body: Body, i: int, kind: type[Completion | Choice], read: Read
    ) -> tuple[int, Any]:
        """An answer or a Failure. The client tries failed requests again; what cannot be used is asked anew here."""
        headers = {"Authorization": openai.Omit()} if client.api_key == NO_KEY else None
        tries, used = self.address.tries, 0
        while True:
            asking = client.with_options(max_retries=tries - used - 1).completions.with_raw_response
            try:
                response = await asking.create(extra_headers=headers, **body)
                used += response.retries_taken + 1
                found = read(_json_object(response.content), i)
                if not isinstance(found, Completion) or found.logprobs:  # an empty answer shows nothing
                    self.offered.add(kind)
                return i, found
            except UnusableAnswer as error:
                reason = str(error)
                if isinstance(error, NotOffered) and kind not in self.offered:
                    who = f"model '{self.spec.name}': {self.address.url}/completions"
                    raise ModelError(f"{who}: {reason} (docs/running.md lists servers)") from None
                if not error.again:
                    return i, Failure(reason)
            except openai.APITimeoutError:
                used, reason = tries, f"no answer within {self.address.timeout} s"
            except openai.APIConnectionError as error:
                cause = error.__cause__ or error
                used, reason = tries, f"connection failed ({str(cause) or type(cause).__name__})"
            except openai.APIStatusError as error:
                used += int(error.request.headers.get("x-stainless-retry-count", 0)) + 1
                return i, self._given_up(error, used)
            if used >= tries:
                return i, _failure(reason, used)
            await asyncio.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (used - 1)))

    def _given_up(self, error: openai.APIStatusError, tries: int) -> Failure:
        """Why the client gave a request up. Raises ModelError for a refusal, without repeating the key."""
        status, who = error.status_code, f"model '{self.spec.name}': {self.address.url}"
        if status in TRANSIENT or status >= 500:
            pause = seconds_asked(error.response.headers.get("Retry-After"))
            if pause > LONGEST_PAUSE:
                return Failure(f"the server asks to wait {pause:.0f} s")
            return _failure(f"status {status}", tries)
        key = error.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if status in (401, 403):
            raise ModelError(
                f"{who} refuses access (status {status}); set the environment variable {KEY_VARIABLE} "
                f"({'the key that it holds' if key else 'which is not set'}) to a key for this server and model"
            )
        body = error.body
        said = str(body.get("message", body) if isinstance(body, dict) else body or "no message")
        said = " ".join(whole_text(said).split())
        said = (said.replace(key, "***") if key else said)[:SHOWN]
        advice = {
            400: "; does the server offer completions with log-probabilities, and is its context long enough?",
            404: f"; does {self.address.url} serve the model '{self.address.model}', and does its path end in /v1?",
        }.get(status, "")
        raise ModelError(f"{who}/completions answers with status {status}: {said}{advice}")

    def identity(self) -> dict[str, str]:
        """The server and the model's name there: all that is known of what decides the answers."""
        return {"model": self.address.model, "server": self.address.url, "backend": "openai"}

    def describe(self) -> dict[str, Any]:
        """How the server is asked."""
        settings = {name: getattr(self.address, name) for name in ("concurrency", "timeout", "tries", "top")}
        return {"device": "server", "openai": openai.__version__, **settings}


async def _give_up(client: openai.AsyncOpenAI, tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()


def _pausing_together() -> dict[str, list[Callable[[Any], Any]]]:
    """Hooks of an HTTP client that hold all requests back while the server asks for a pause.

    The client library holds back only the request that was answered so.
    """
    resume_at = 0.0

    async def hold(request: Any) -> None:
        await asyncio.sleep(max(0.0, resume_at - time.monotonic()))

    async def note(response: Any) -> None:
        nonlocal resume_at
        pause = seconds_asked(response.headers.get("Retry-After"))
        if pause <= LONGEST_PAUSE:
            resume_at = max(resume_at, time.monotonic() + pause)

    return {"request": [hold], "response": [note]}


def seconds_asked(header: str | None) -> float:
    """The seconds of a Retry-After header, which holds a number or a date; 0 where it is missing or unreadable."""
    try:
        if (header or "").strip()[:1].isdigit():
            return float(header or 0)
        then = parsedate_to_datetime(header or "")
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _failure(reason: str, tries: int) -> Failure:
    return Failure(f"{reason}, {tries} times" if tries > 1 else reason)


def _json_object(content: bytes) -> Body:
    try:
        answer = parse_json(content)
    except ValueError as error:
        raise UnusableAnswer("the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise UnusableAnswer("the answer is not a JSON object")
    return answer

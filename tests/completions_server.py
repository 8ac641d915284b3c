"""A real HTTP server of the completions protocol, in a thread, with a model that repeats its prompt's last word."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqljudge.models.engines import load_backend
from sqljudge.models.engines.base import Completion, Failure, GenerationRequest, ModelSpec, Prompt
from sqljudge.models.engines.openai import OpenAIBackend

TOKEN_LOGPROB = math.log(0.75)
TOP = {" Yes": math.log(0.625), " No": math.log(0.25), " Maybe": math.log(0.0625), "\n": math.log(0.03125)}


def as_chat_tokens(answer: dict[str, Any]) -> dict[str, Any]:
    """Log-probabilities as chats have them: an object a token."""
    given = answer["choices"][0]["logprobs"]
    content = [
        {
            "token": token,
            "bytes": list(token.encode("utf-8", "surrogatepass")),
            "logprob": value,
            "top_logprobs": [
                {"token": name, "bytes": list(name.encode("utf-8", "surrogatepass")), "logprob": one}
                for name, one in likely.items()
            ],
        }
        for token, value, likely in zip(given["tokens"], given["token_logprobs"], given["top_logprobs"], strict=True)
    ]
    answer["choices"][0]["logprobs"] = {"content": content}
    return answer


def as_chat(answer: dict[str, Any]) -> dict[str, Any]:
    """The whole answer as a chat's."""
    choice = as_chat_tokens(answer)["choices"][0]
    choice["message"] = {"role": "assistant", "content": choice.pop("text")}
    return answer


def with_logprobs(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A change: other parts of the log-probabilities, each made of how many tokens there are (None: it is missing)."""

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        given = answer["choices"][0]["logprobs"]
        for name, part in parts.items():
            if part is None:
                del given[name]
            else:
                given[name] = part(len(given["tokens"]))
        return answer

    return change


def with_choice(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A change: other parts of the choice (None: null)."""
    return lambda answer: {**answer, "choices": [{**answer["choices"][0], **parts}]}


def native(answer: dict[str, Any]) -> dict[str, Any]:
    """What old servers of llama.cpp answer to every path."""
    return {"content": answer["choices"][0]["text"], "stopped_eos": True, "tokens_evaluated": 2}


def as_it_is(answer: dict[str, Any]) -> dict[str, Any]:
    """No change."""
    return answer


READ = {
    "OpenAI": as_it_is,
    "vLLM": as_it_is,
    "SGLang": with_logprobs(text_offset=lambda count: [-1] * count),
    "llama.cpp": as_chat_tokens,
    "a chat's form": as_chat,
}
"""How servers write down an answer of which everything is read, by their names in docs/running.md."""
COMPLETIONS_ONLY = {
    "Together": with_logprobs(
        token_ids=lambda count: list(range(count)), text_offset=None, top_logprobs=None, content=lambda count: None
    ),
}
"""Servers that give log-probabilities of the tokens alone."""
NOT_READ = {
    "TGI": with_choice(logprobs=None),
    "Ollama": lambda answer: {**answer, "choices": [{"text": answer["choices"][0]["text"], "finish_reason": "stop"}]},
    "LM Studio": with_choice(logprobs=None),
    "vLLM `--return-tokens-as-token-ids`": with_logprobs(
        tokens=lambda count: [f"token_id:{i}" for i in range(count)],
        top_logprobs=lambda count: [{"token_id:7": -0.1, "token_id:8": -3.0}] * count,
    ),
    "llama.cpp until January 2025": native,
}
"""Servers whose answers lack what a job needs."""

Fault = Callable[[Any], None]
"""What a server does with a request (a handler) in place of a good answer."""


@dataclass
class Server:
    """What the server is to do, and what it was asked.

    `faults`: for each request in turn, what goes wrong (None: nothing); when they are used up, nothing does. `headers`:
    of each request, their names in lower case.
    """

    url: str = ""
    key: str = ""
    model: str = "echo"
    faults: list[Fault | None] = field(default_factory=list)
    change: Callable[[dict[str, Any]], Any] = lambda answer: answer
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: Any = field(default_factory=threading.Lock)


def tokens_of(body: dict[str, Any]) -> tuple[list[str], str]:
    """The answer: the last word, a letter a token, then a verdict; as much as the budget allows."""
    word = body["prompt"].split()[-1]
    tokens = [*f" {word}", "{", '"correct"', ": ", "true", "}"][: body["max_tokens"]]
    return tokens, "length" if len(tokens) == body["max_tokens"] else "stop"


def answer_to(body: dict[str, Any]) -> dict[str, Any]:
    """The whole answer, as a good server gives it."""
    tokens, reason = tokens_of(body)
    text = "".join(tokens)
    for mark in body.get("stop", ()):
        if mark in text:
            text, reason = text.partition(mark)[0], "stop"
    logprobs = {
        "tokens": tokens,
        "token_logprobs": [TOKEN_LOGPROB] * len(tokens),
        "text_offset": [len("".join(tokens[:i])) for i in range(len(tokens))],
        "top_logprobs": [dict(list(TOP.items())[: body["logprobs"]])] * len(tokens),
    }
    choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": reason}
    usage = {"prompt_tokens": len(body["prompt"].split()), "completion_tokens": len(tokens)}
    return {"object": "text_completion", "choices": [choice], "usage": usage}


def status(code: int, headers: dict[str, str] | None = None, message: str = "broken", after: float = 0.0) -> Fault:
    """A fault: answer with a status and a message, after so many seconds."""

    def fault(handler: Any) -> None:
        time.sleep(after)
        send(handler, json.dumps({"error": {"message": message}}).encode(), code, headers)

    return fault


def text(raw: bytes, length: int | None = None) -> Fault:
    """A fault: answer with these bytes, which may be fewer than the answer says."""
    return lambda handler: send(handler, raw, 200, {"Content-Length": str(len(raw) if length is None else length)})


def slow(seconds: float) -> Fault:
    """A fault: say nothing for a while, then hang up."""
    return lambda handler: time.sleep(seconds)


def send(handler: Any, raw: bytes, code: int = 200, headers: dict[str, str] | None = None) -> None:
    """Answer with bytes, and hang up."""
    handler.close_connection = True
    handler.send_response(code)
    for name, value in {"Content-Length": str(len(raw)), "Connection": "close", **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.asked.append(body)
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
                server.times.append(time.monotonic())
                fault = server.faults.pop(0) if server.faults else None
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self._reply(body, fault)
            finally:
                with server.lock:
                    server.at_once -= 1

        def _reply(self, body: dict[str, Any], fault: Fault | None) -> None:
            given = self.headers.get("Authorization", "")
            if server.key and given != f"Bearer {server.key}":
                status(401, message=f"wrong key {given}")(self)
            elif self.path != "/v1/completions" or body["model"] != server.model:
                status(404, message=f"no model '{body['model']}' for {given}")(self)
            elif fault is not None:
                fault(self)
            else:
                send(self, json.dumps(server.change(answer_to(body))).encode())

    return Handler


@contextmanager
def serving() -> Iterator[Server]:
    """A running server."""
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # a client that hung up is what some tests are about
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def model(server: Server, options: str = "", name: str = "echo", tokenizer: str = "") -> OpenAIBackend:
    """A model of the server, as a row of the models table names it."""
    spec = ModelSpec("m", f"{server.url}?{options}#{name}", "-", "openai", "-", "-", tokenizer)
    backend = load_backend(spec, device="cpu")
    assert isinstance(backend, OpenAIBackend)
    return backend


def request(prompt: str = "say hi", budget: int = 20, **more: Any) -> GenerationRequest:
    """A greedy request."""
    return GenerationRequest(Prompt(prompt), budget, **more)


def one(backend: OpenAIBackend, **more: Any) -> Completion | Failure:
    """The answer to one request."""
    ((position, answer),) = backend.generate([request(**more)])
    assert position == 0
    return answer


def failure(backend: OpenAIBackend) -> str:
    """Why one request fails."""
    answer = one(backend)
    assert isinstance(answer, Failure), answer
    return answer.reason

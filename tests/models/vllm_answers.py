"""Asks vLLM itself, in an interpreter that has it: reads a folder of the embedded model and requests, writes answers.

One engine, in a session as a job has it. JSON comes on standard input and goes to the file named.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqljudge.models.engines.base import ChoiceRequest, GenerationRequest, ModelSpec, Prompt
from sqljudge.models.session import model_session


def request(kind: Any, given: dict[str, Any]) -> Any:
    """A request from its fields."""
    parts = {name: tuple(part) if isinstance(part, list) else part for name, part in given.items()}
    return kind(**{**parts, "prompt": Prompt(**given["prompt"])})


def main(given: dict[str, Any]) -> dict[str, Any]:
    """Answers, how they came, what the session reports."""
    begun = time.monotonic()
    spec = asdict(ModelSpec("embedded", given["folder"], "-", "vllm", "float32", context=given["context"]))
    with model_session(spec, [], gpu=0, journal=given["journal"], label="job", failures_tolerated=1.0) as session:
        backend: Any = session.backend
        assert backend.engine
        started = time.monotonic()
        completions = session.complete([request(GenerationRequest, each) for each in given["generate"]])
        generated = time.monotonic()
        choices = session.choose([request(ChoiceRequest, each) for each in given["choose"]])
        chosen = time.monotonic()
        came: list[Any] = []
        short = [request(GenerationRequest, each) for each in given["short"]]
        for i, answer in backend.generate(short, lambda tokens: came.append(tokens)):
            came.append([i, asdict(answer)])
        rest = backend.generate(short)
        next(rest)
        rest.close()  # a job that fails leaves its requests
        return {
            "completions": [asdict(each) for each in completions],
            "choices": [asdict(each) for each in choices],
            "came": came,
            "left": backend.engine.llm_engine.get_num_unfinished_requests(),
            "report": session.report(),
            "seconds": {"start": started - begun, "generate": generated - started, "choose": chosen - generated},
        }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(main(json.loads(sys.stdin.read()))), encoding="utf-8")

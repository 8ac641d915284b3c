"""The report's captions: each renders with the project's own configurations, and is well-formed reStructuredText."""

from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docutils.core
import jinja2
import pytest
import yaml
from metric_files import with_training
from sqljudge.core.variants import Experiment
from sqljudge.experiments.config import experiments_of, load_config
from sqljudge.report import words
from sqljudge.report.provenance import run_facts
from sqljudge.report.specs import FIGURES, SPECS

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "workflow" / "report"
RUN = {
    "model": {"model": "m_1", "revision": "abc", "dtype": "float32", "quantization": "none", "backend": "b"},
    "engine": {"device": "cpu"},
    "prompt_tokens": 1000,
    "new_tokens": 500,
    "seconds": 2.0,
}
SIDECAR = {
    "commit": "0123456789abcdef",
    "dirty": True,
    "made": "2026-01-02T03:04:05+00:00",
    "machine": {"system": "Linux", "processor": "x86_64", "name": "a CPU", "cores": 2},
    "versions": {"python": "3.11"},
}
FOUND = "In this run *A* is 1.00 %.\n"
CAPTIONS = sorted(path.stem for path in REPORT.glob("*.rst"))


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Configurations laid over each other as the workflow engine does it: key by key, lists replaced."""
    both = {key: merged(base[key], over[key]) for key in base.keys() & over.keys() if isinstance(over[key], dict)}
    return {**base, **over, **both}


def configuration(*names: str) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name in names:
        path = ROOT / "config" / name
        if not path.exists():
            pytest.skip(f"no {name} in config/")
        config = merged(config, yaml.safe_load(path.read_text(encoding="utf-8")))
    return load_config(with_training(config)).model_dump(by_alias=True)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A result, and beside it what this run found and what made it."""
    (tmp_path / "provenance.findings.rst").write_text(FOUND, encoding="utf-8")
    (tmp_path / "provenance.facts.rst").write_text(run_facts({"table1": SIDECAR}, [RUN]), encoding="utf-8")
    return tmp_path / "provenance.html"


def caption(name: str, config: dict[str, Any], page: Path | None = None) -> str:
    """The caption's text, rendered with undefined names as errors."""
    spec = SPECS.get(name) or FIGURES.get(name)
    given = experiments_of(load_config(config))[spec.source] if spec else Experiment()
    display = {
        key: entry.get("label", key) for key, entry in {**config["generators"], **config["discriminators"]}.items()
    }
    params = SimpleNamespace(
        experiment=dataclasses.asdict(given),
        caption={**words.phrases(config, given, display), "questions": words.question_summary(config)},
        resamples=config["resamples"],
    )
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    source = (REPORT / f"{name}.rst").read_text(encoding="utf-8")
    output = SimpleNamespace(html=str(page), svg=str(page))
    files = [SimpleNamespace(path=page, target=page.name)] if page else []
    made = SimpleNamespace(config=config, params=params, output=output)
    return environment.from_string(source).render(snakemake=made, files=files)


PAPER, DEMO, BIRD = ("config.yaml",), ("config.yaml", "demo.yaml"), ("config.yaml", "demo.yaml", "mini_bird.yaml")


@pytest.mark.parametrize("names", [PAPER, DEMO, BIRD], ids=["paper", "demo", "bird"])
@pytest.mark.parametrize("name", CAPTIONS)
def test_caption_is_well_formed(name: str, names: tuple[str, ...], page: Path) -> None:
    text = caption(name, configuration(*names), page)
    strict = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    shown = docutils.core.publish_parts(text, writer="html5", settings_overrides=strict)["body"]
    assert "None" not in text
    assert "Undefined" not in text
    assert "  " not in re.sub(r"\n +", "\n", text)
    assert len(shown) > 200


@pytest.mark.parametrize("name", CAPTIONS)
def test_captions_give_this_runs_own_numbers(name: str, page: Path) -> None:
    """What a table says, or, where what was made is told, the facts of the run."""
    numbers = "1,500 tokens in 2 seconds" if name in ("provenance", "workflow") else FOUND.strip()
    assert numbers in caption(name, configuration("config.yaml"), page)
    assert numbers not in caption(name, configuration("config.yaml")), "of another page"


def test_captions_count_the_resamples_of_this_run() -> None:
    config = configuration("config.yaml")
    told = [name for name in CAPTIONS if "10,000 random weights" in caption(name, config)]
    config["resamples"] = 777
    assert told == [name for name in CAPTIONS if "777 random weights" in caption(name, config)]
    assert {"adaptive", "pareto", "table1", "figure4"} <= set(told)


def test_the_front_page_says_what_was_run(page: Path) -> None:
    text = caption("workflow", configuration("config.yaml", "demo.yaml"), page)
    for said in ("mini_spider", "seed 42", "SmolLM2-135M (reasoning)", "DIRTY", "1,500 tokens", "a CPU"):
        assert said in text, said
    assert "3 questions of each level of difficulty" in text


def test_captions_speak_of_the_levels_of_the_dataset() -> None:
    config = configuration(*BIRD)
    asked = f"{3 * config['dataset']['per_hardness']} questions of ``mini_bird``"
    assert asked in caption("table2", config)
    assert "of each difficulty" in caption("table7", config)
    assert "by difficulty of the question" in caption("figure5", config)


def test_captions_name_the_runs_own_settings() -> None:
    config = configuration("config.yaml", "demo.yaml")
    per_hardness = config["dataset"]["per_hardness"]
    two = caption("table2", config)
    assert f"{4 * per_hardness} questions of ``{config['dataset']['name']}``" in two
    assert f"cut at {config['experiments']['table2']['budget']} tokens" in two
    assert "without the schema" in two
    assert config["pool"]["file"] in caption("table1", config)
    budgets = ", ".join(map(str, config["experiments"]["table8"]["budgets"]))
    assert budgets in caption("figure4", config)


def test_the_caption_of_contexts_says_what_was_shown_and_from_where() -> None:
    config = configuration("config.yaml")
    text = caption("contexts", config)
    for said in (
        "with the candidate's result; with demonstrations",
        "``train_spider.json`` of ``spider``",
        "4 training",
    ):
        assert said in text, said
    assert "Distill-R1-1.5B is not asked with demonstrations" in text
    config["demonstrations"] = {"file": "mine.json", "number": 8}
    assert "8 training examples" in caption("contexts", config)
    assert "``mine.json``," in caption("contexts", config)


def test_caption_names_the_users_question_ids() -> None:
    config = configuration("config.yaml")
    config["dataset"]["question_ids"] = "ids.txt"
    assert "listed in ``ids.txt``" in caption("table7", config)


def test_caption_says_that_the_papers_list_is_completed_by_drawing() -> None:
    text = " ".join(caption("table7", configuration("config.yaml")).split())
    assert "listed in ``resources/paper_questions.tsv``, completed by drawing (100 of each hardness, seed 42)" in text


def test_there_is_a_caption_for_each_artefact() -> None:
    wanted = {"claims", "workflow", "costs", "provenance"}
    assert wanted | {*SPECS, *FIGURES} <= set(CAPTIONS)


def test_the_front_page_shows_the_short_picture_of_the_readme() -> None:
    picture = base64.b64encode((ROOT / "docs/images/dag.svg").read_bytes()).decode()
    page = (REPORT / "workflow.rst").read_text(encoding="utf-8")
    assert f'src="data:image/svg+xml;base64,{picture}"' in page
    assert "#rulegraph { display: none; }" in page

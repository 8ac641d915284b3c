"""The report's captions: each renders with the project's own configurations, and is well-formed reStructuredText."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docutils.core
import jinja2
import pytest
import yaml

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "workflow" / "report"
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
    return config


def caption(name: str, config: dict[str, Any]) -> str:
    """The caption's text, rendered with undefined names as errors."""
    shown = {"figure4": "table8", "figure5": "table7", "reliability": "table1", "thresholds": "table1"}
    table = {**shown, "pareto": "adaptive"}.get(name, name)
    params = SimpleNamespace(experiment=config["experiments"].get(table, {}))
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    source = (REPORT / f"{name}.rst").read_text(encoding="utf-8")
    return environment.from_string(source).render(snakemake=SimpleNamespace(config=config, params=params))


@pytest.mark.parametrize("names", [("config.yaml",), ("config.yaml", "demo.yaml")], ids=["paper", "demo"])
@pytest.mark.parametrize("name", CAPTIONS)
def test_caption_is_well_formed(name: str, names: tuple[str, ...]) -> None:
    text = caption(name, configuration(*names))
    strict = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    page = docutils.core.publish_parts(text, writer="html5", settings_overrides=strict)["body"]
    assert "None" not in text
    assert "Undefined" not in text
    assert "  " not in text.replace("\n   ", "\n")
    assert len(page) > 200


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


def test_caption_names_the_users_question_ids() -> None:
    config = configuration("config.yaml")
    config["dataset"]["question_ids"] = "ids.txt"
    assert "listed in ``ids.txt``" in caption("table7", config)


def test_there_is_a_caption_for_each_artefact() -> None:
    wanted = {f"table{number}" for number in range(1, 9)} | {
        "figure4",
        "figure5",
        "claims",
        "workflow",
        "thresholds",
        "reliability",
    }
    assert wanted <= set(CAPTIONS)

"""What a table records of its configuration: that which it depends on, and no more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqljudge.core.errors import ConfigError
from sqljudge.core.files import write_json
from sqljudge.experiments.config import experiments_of, load_config, read_models
from sqljudge.experiments.folder import Configuration, check_shown, configuration, model_rows, of_table
from sqljudge.models.engines.base import ModelSpec
from sqljudge.report.specs import tables_of

ROOT = Path(__file__).resolve().parents[2]
MODELS = read_models(ROOT / "config/models.tsv")


def recorded(table: str, models: dict[str, ModelSpec] | None = None, **changes: Any) -> Configuration:
    """What a table of the paper's configuration records, some of whose keys (with dots for levels) are changed.

    `models`: rows of the models table that are changed, or more of them.
    """
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *parents, last = key.split(".")
        place = raw
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    config = load_config(raw)
    settings = {**config.model_dump(by_alias=True), "models": model_rows({**MODELS, **(models or {})})}
    whole = configuration(settings, [Path.cwd() / "mine.yaml"], {"pool": {"file": "a b.json"}, "models_folder": "/m"})
    return of_table(whole, settings, table, tables_of(experiments_of(config))[table])


@pytest.mark.parametrize(
    ("key", "value", "again", "same"),
    [
        ("seed", 7, ["table1", "table7", "thresholds"], []),
        ("dataset.per_hardness", 3, ["table1", "table7"], []),
        ("dataset.name", "other", ["table1", "table7"], []),
        ("verdicts", "paper", ["table1"], []),
        ("calibration.bins", 4, ["thresholds", "contexts"], ["table1", "table7", "adaptive"]),
        ("forced.confidences", [0.7], ["adaptive"], ["table1", "table2"]),
        ("experiments.table8.budgets", [256, 512], ["table8"], ["table1", "table4"]),
        ("discriminators.codellama-7b.prompt_format", "raw", ["table1"], ["table8", "table7"]),
        ("generators.stable-code-3b.label", "S", ["table1", "table2", "table7"], []),
        ("models_folder", "elsewhere", [], ["table1", "table7"]),
        ("journal", False, [], ["table1", "table7"]),
    ],
)
def test_a_table_records_what_it_depends_on(key: str, value: Any, again: list[str], same: list[str]) -> None:
    for table in again:
        assert recorded(table, **{key: value})["digest"] != recorded(table)["digest"], table
    for table in same:
        assert recorded(table, **{key: value}) == recorded(table), table


def test_the_options_name_files_and_overrides_as_a_shell_reads_them() -> None:
    assert recorded("table1")["options"] == '--configfile mine.yaml --config \'pool={"file": "a b.json"}\''
    bare = {"seed": 1, "generators": {}, "discriminators": {}, "embedder": "e", "models": {}}
    assert configuration(bare, [], {}) == configuration({**bare, "journal": False}, [], {"journal": "false"})


@pytest.mark.parametrize(
    ("name", "change", "again", "same"),
    [
        ("codellama-7b", {"revision": "0123456"}, ["table1", "table2", "thresholds"], ["table7", "table8"]),
        ("distill-r1-1.5b", {"dtype": "float32"}, ["table1", "table4", "table7", "table8", "adaptive"], []),
        ("stable-code-3b", {"quantization": "8bit"}, ["table1", "table2", "table7"], []),
        ("codellama-13b", {"parameters": "13.1B"}, ["table1"], ["table7", "table8"]),
        ("codellama-13b", {"placement": "offload"}, [], ["table1", "table3"]),
        ("tinyllama-1.1b", {"source": "another/hub"}, ["table1", "table7"], ["table4", "table6"]),
    ],
)
def test_a_table_records_the_rows_of_its_models(
    name: str, change: dict[str, Any], again: list[str], same: list[str]
) -> None:
    changed = {name: replace(MODELS[name], **change)}
    for table in again:
        assert recorded(table, changed)["digest"] != recorded(table)["digest"], table
    for table in same:
        assert recorded(table, changed) == recorded(table), table


def test_a_row_that_names_others_depends_on_theirs() -> None:
    """Two models as one, and one that was trained, whose training counts, too."""
    small, large = MODELS["distill-r1-1.5b"], MODELS["codellama-7b"]
    both = ModelSpec("both", "a+b?never", backend="routed", parts=(replace(small, name="a"), replace(large, name="b")))
    rows = {"both": both, "a": both.parts[0], "b": both.parts[1], "mine": ModelSpec("mine", "trained:t")}
    settings: dict[str, Any] = {
        "discriminators.codellama-7b.model": "both",
        "discriminators.codellama-13b.model": "mine",
        "training_data.d": {"kind": "sat", "steps": [[3, 5, 5]]},
        "trainings.t": {"model": "a", "method": "saturn", "data": "d"},
    }

    def digest(rows: dict[str, ModelSpec], **more: Any) -> str:
        return recorded("table1", rows, **settings, **more)["digest"]

    first = digest(rows)
    assert digest({**rows, "z": ModelSpec("z", "somewhere")}) == first, "nothing asks it"
    assert digest({**rows, "b": replace(rows["b"], revision="0123456")}) != first
    assert digest({**rows, "a": replace(rows["a"], dtype="float32")}) != first
    settings["training_data.d"]["steps"] = [[3, 5, 6]]
    assert digest(rows) != first


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ([], True),
        (["table2"], False),
        (["table1"], True),
        (["table2", "results/tables/table1.csv"], True),
        (["results/tables/table2.html"], False),
        (["tables"], True),
        (["table3"], False),
    ],
)
def test_a_mixture_is_refused_where_it_is_shown(
    arguments: list[str], refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table 1 is another configuration's, Table 2 is this one's, Table 3 is not made."""
    monkeypatch.chdir(tmp_path)
    mine, other = ({"digest": name, "options": f"--configfile {name}.yaml"} for name in ("mine", "other"))
    results = {f"results/tables/table{n}.provenance.json": mine for n in (1, 2, 3)}
    for name, made in zip(results, (other, mine), strict=False):
        write_json(name, {"configuration": made})
    if not refused:
        check_shown(results, arguments, mine)
        return
    with pytest.raises(ConfigError, match=r"has table1 of --configfile other\.yaml, .* names --configfile mine\.yaml"):
        check_shown(results, arguments, mine)
    (tmp_path / "results/tables/table1.provenance.json").write_text(json.dumps({"seed": 1}), encoding="utf-8")
    with pytest.raises(ConfigError, match="an older version"):
        check_shown(results, arguments, mine)

"""The shipped configurations hold; a wrong key, value or name is said in one line, with the nearest right one."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from jsonschema import Draft202012Validator
from jsonschema import ValidationError as JsonSchemaError
from pydantic import ValidationError
from snakemake.utils import update_config
from sqljudge.core.errors import ConfigError, ModelError
from sqljudge.core.variants import POOL, Experiment, Variant
from sqljudge.experiments.checks import check_models, check_references
from sqljudge.experiments.config import TABLES, Config, experiments_of, load_config, read_models, resolve
from sqljudge.experiments.docs import schema
from sqljudge.experiments.parts import RENAMED, nearest
from sqljudge.models.engines import BACKENDS
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.weights import Address, parse_address
from sqljudge.report.specs import tables_of
from sqljudge.sql.sandbox import Limits

HEADER = "name\tsource\trevision\tbackend\tdtype\tquantization\n"
ROW = "m\torg/m\tmain\ttransformers\tbfloat16\tnone\n"
LEAST: dict[str, Any] = {
    "dataset": {"name": "d"},
    "generators": {"g": {"model": "m", "prompt": "p"}},
    "discriminators": {"d": {"model": "m", "method": "yes_no"}, "o": {"method": "oracle", "p": 0.25}},
    "decodings": {"x": {"samples": 1, "temperature": 0, "max_new_tokens": 9}},
    "contexts": {},
    "planners": {"c": {"strategy": "correction", "prompt": "p"}, "t": {"strategy": "tree_search", "expansions": 3}},
    "experiments": {"table7": {"generators": ["g"], "decoding": "x"}},
}
SHIPPED = pytest.mark.parametrize(
    "names",
    [
        *[(), ("demo",), ("demo", "mini_bird"), ("small",), ("small", "small_100")],
        *[("routing",), ("routing", "routing_training")],
    ],
    ids=lambda names: "-".join(names) or "paper",
)


def shipped(*names: str) -> dict[str, Any]:
    """The paper's configuration as Snakemake reads it, and others laid over it by Snakemake itself."""
    merged: dict[str, Any] = {}
    for name in ("config", *names):
        update_config(merged, yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8")))
    return merged


def models() -> dict[str, ModelSpec]:
    return read_models(ROOT / "config" / "models.tsv")


def test_the_configurations_of_bird_fit_and_birds_own_only_lacks_a_source() -> None:
    bird = shipped("bird")
    with pytest.raises(ConfigError, match=r"dataset.source: it is empty.*; name the folder or zip archive of BIRD"):
        check_references(load_config(bird), models())
    bird["dataset"]["source"] = "resources"
    for raw in (bird, shipped("demo", "mini_bird")):
        config = load_config(raw)
        check_references(config, models())
        prompts = [one.prompt for one in config.generators.values() if "bird" in one.prompt]
        prompts += [path for context in config.contexts.values() for path in context.prompts.values()]
        for path in prompts:
            assert "${knowledge}" in (ROOT / path).read_text(encoding="utf-8"), path


@SHIPPED
def test_shipped_configurations_hold(names: tuple[str, ...]) -> None:
    given = shipped(*names)
    before = copy.deepcopy(given)
    config = load_config(given)
    assert given == before, "what is given is not changed"
    check_references(config, read_models(ROOT / config.models_table))
    prompts = [one.prompt for one in config.generators.values()]
    prompts += [path for context in config.contexts.values() for path in context.prompts.values()]
    assert all(resolve(path).is_file() for path in prompts)
    assert load_config(config.model_dump(by_alias=True)) == config


def test_what_a_router_learns_from_is_of_other_databases_than_what_it_is_measured_on() -> None:
    measured, learnt = load_config(shipped("routing")), load_config(shipped("routing", "routing_training"))
    assert not set(measured.dataset.exclude_databases) & set(learnt.dataset.exclude_databases)
    pool = json.loads((ROOT / measured.pool.file).read_text(encoding="utf-8"))
    assert len(pool) == len({each["question"] for each in pool}) == 60
    assert {each["db_id"] for each in pool} <= set(learnt.dataset.exclude_databases)
    assert {tuple(sorted(each["top_n_label"])) for each in pool} == {(0, 1)}
    rows = read_models(ROOT / measured.models_table)
    shown = {measured.discriminators[name].model for name in experiments_of(measured)["table1"].discriminators}
    assert shown == set(rows), "every row of the table is measured"


@SHIPPED
def test_editors_find_nothing_wrong_in_them(names: tuple[str, ...]) -> None:
    Draft202012Validator(schema(Config)).validate(shipped(*names))


def test_editors_find_an_unknown_key() -> None:
    with pytest.raises(JsonSchemaError, match="'per_hardnes' was unexpected"):
        Draft202012Validator(schema(Config)).validate(changed("dataset/per_hardnes", 5))


def test_the_paper_uses_its_six_discriminators_and_four_generators() -> None:
    config = load_config(shipped())
    experiments = experiments_of(config)
    assert len(experiments["table1"].discriminators) == 6
    assert len(experiments["table7"].generators) == 4
    assert experiments["table8"].budgets == (256, 400, 512, 700, 1024, 1536, 2048)
    assert config.seed == 42
    assert config.dataset.per_hardness == 100


def test_defaults_are_filled_in() -> None:
    config = load_config(LEAST)
    assert config.dataset.questions_file == "dev.json"
    assert config.pool.questions == 0
    assert config.journal is True
    assert config.generators["g"].prompt_format == "inst"
    assert config.generators["g"].max_new_tokens is None
    assert config.discriminators["d"].prompt_format == "raw"
    limits = dataclasses.asdict(Limits())
    assert config.execution.model_dump() == {name: limits[name] for name in ("steps", "seconds", "rows")}
    correction = {"strategy": "correction", "label": "c", "prompt": "p", "rounds": 5, "patience": 2, "completions": 5}
    assert config.planners["c"].model_dump() == correction
    tree_search = {"strategy": "tree_search", "label": "t", "expansions": 3, "completions": 5}
    assert config.planners["t"].model_dump() == tree_search


def test_what_tables_call_things() -> None:
    config = load_config(LEAST)
    assert [config.generators["g"].label, config.discriminators["d"].label, config.planners["c"].label] == [
        "g",
        "d",
        "c",
    ]
    assert config.discriminators["o"].label == "Oracle, right with p = 0.25 (uses gold)"
    found = load_config(changed("discriminators/oracle-0.9/label", "Nearly right")).discriminators
    assert found["oracle-0.9"].label == "Nearly right"
    assert found["oracle-1"].label == "Oracle, right with p = 1 (uses gold)"
    assert found["majority"].label == "Majority of results"
    assert found["codellama-7b"].label == "CodeLlama-7B"


def test_which_discriminators_respond_and_which_ask_no_model() -> None:
    found = load_config(shipped()).discriminators
    assert [name for name, one in found.items() if one.responds] == ["distill-r1-1.5b"]
    baselines = ["random", "first", "executable", "shorter", "majority", "likelihood"]
    baselines += [f"oracle-{p}" for p in (0.5, 0.7, 0.8, 0.9, 1)]
    assert [name for name, one in found.items() if one.is_baseline] == baselines
    assert all(bool(one.model) != one.is_baseline for one in found.values())


def test_numbers_stay_as_they_are_written() -> None:
    """0 and 0.0 give two keys of the journal."""
    config = load_config(shipped())
    for written in (config.model_dump(), config.model_dump(mode="json")):
        assert repr(written["decodings"]["greedy"]["temperature"]) == "0"
        assert repr(written["decodings"]["sample"]["temperature"]) == "0.2"
        assert repr(written["execution"]["seconds"]) == "30"


def test_a_configuration_cannot_be_changed() -> None:
    config = load_config(shipped())
    for part, key in ((config, "seed"), (config.dataset, "name"), (config.discriminators["majority"], "label")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, key, "other")


def test_only_the_roles_that_are_set_are_given() -> None:
    assert load_config(shipped()).roles.model_dump(by_alias=True, exclude_none=True) == {}
    roles = {"7b": "small", "budgets": [1, 2, 3]}
    given = load_config({**LEAST, "roles": roles}).roles.model_dump(by_alias=True, exclude_none=True)
    assert given == {"7b": "small", "budgets": (1, 2, 3)}


def test_a_prompt_that_is_empty_is_none() -> None:
    assert load_config(changed("contexts/result/yes_no", "")).contexts["result"].prompts.keys() == {"reasoning"}


def test_the_experiment_of_a_table_has_its_settings_in_the_plural() -> None:
    experiments = experiments_of(load_config(shipped()))
    assert experiments["table3"] == Experiment(
        generators=("stable-code-3b",),
        decodings=("sample",),
        discriminators=tuple(shipped()["experiments"]["table3"]["discriminators"]),
        contexts=("no_schema",),
        budgets=(512,),
        scorings=("soft",),
        modes=("check",),
        planners=("vote",),
        baselines=tuple(shipped()["experiments"]["table3"]["baselines"]),
        greedy_decoding="greedy",
    )
    assert experiments["table7"].modes == ()
    adaptive = experiments["adaptive"]
    assert (adaptive.checkpoints, adaptive.budgets) == ((0, 64, 128, 256, 512, 1024, 2048), ())
    assert adaptive.extra_rows[0] == Variant(POOL, "distill-r1-1.5b", "no_thinking", 256, "soft")


def changed(path: str, value: Any, *, delete: bool = True) -> dict[str, Any]:
    """The paper's configuration with one key set (or, with None, taken out)."""
    config = shipped()
    *folders, last = path.split("/")
    inner = config
    for folder in folders:
        inner = inner[folder]
    if value is None and delete:
        del inner[last]
    else:
        inner[last] = value
    return config


def refused(config: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as error:
        check_references(load_config(config), models())
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sead", 1, "the top level: unknown key 'sead'; did you mean 'seed'?"),
        ("dataset/per_hardnes", 5, "dataset: unknown key 'per_hardnes'; did you mean 'per_hardness'?"),
        ("pool/zzzzzz", 5, "pool: unknown key 'zzzzzz'; known: decoding, file, generator, questions"),
        ("discriminators/oracle-1/p", 2, "discriminators.oracle-1.p: 2 is too large; the most is 1"),
        (
            "discriminators/oracle-1/p",
            None,
            "discriminators.oracle-1: the key 'p' is missing, which the method 'oracle'",
        ),
        ("discriminators/majority/p", 0.5, "discriminators.majority: the method 'majority' takes no 'p'; take it out"),
        ("discriminators/majority/model", "codellama-7b", "majority: the method 'majority' takes no 'model'"),
        ("discriminators/majority/prompt_format", "chat", "majority: the method 'majority' takes no 'prompt_format'"),
        ("discriminators/codellama-7b/p", 0.5, "codellama-7b: the method 'yes_no' takes no 'p'; take it out"),
        (
            "discriminators/codellama-7b/model",
            None,
            "codellama-7b: the key 'model' is missing, which the method 'yes_no'",
        ),
        ("discriminators/codellama-7b/method", None, "discriminators.codellama-7b: the key 'method' is missing"),
        ("discriminators/first/method", "frist", "first.method: 'frist' is not possible; did you mean 'first'?"),
        ("discriminators/none", {"method": "random"}, "discriminators: the name 'none' is taken; use another"),
        ("contexts/none", {"yes_no": "config/prompts/yes_no.txt"}, "contexts: the name 'none' is taken; use another"),
        ("planners/vote", {"strategy": "tree_search"}, "planners: the name 'vote' is taken; use another"),
        ("planners/greedy", {"strategy": "tree_search"}, "planners: the name 'greedy' is taken; use another"),
        (
            "discriminators/codellama-7b",
            {"model": "codellama-7b", "method": "yesno"},
            "discriminators.codellama-7b.method: 'yesno' is not possible; did you mean 'yes_no'?",
        ),
        ("contexts/no_schema", {"yesno": "p.txt"}, "contexts.no_schema: unknown key 'yesno'; did you mean 'yes_no'?"),
        ("calibration/bins", 0, "calibration.bins: 0 is too small; the least is 1"),
        ("experiments/table9", {}, "experiments: unknown key 'table9'; did you mean 'table"),
        ("experiments/table1/budgets", [5], "experiments.table1: unknown key 'budgets'; did you mean 'budget'?"),
        (
            "generators/tinyllama-1.1b/promt",
            "x",
            "generators.tinyllama-1.1b: unknown key 'promt'; did you mean 'prompt'?",
        ),
        ("dataset", None, "the top level: the key 'dataset' is missing"),
        ("dataset/name", None, "dataset: the key 'name' is missing"),
        ("experiments/table1/budget", None, "experiments.table1: the key 'budget' is missing"),
        ("generators/tinyllama-1.1b/prompt_format", "instr", "'instr' is not possible; did you mean 'inst'?"),
        (
            "experiments/table1/scoring",
            "softly",
            "experiments.table1.scoring: 'softly' is not possible; did you mean 'soft'?",
        ),
        (
            "experiments/table1/modes",
            ["naive", "chek"],
            "experiments.table1.modes.1: 'chek' is not possible; did you mean 'check'?",
        ),
        ("experiments/table1/budget", 0, "experiments.table1.budget: 0 is too small; the least is 1"),
        ("experiments/table8/budgets", [512, -1], "experiments.table8.budgets.1: -1 is too small; the least is 0"),
        ("decodings/sample/max_new_tokens", 0, "decodings.sample.max_new_tokens: 0 is too small; the least is 1"),
        ("decodings/sample/temperature", -0.1, "decodings.sample.temperature: -0.1 is too small; the least is 0"),
        ("decodings/sample/temperature", True, "decodings.sample.temperature: True should be a valid number"),
        ("decodings/sample/temperature", "0.2", "decodings.sample.temperature: '0.2' should be a valid number"),
        ("experiments/table8/budgets", [], "experiments.table8.budgets: [] should have at least 1 item"),
        ("experiments/table8/budgets", 512, "experiments.table8.budgets: 512 should be a valid list"),
        ("experiments/table8/budgets", [512, 512], "experiments.table8.budgets: 512 is listed twice; keep one"),
        ("experiments/adaptive/checkpoints", [0], "experiments.adaptive.checkpoints: [0] should have at least 2 items"),
        (
            "experiments/adaptive/extra_rows",
            [{"context": "schema"}],
            "extra_rows.0: the key 'discriminator' is missing",
        ),
        (
            "experiments/table1/discriminators",
            ["codellama-7b"] * 2,
            "experiments.table1.discriminators: 'codellama-7b' is listed twice; keep one",
        ),
        ("experiments", {}, "experiments: no table is named; known: table1, table2"),
        ("experiments/table1", [], "experiments.table1: [] should be a valid mapping"),
        ("dataset/per_hardness", "many", "dataset.per_hardness: 'many' should be a valid integer"),
        ("dataset/per_hardness", "5", "dataset.per_hardness: '5' should be a valid integer"),
        ("dataset/per_hardness", 5.0, "dataset.per_hardness: 5.0 should be a valid integer"),
        ("dataset/per_hardness", True, "dataset.per_hardness: True should be a valid integer"),
        ("dataset/source", 5, "dataset.source: 5 should be a valid string"),
        ("dataset/sha256", "abc", "dataset.sha256: 'abc' should match pattern '^([0-9a-f]{64})?$'"),
        ("dataset/name", "a/b", "dataset.name: 'a/b' should match pattern '^[A-Za-z0-9_-]+$'"),
        ("dataset/format", "birds", "dataset.format: 'birds' is not possible; did you mean 'bird'?"),
        ("decodings/t0.5", LEAST["decodings"]["x"], "decodings: 't0.5' should match pattern '^[A-Za-z0-9_-]+$'"),
        ("generators/a b", {"model": "m", "prompt": "p"}, "generators: 'a b' should match pattern"),
        ("planners/t.5", {"strategy": "tree_search"}, "planners: 't.5' should match pattern"),
        ("failures_tolerated", 1.5, "failures_tolerated: 1.5 is too large; the most is 1"),
        ("failures_tolerated", -0.1, "failures_tolerated: -0.1 is too small; the least is 0"),
        ("execution", {"seconds": 0}, "execution.seconds: 0 should be greater than 0"),
        ("forced/confidences", [0.4], "forced.confidences.0: 0.4 is too small; the least is 0.5"),
        ("demonstrations", {"number": 3}, "demonstrations.number: 3 should be a multiple of 2"),
        ("planners/tree_search/expansions", 51, "planners.tree_search.expansions: 51 is too large; the most is 50"),
        (
            "planners/tree_search/strategy",
            "tree_serch",
            "planners.tree_search.strategy: 'tree_serch' is not possible; did you mean 'tree_search'?",
        ),
        ("planners/tree_search/strategy", None, "planners.tree_search: the key 'strategy' is missing"),
        (
            "planners/tree_search/rounds",
            3,
            "planners.tree_search: unknown key 'rounds'; known: completions, expansions,",
        ),
        (
            "planners/tree_search/expansion",
            3,
            "planners.tree_search: unknown key 'expansion'; did you mean 'expansions'?",
        ),
        ("planners/correction/prompt", None, "planners.correction: the key 'prompt' is missing"),
        ("planners/correction", "x", "planners.correction: 'x' should be a valid mapping"),
        ("roles", {"budgets": [1, 2]}, "roles.budgets: [1, 2] should have at least 3 items"),
        ("roles", {"8b": "x"}, "roles: unknown key '8b'; did you mean '7b'?"),
        ("journal", "yes", "journal: 'yes' should be a valid boolean"),
        ("dataset", [], "dataset: [] should be a valid mapping"),
    ],
)
def test_what_does_not_fit_the_types(path: str, value: Any, message: str) -> None:
    said = refused(changed(path, value))
    assert said.startswith("configuration, ")
    assert message in said


def test_a_name_that_is_a_number() -> None:
    for group, entry in (("discriminators", {"method": "random"}), ("planners", {"strategy": "tree_search"})):
        config = shipped()
        config[group][7] = entry
        assert f"{group}: 7 should be a valid string" in refused(config)


OLDER = [
    ("generators/stable-code-3b/frame", "inst", "generators.stable-code-3b: unknown key 'frame'", "prompt_format"),
    ("discriminators/codellama-7b/frame", "chat", "discriminators.codellama-7b: unknown key 'frame'", "prompt_format"),
    ("discriminators/codellama-7b/kind", "yes_no", "discriminators.codellama-7b: unknown key 'kind'", "method"),
    ("discriminators/new", {"model": "m", "kind": "yes_no"}, "discriminators.new: unknown key 'kind'", "method"),
    ("contexts/result/evidence", ["result"], "contexts.result: unknown key 'evidence'", "extras"),
    ("planners/correction/kind", "correction", "planners.correction: unknown key 'kind'", "strategy"),
    ("planners/new", {"kind": "tree"}, "planners.new: unknown key 'kind'", "strategy"),
    ("planners/tree_search/strategy", "tree", "planners.tree_search.strategy: 'tree' is not possible", "tree_search"),
    ("experiments/evidence", {"contexts": ["schema"]}, "experiments: unknown key 'evidence'", "contexts"),
    ("experiments/planners", {"generator": "x"}, "experiments: unknown key 'planners'", "search"),
    ("experiments/table2/costless", ["first"], "experiments.table2: unknown key 'costless'", "baselines"),
    ("experiments/search/costless", ["oracle:1"], "experiments.search: unknown key 'costless'", "baselines"),
    ("experiments/adaptive/beside", [], "experiments.adaptive: unknown key 'beside'", "extra_rows"),
    ("experiments/table2/planners", ["majority"], "experiments.table2.planners: 'majority' is not defined", "vote"),
    ("experiments/search/planners", ["majority"], "experiments.search.planners: 'majority' is not defined", "vote"),
]


@pytest.mark.parametrize(("path", "value", "message", "new"), OLDER)
def test_what_an_older_configuration_calls_otherwise(path: str, value: Any, message: str, new: str) -> None:
    assert refused(changed(path, value)) == f"configuration, {message}; it is now called '{new}'"


def test_every_new_name_has_a_place() -> None:
    assert {new for *_, new in OLDER} == {new for names in RENAMED.values() for new in names}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("oracle:0.9", "it is now called 'oracle-0.9'"),
        ("oracle:0.85", "define it under discriminators, as oracle-0.85: {method: oracle, p: 0.85}"),
    ],
)
def test_an_oracle_of_an_older_configuration(name: str, said: str) -> None:
    message = refused(changed("experiments/table2/baselines", ["first", name]))
    assert message == f"configuration, experiments.table2.baselines: '{name}' is not defined; {said}"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "generators/stable-code-3b/model",
            "stable-code",
            "'stable-code' is not defined; did you mean 'stable-code-3b'?",
        ),
        (
            "discriminators/codellama-7b/model",
            "codelama-7b",
            "'codelama-7b' is not defined; did you mean 'codellama-7b'?",
        ),
        (
            "pool/generator",
            "stable-code-3c",
            "pool.generator: 'stable-code-3c' is not defined; did you mean 'stable-code-3b'?",
        ),
        ("pool/decoding", "samples", "pool.decoding: 'samples' is not defined; did you mean 'sample'?"),
        ("experiments/table2/generator", "stable", "experiments.table2.generator: 'stable' is not defined"),
        (
            "experiments/table1/discriminators",
            ["codellama-13b", "codellama-14b"],
            "table1.discriminators: 'codellama-14b' is not defined; did you mean 'codellama-13b'?",
        ),
        ("experiments/table5/discriminator", "distill", "experiments.table5.discriminator: 'distill' is not defined"),
        ("experiments/table7/generators", ["tiny-llama-1.1b"], "did you mean 'tinyllama-1.1b'?"),
        (
            "experiments/table7/decoding",
            "gredy",
            "experiments.table7.decoding: 'gredy' is not defined; did you mean 'greedy'?",
        ),
        ("experiments/table3/greedy_decoding", "gready", "experiments.table3.greedy_decoding: 'gready' is not defined"),
        (
            "experiments/table4/contexts",
            ["no_schema", "shema"],
            "experiments.table4.contexts: 'shema' is not defined; did you mean 'schema'?",
        ),
        (
            "experiments/table1/context",
            "zzz",
            "experiments.table1.context: 'zzz' is not defined; known: examples, few_shot, no_schema,",
        ),
        (
            "contexts/no_schema",
            {"reasoning": "x"},
            "contexts.no_schema: has no yes_no prompt, which 'codellama-13b' needs",
        ),
        ("experiments/table8/budgets", [512, 0], "experiments.table8.budgets: 0 is too small; the least is 1, but for"),
        ("experiments/table1/budget", 0, "experiments.table1.budget: 0 is too small; the least is 1, but for"),
        ("experiments/table1/context", "schema", "contexts.schema: has no yes_no prompt, which 'codellama-13b' needs"),
        ("experiments/table2/baselines", ["randm"], "table2.baselines: 'randm' is not defined; did you mean 'random'?"),
        (
            "experiments/table6/baselines",
            ["oracle"],
            "table6.baselines: 'oracle' is not defined; did you mean 'oracle-",
        ),
        (
            "experiments/table2/baselines",
            ["first", "codellama-7b"],
            "experiments.table2.baselines: 'codellama-7b' asks a model; all but 'baselines' can name it",
        ),
        (
            "discriminators/majority",
            {"model": "codellama-7b", "method": "yes_no"},
            "experiments.table2.baselines: 'majority' asks a model; all but 'baselines' can name it",
        ),
        (
            "experiments/table1/discriminators",
            ["codellama-7b", "first"],
            "experiments.table1.discriminators: 'first' asks no model; only 'baselines' can name it",
        ),
        (
            "experiments/table8/discriminator",
            "oracle-1",
            "experiments.table8.discriminator: 'oracle-1' asks no model; only 'baselines' can name it",
        ),
        (
            "experiments/adaptive/extra_rows",
            [{"discriminator": "first", "context": "no_schema", "budget": 5, "scoring": "soft"}],
            "experiments.adaptive.extra_rows.0.discriminator: 'first' asks no model; only 'baselines' can name it",
        ),
        (
            "experiments/adaptive/extra_rows",
            [{"discriminator": "codellama-7b", "context": "no_schema", "budget": 0, "scoring": "soft"}],
            "experiments.adaptive.extra_rows.0.budget: 0 is too small; the least is 1, but for",
        ),
        (
            "experiments/table2/planners",
            ["vot"],
            "experiments.table2.planners: 'vot' is not defined; did you mean 'vote'?",
        ),
        (
            "experiments/table2/planners",
            ["rerank"],
            "experiments.table2.planners: 'rerank' is not defined; known: vote",
        ),
        ("experiments/search/planners", [], "experiments.search.planners: it is empty; name at least one planner"),
        (
            "experiments/search/planners",
            ["rerank", "tree-search"],
            "experiments.search.planners: 'tree-search' is not defined; did you mean 'tree_search'?",
        ),
        (
            "experiments/search/generator",
            "distill-r1-1.5b",
            "'tree_search': the strategy 'tree_search' opens answers with SQL, but generator 'distill-r1-1.5b' writes",
        ),
        ("experiments/search/baselines", ["oracle-1", "first"], "'first' scores candidates against each other"),
        ("experiments/search/context", "result", "experiments.search.context: 'result' shows extras, which a query"),
    ],
)
def test_names_that_are_not_defined_or_do_not_fit(path: str, value: Any, message: str) -> None:
    assert message in refused(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "contexts/result/extras",
            [],
            "contexts.result.extras: config/prompts/yes_no_result.txt shows ${result}, which is not listed; add",
        ),
        (
            "contexts/no_schema/extras",
            ["result"],
            "contexts.no_schema.extras: 'result' is listed, but config/prompts/yes_no.txt shows no ${result}; take",
        ),
        (
            "contexts/result/reasoning",
            "config/prompts/reasoning.txt",
            "contexts.result.extras: 'result' is listed, but config/prompts/reasoning.txt shows no ${result}",
        ),
        (
            "contexts/few_shot/reasoning",
            "config/prompts/reasoning.txt",
            "contexts.few_shot.reasoning: demonstrations are for yes_no prompts only; take the reasoning prompt out",
        ),
        ("contexts/result/extras", ["reslt"], "'reslt' is not possible; did you mean 'result'?"),
        ("contexts/result/yes_no", "no/such.txt", "contexts.result.yes_no: prompt "),
        (
            "experiments/contexts/contexts",
            ["few_shot", "result"],
            "experiments.contexts.contexts: 'distill-r1-1.5b' cannot be asked in 'few_shot', the first, to which all",
        ),
        (
            "demonstrations",
            {"prompt": "config/prompts/yes_no.txt"},
            "configuration, demonstrations.prompt: prompt ",
        ),
    ],
)
def test_extras_that_do_not_fit(path: str, value: Any, message: str) -> None:
    assert message in refused(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "dataset/source",
            "no/such/folder",
            "dataset.source: no/such/folder does not exist; name the dataset's folder",
        ),
        ("pool/file", "no.json", "pool.file: no.json does not exist; name a labelled pool, or leave it empty"),
        ("pool/file", "config", "pool.file: config does not exist; name a labelled pool, or leave it empty"),
        ("demonstrations/file", "no.json", "demonstrations.file: no.json does not exist; name training questions, or"),
    ],
)
def test_files_that_do_not_exist(path: str, value: str, message: str) -> None:
    assert message in refused(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("dataset/source", "results"),
        ("dataset/source", "results/data/spider"),
        ("dataset/source", "link"),
        ("dataset/source", "logs"),
        ("dataset/question_ids", "results/questions/spider.jsonl"),
        ("pool/file", "results/candidates/pool.jsonl"),
        ("pool/file", "link/candidates/pool.jsonl"),
    ],
)
def test_what_a_run_writes_is_none_of_its_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, value: str
) -> None:
    for folder in ("results/data/spider", "results/questions", "results/candidates", "logs"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("results/questions/spider.jsonl", "results/candidates/pool.jsonl"):
        (tmp_path / file).touch()
    (tmp_path / "link").symlink_to("results")
    monkeypatch.chdir(tmp_path)
    assert f"{path.replace('/', '.')}: {value} " in (line := refused(changed(path, value)))
    assert "that the run writes and deletes; " in line


def test_a_dataset_may_lie_around_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run/results").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run")
    for source in (".", "..", str(tmp_path), str(tmp_path / "run")):
        check_references(load_config(changed("dataset/source", source)), models())


def test_a_discriminator_without_a_prompt_is_left_out_of_a_table_of_contexts() -> None:
    experiments = experiments_of(load_config(shipped()))
    assert experiments["contexts"].left_out == (("distill-r1-1.5b", "few_shot"),)
    assert ("codellama-7b", "examples") in experiments["prompts"].left_out
    assert not any(each.left_out for name, each in experiments.items() if name not in ("contexts", "prompts"))
    config = load_config(changed("experiments/contexts/contexts", ["no_schema", "result"]))
    assert experiments_of(config)["contexts"].left_out == (), "without the few-shot context nothing is left out"


def test_no_model_at_all() -> None:
    with pytest.raises(ConfigError, match=r"'stable-code-3b' is not defined$"):
        check_references(load_config(shipped()), {})


def test_a_definition_that_nothing_uses_may_name_any_model() -> None:
    config = changed("generators/spare", {"model": "nowhere", "prompt": "p"})
    check_references(load_config(config), models())


def test_a_pool_from_a_file_needs_no_generator() -> None:
    file = "resources/mini_spider/pool.json"
    config = changed("pool", {"file": file, "generator": "nobody", "decoding": "nothing"})
    check_references(load_config(config), models())


def test_a_verdict_may_be_forced_before_the_first_token() -> None:
    config = changed("experiments/table8/scoring", "forced")
    config["experiments"]["table8"]["budgets"] = [256, 0]
    check_references(load_config(config), models())


FAR = {"discriminator": "far", "context": "no_schema", "budget": 9}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("table5", {**FAR, "scorings": ["soft", "forced"], "modes": ["naive"]}),
        ("adaptive/discriminators", ["far"]),
        ("adaptive/extra_rows", [{**FAR, "scoring": "forced"}]),
    ],
)
def test_a_verdict_is_not_forced_from_a_server(path: str, value: Any) -> None:
    config = changed(f"experiments/{path}", value)
    config["discriminators"]["far"] = {"model": "far", "method": "reasoning"}
    far = ModelSpec("far", "http://localhost:8000/v1#x", "-", "openai", "-", "-")
    with pytest.raises(ConfigError, match=r"discriminators\.far: a server does not tell how it splits"):
        check_references(load_config(config), {**models(), "far": far})


@pytest.mark.parametrize(("method", "scoring"), [("yes_no", "forced"), ("reasoning", "soft")])
def test_what_a_server_says_of_itself_is_taken(method: str, scoring: str) -> None:
    config = changed("experiments/adaptive/extra_rows", [{**FAR, "scoring": scoring}])
    config["discriminators"]["far"] = {"model": "far", "method": method}
    far = ModelSpec("far", "http://localhost:8000/v1#x", "-", "openai", "-", "-")
    check_references(load_config(config), {**models(), "far": far})


ROUTER = {"small": "coder-0.5b", "discriminator": "distill-r1-1.5b", "context": "no_schema"}
ROUTER |= {"questions": "q.jsonl", "candidates": "c.jsonl", "judgments": "j.parquet"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"small": "coder0.5b"}, "routers.r.small: 'coder0.5b' is not defined; did you mean 'coder-0.5b'?"),
        ({"small": "far"}, "routers.r.small: model 'far' has the backend 'openai'"),
        ({"discriminator": "far"}, "routers.r.discriminator: model 'far' has the backend 'openai'"),
        ({"discriminator": "none"}, "routers.r.discriminator: 'none' is not defined"),
        ({"discriminator": "random"}, "routers.r.discriminator: 'random' writes no response; name one that reasons"),
        ({"discriminator": "tinyllama-1.1b"}, "routers.r.discriminator: 'tinyllama-1.1b' writes no response"),
        ({"context": "schem"}, "routers.r.context: 'schem' is not defined; did you mean 'schema'?"),
        ({"context": "plain"}, "routers.r.context: 'plain' has no reasoning prompt; use another"),
        ({"context": "shown"}, "routers.r.context: 'shown' shows extras; use another"),
        ({"tolerance": 0}, "routers.r.tolerance: "),
        ({"span": 0}, "routers.r.span: 0 is too small; the least is 1"),
        ({"spam": 1}, "routers.r: unknown key 'spam'; did you mean 'span'?"),
    ],
)
def test_a_router_is_between_two_models_that_can_share_the_work(change: dict[str, Any], said: str) -> None:
    config = shipped()
    config["routers"] = {"r": {**ROUTER, **change}}
    config["discriminators"]["far"] = {"model": "far", "method": "reasoning"}
    reasoning = config["contexts"]["no_schema"]["reasoning"]
    config["contexts"] |= {"plain": {"yes_no": config["contexts"]["no_schema"]["yes_no"]}}
    config["contexts"] |= {"shown": {"reasoning": reasoning, "extras": ["result"]}}
    known = {**models(), "far": ModelSpec("far", "http://localhost:8000/v1#x", "-", "openai", "-", "-")}
    if not said:
        check_references(load_config(config), known)
        return
    with pytest.raises(ConfigError) as error:
        check_references(load_config(config), known)
    assert said in str(error.value)


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "models.tsv"
    path.write_text(header + "".join(rows), encoding="utf-8")
    return path


def test_a_models_table(tmp_path: Path) -> None:
    path = table(tmp_path, ROW, "\n", "n\tx.gguf\n")
    with pytest.raises(ConfigError, match="line 4: the top level: the key"):
        read_models(path)
    found = read_models(table(tmp_path, ROW, ROW.replace("m\torg/m", "n\tx.gguf")))
    assert found == {"m": ModelSpec("m", "org/m"), "n": ModelSpec("n", "x.gguf")}
    assert read_models(table(tmp_path, ROW, header="\ufeff" + HEADER))["m"].source == "org/m"
    assert read_models(table(tmp_path)) == {}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW, ROW], "line 3: model 'm' is listed twice; keep one"),
        (
            [ROW.replace("transformers", "transformer")],
            "line 2: backend: 'transformer' is not possible; did you mean 'transformers'?",
        ),
        ([ROW.replace("bfloat16", "float64")], "line 2: dtype: 'float64' is not possible; did you mean"),
        ([ROW.replace("\tnone", "\t2bit")], "line 2: quantization: '2bit' is not possible"),
        ([ROW.replace("\tnone\n", "\n")], "line 2: the top level: the key 'quantization' is missing"),
        ([ROW.replace("\n", "\tmore\n")], "line 2: more cells than columns"),
        ([ROW.replace("org/m", "")], "line 2: source: "),
        ([ROW.replace("m\torg", "a/b\torg", 1)], "line 2: name: 'a/b' should match pattern '^[A-Za-z0-9._-]+$'"),
        ([ROW.replace("\t", " ")], "(cells are separated by tabs)"),
    ],
)
def test_malformed_models_tables(tmp_path: Path, rows: list[str], message: str) -> None:
    path = table(tmp_path, *rows)
    with pytest.raises(ConfigError) as error:
        read_models(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


SERVED = "s\thttps://h.example/v1#org/m\t-\topenai\t-\t-\n"


def test_a_model_behind_a_server(tmp_path: Path) -> None:
    header = HEADER.replace("\n", "\ttokenizer\n")
    rows = [
        SERVED,
        SERVED.replace("s\t", "t\t", 1).replace("-\t-\n", "-\tnone\torg/tok\n").replace("\t-\to", "\tmain\to"),
    ]
    (tmp_path / "tok").mkdir()
    (tmp_path / "s").mkdir()
    found = read_models(table(tmp_path, ROW, *rows, header=header), str(tmp_path))
    assert found["s"] == ModelSpec("s", "https://h.example/v1#org/m", "-", "openai", "-", "-")
    assert (found["t"].source, found["t"].tokenizer) == ("https://h.example/v1#org/m", str(tmp_path / "tok"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\t-\t-\n", "\tbfloat16\t-\n", "dtype: 'bfloat16' is not possible with the backend 'openai'; possible: -"),
        (
            "\t-\t-\n",
            "\t-\t4bit\n",
            "quantization: '4bit' is not possible with the backend 'openai'; possible: -, none",
        ),
        ("\t-\topenai", "\tmain\topenai", "revision: the server decides which weights it has; write a dash"),
        ("https://h.example/v1", "org/m", "not an address such as https://host/v1#model"),
        ("https", "ftp", "not an address such as"),
        ("h.example", "h.example:port", "not an address such as"),
        ("#org/m", "", "the model's name is missing; write it after a #"),
        ("h.example", "sk-secret@h.example", "holds a user name or key; take it out"),
        ("#org", "?concurency=3#org", "an unknown option stands after the ?; did you mean 'concurrency'?"),
        ("#org", "?api_key=sk-secret#org", "an unknown option stands after the ?; known: concurrency, timeout"),
        ("#org", "?tries=0#org", "the option 'tries' must be a whole number of at least 1"),
        ("#org", "?timeout=1.5#org", "the option 'timeout' must be a whole number of at least 1"),
    ],
)
def test_what_a_server_cannot_honour(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SERVED
    with pytest.raises(ConfigError) as error:
        read_models(table(tmp_path, SERVED.replace(old, new)))
    assert message in str(error.value)
    assert "line 2: " in str(error.value)
    assert "secret" not in str(error.value)


def test_an_address_with_options() -> None:
    spec = ModelSpec("s", "http://h:8000/v1/?concurrency=64&timeout=5&tries=2&top=20#org/m", "-", "openai", "-", "-")
    assert parse_address(spec) == Address("http://h:8000/v1", "org/m", 64, 5, 2, 20)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace("bfloat16", "-"), "dtype: '-' is not possible with the backend 'transformers'"),
        (ROW.replace("none", "-"), "quantization: '-' is not possible with the backend 'transformers'"),
        (ROW.replace("none\n", "none\torg/tok\n"), "tokenizer: the backend 'transformers' has the model's own"),
    ],
)
def test_what_other_backends_cannot_honour(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_models(table(tmp_path, row, header=HEADER.replace("\n", "\ttokenizer\n")))


@pytest.mark.parametrize(("cell", "context"), [("", None), ("-", None), ("4096", 4096), ("1", 1)])
@pytest.mark.parametrize("backend", ["transformers", "vllm"])
def test_the_context_of_a_model(tmp_path: Path, cell: str, context: int | None, backend: str) -> None:
    row = ROW.replace("transformers", backend).replace("\n", f"\t{cell}\n")
    assert read_models(table(tmp_path, row, header=HEADER.replace("\n", "\tcontext\n")))["m"].context == context


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace("\n", "\t4k\n"), "line 2: context: "),
        (ROW.replace("\n", "\t0\n"), "line 2: context: "),
        (ROW.replace("\n", "\t-5\n"), "line 2: context: "),
        (ROW.replace("\n", "\t2.5\n"), "line 2: context: "),
        (SERVED.replace("-\n", "-\t4096\n"), "line 2: context: cannot be set with the backend 'openai', but with"),
        (ROW.replace("transformers", "scripted").replace("\n", "\t4096\n"), "with the backend 'scripted', but with"),
    ],
)
def test_a_context_that_cannot_be(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_models(table(tmp_path, row, header=HEADER.replace("\n", "\tcontext\n")))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tokenizer", ["", "org/tok"])
@pytest.mark.parametrize("where", ["discriminators/codellama-7b", "contexts/result"])
def test_a_chat_with_a_server_needs_a_tokenizer(tokenizer: str, where: str) -> None:
    config = load_config(changed(f"{where}/prompt_format", "chat"))
    served = ModelSpec("codellama-7b", "https://h/v1#m", "-", "openai", "-", "-", tokenizer)
    known = {**models(), "codellama-7b": served}
    if tokenizer:
        check_references(config, known)
        return
    with pytest.raises(
        ConfigError, match=rf"{where.replace('/', '.')}\.prompt_format: .*name one in the column 'tokenizer'"
    ):
        check_references(config, known)


def test_the_environment_of_every_backend_exists() -> None:
    assert all((ROOT / f"envs/{engine.environment}.yaml").is_file() for engine in BACKENDS.values())


def test_an_unknown_column(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'dtypes'; did you mean 'dtype'"):
        read_models(table(tmp_path, ROW, header=HEADER.replace("dtype", "dtypes")))


@pytest.mark.parametrize("content", [None, b"name\xff"])
def test_a_models_table_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "models.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"models_table: .*(not UTF-8 text|cannot be read)"):
        read_models(path)


@pytest.mark.parametrize("found", ["m", "m.gguf", "org/repo", "repo"])
def test_models_in_a_folder_come_before_the_hub(tmp_path: Path, found: str) -> None:
    folder = tmp_path / "models"
    (folder / found).mkdir(parents=True)
    path = table(tmp_path, ROW.replace("org/m", "org/repo"), ROW.replace("m\torg/m", "other\tpackage:x/m"))
    located = read_models(path, str(folder))
    assert located["m"].source == str(folder / found)
    assert located["other"].source == "package:x/m"


def test_a_models_folder_without_the_model_or_none_at_all(tmp_path: Path) -> None:
    path = table(tmp_path, ROW)
    assert read_models(path, str(tmp_path))["m"].source == "org/m"
    with pytest.raises(ConfigError, match=r"models_folder: .* is not a folder"):
        read_models(path, str(tmp_path / "none"))


def test_the_shipped_models_are_pinned_where_they_can_be() -> None:
    for spec in models().values():
        assert spec.source.startswith("package:") or spec.source.count("/") == 1


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("sead", ["seed", "pool"], "; did you mean 'seed'?"),
        ("zzz", ["seed", "pool"], "; known: pool, seed"),
        ("zzz", [], ""),
    ],
)
def test_nearest(name: str, known: list[str], said: str) -> None:
    assert nearest(name, known) == said


def test_files_are_looked_for_here_first_then_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("config/models.tsv") == ROOT / "config" / "models.tsv"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.tsv").write_text("")
    assert resolve("config/models.tsv") == Path("config/models.tsv")
    assert resolve("/some/where") == Path("/some/where")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/config") == tmp_path / "config"


def test_every_table_is_described_and_every_setting_of_the_paper_known() -> None:
    for name, settings in shipped()["experiments"].items():
        assert TABLES[name].description.endswith(".")
        assert {*TABLES[name].settings} <= settings.keys() <= {*TABLES[name].settings, *TABLES[name].optional}


# --- what is asked for, and what is there -----------------------------------------------------------------------------


def behind_a_server(name: str) -> dict[str, ModelSpec]:
    """The shipped models, one of them behind a server."""
    return {**models(), name: ModelSpec(name, "http://127.0.0.1:9/v1#m", "-", "openai", "-", "-")}


@pytest.mark.parametrize(
    ("change", "of", "tables", "said"),
    [
        ({}, behind_a_server("distill-r1-1.5b"), {"adaptive"}, "none can be forced"),
        ({}, {name: spec for name, spec in models().items() if name != "tinyllama-1.1b"}, {"table7"}, "not defined"),
        ({"contexts/schema/reasoning": ""}, models(), {"table4"}, "has no reasoning prompt"),
        ({"contexts/few_shot/yes_no": "no/prompt.txt"}, models(), {"contexts"}, "no/prompt.txt"),
        ({"experiments/search/context": "result"}, models(), {"search"}, "shows extras"),
        ({"experiments/table5/discriminator": "nobody"}, models(), {"table5"}, "'nobody' is not defined"),
        ({"generators/tinyllama-1.1b/model": "nowhere"}, models(), {"table7"}, "'nowhere' is not defined"),
    ],
)
def test_checks_are_of_the_tables_that_are_asked_for(
    change: dict[str, Any], of: dict[str, ModelSpec], tables: set[str], said: str
) -> None:
    raw = shipped()
    raw["pool"]["file"] = "resources/mini_spider/pool.json"
    for path, value in change.items():
        *parents, last = path.split("/")
        place = raw
        for key in parents:
            place = place[key]
        place[last] = value
    config = load_config(raw)
    for name in tables:
        with pytest.raises(ConfigError, match=said):
            check_references(config, of, tables={name})
    check_references(config, of, tables=())
    check_references(config, of, tables={"table8", "table6"} - tables)
    with pytest.raises(ConfigError):
        check_references(config, of)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ModelSpec("m", "no/such/folder"), "no/such/folder does not exist"),
        (ModelSpec("m", "./gone.gguf"), "gone.gguf does not exist"),
        (ModelSpec("m", "package:no_such_package/m.gguf"), "package no_such_package is not installed"),
        (ModelSpec("m", "empty"), "empty holds no weights"),
        (ModelSpec("m", "file.bin", backend="vllm"), "is a file but not a .gguf one"),
        (ModelSpec("m", "org/on-a-hub"), ""),
        (ModelSpec("m", "http://127.0.0.1:9/v1#m", "-", "openai", "-", "-"), ""),
        (ModelSpec("m", "records.jsonl", "-", "recorded", "-", "-"), ""),
    ],
)
def test_local_models_that_are_still_to_be_asked_are_there(
    row: ModelSpec, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.bin").touch()
    raw = shipped("demo")
    raw["discriminators"]["smollm2-yes-no"]["model"] = "m"
    config = load_config(raw)
    known = {**models(), "m": row}
    tables = tables_of(experiments_of(config))
    check_models(config, known, {"table7": tables["table7"]})
    if not said:
        check_models(config, known, {"table1": tables["table1"]})
        return
    with pytest.raises(ModelError, match=said):
        check_models(config, known, {"table1": tables["table1"]})
    made = tmp_path / "results/judgments/smollm2-yes-no/no_schema/pool.parquet"
    made.parent.mkdir(parents=True)
    made.touch()
    check_models(config, known, {"table1": tables["table1"]})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no archive" * 99])
def test_an_archive_that_is_broken_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(content)
    with pytest.raises(ConfigError, match=r"dataset\.source: .*data\.zip: not a zip archive, or a truncated one"):
        check_references(load_config(changed("dataset/source", str(tmp_path / "data.zip"))), {}, tables=())


@pytest.mark.parametrize("null", [None, "null"])
def test_a_table_that_is_null_is_left_out(null: str | None) -> None:
    """On the command line it is a text."""
    for name in shipped()["experiments"]:
        config = load_config(changed(f"experiments/{name}", null, delete=False))
        assert config.experiments.keys() == shipped()["experiments"].keys() - {name}
        check_references(config, models())

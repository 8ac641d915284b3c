"""The shipped configurations hold; a wrong key, value or name is said in one line, with the nearest right one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from snakemake.utils import update_config
from sqljudge.core.artefacts import POOL, Judged, checkpoints, largest_budgets
from sqljudge.core.errors import ConfigError
from sqljudge.experiments.checks import check_references, settled
from sqljudge.experiments.config import (
    check_config,
    experiment_descriptions,
    nearest,
    read_models,
    resolve,
    schema,
)
from sqljudge.models.engines import BACKENDS
from sqljudge.models.engines.base import ModelSpec
from sqljudge.models.engines.weights import Address, parse_address

HEADER = "name\tsource\trevision\tbackend\tdtype\tquantization\n"
ROW = "m\torg/m\tmain\ttransformers\tbfloat16\tnone\n"


def paper() -> dict[str, Any]:
    """The paper's configuration, as Snakemake reads it."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    return loaded


def demo() -> dict[str, Any]:
    """The demo's configuration over the paper's, merged by Snakemake itself."""
    merged = paper()
    update_config(merged, yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8")))
    return merged


def models() -> dict[str, ModelSpec]:
    return read_models(ROOT / "config" / "models.tsv")


def test_the_configurations_of_bird_fit_and_birds_own_only_lacks_a_source() -> None:
    bird = paper()
    update_config(bird, yaml.safe_load((ROOT / "config" / "bird.yaml").read_text(encoding="utf-8")))
    with pytest.raises(ConfigError, match="name the folder or zip archive of BIRD"):
        check_references(check_config(bird), models())
    bird["dataset"]["source"] = "dev.zip"
    check_references(check_config(bird), models())
    mini = demo()
    update_config(mini, yaml.safe_load((ROOT / "config" / "mini_bird.yaml").read_text(encoding="utf-8")))
    check_references(check_config(mini), models())
    for config in (bird, mini):
        prompts = [entry["prompt"] for entry in config["generators"].values() if "bird" in entry["prompt"]]
        prompts += [
            path for context in config["contexts"].values() for key, path in context.items() if key != "evidence"
        ]
        for path in prompts:
            assert "${knowledge}" in (ROOT / path).read_text(encoding="utf-8"), path


def test_the_configurations_of_a_small_model_fit() -> None:
    small = paper()
    for name in ("small", "small_100"):
        update_config(small, yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8")))
        check_references(check_config(small), models())


SHIPPED = pytest.mark.parametrize("shipped", [paper, demo], ids=["paper", "demo"])


@SHIPPED
def test_shipped_configurations_hold(shipped: Callable[[], dict[str, Any]]) -> None:
    given = shipped()
    before = copy.deepcopy(given)
    config = check_config(given)
    assert given == before, "what is given is not changed"
    check_references(config, models())
    for entry in [*config["generators"].values(), *(c for c in config["contexts"].values())]:
        for key in ("prompt", "yes_no", "reasoning"):
            assert key not in entry or resolve(entry[key]).is_file()
    assert check_config(config) == config


def test_the_paper_uses_its_six_discriminators_and_four_generators() -> None:
    config = check_config(paper())
    assert len(config["experiments"]["table1"]["discriminators"]) == 6
    assert len(config["experiments"]["table7"]["generators"]) == 4
    assert config["experiments"]["table8"]["budgets"] == [256, 400, 512, 700, 1024, 1536, 2048]
    assert config["seed"] == 42
    assert config["dataset"]["per_hardness"] == 100


def test_defaults_are_filled_in() -> None:
    least = {
        "dataset": {"name": "d"},
        "generators": {"g": {"model": "m", "prompt": "p"}},
        "discriminators": {"d": {"model": "m", "kind": "yes_no"}},
        "decodings": {},
        "contexts": {},
        "experiments": {"table7": {"generators": ["g"], "decoding": "x"}},
    }
    config = check_config(least)
    assert config["dataset"]["questions_file"] == "dev.json"
    assert config["pool"]["questions"] == 0
    assert config["journal"] is True
    assert config["generators"]["g"]["frame"] == "inst"
    assert config["discriminators"]["d"]["frame"] == "raw"
    assert config["execution"] == {
        k: v["default"] for k, v in schema("config")["properties"]["execution"]["properties"].items()
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    """The paper's configuration with one key set (or, with None, taken out)."""
    config = paper()
    *folders, last = path.split("/")
    inner = config
    for folder in folders:
        inner = inner[folder]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return config


def refused(config: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as error:
        check_references(check_config(config), models())
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sead", 1, "the top level: unknown key 'sead'; did you mean 'seed'?"),
        ("dataset/per_hardnes", 5, "dataset: unknown key 'per_hardnes'; did you mean 'per_hardness'?"),
        ("pool/zzzzzz", 5, "pool: unknown key 'zzzzzz'; known: decoding, file, generator, questions"),
        ("experiments/table2/costless", ["randm"], "experiments.table2.costless: 'randm' is no discriminator without"),
        (
            "experiments/table2/costless",
            ["oracle:2"],
            "experiments.table2.costless: 'oracle:2': write",
        ),
        ("experiments/table6/costless", ["oracle"], "experiments.table6.costless: 'oracle': write 'oracle:p'"),
        ("discriminators/majority", {"model": "codellama-7b", "kind": "yes_no"}, "discriminators.majority: "),
        (
            "experiments/table2/planners",
            ["majorty"],
            "experiments.table2.planners.0: 'majorty' is not possible; did you mean 'majority'?",
        ),
        (
            "experiments/table2/planners",
            ["rerank"],
            "experiments.table2.planners.0: 'rerank' is not possible; known: majority",
        ),
        (
            "discriminators/codellama-7b",
            {"model": "codellama-7b", "kind": "yesno"},
            "discriminators.codellama-7b.kind: 'yesno' is not possible; did you mean 'yes_no'?",
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
        (
            "discriminators/codellama-7b/kind",
            "yesno",
            "discriminators.codellama-7b.kind: 'yesno' is not possible; did you mean 'yes_no'?",
        ),
        ("generators/tinyllama-1.1b/frame", "instr", "'instr' is not possible; did you mean 'inst'?"),
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
        ("experiments/table8/budgets", [], "experiments.table8.budgets: [] "),
        ("experiments/table1/discriminators", ["codellama-7b"] * 2, "experiments.table1.discriminators: "),
        ("experiments", {}, "experiments: {} "),
        ("dataset/per_hardness", "many", "dataset.per_hardness: 'many' is not of type 'integer'"),
        ("dataset/per_hardness", 5.0, "dataset.per_hardness: 5.0 is not of type 'integer'"),
        ("dataset/per_hardness", True, "dataset.per_hardness: True is not of type 'integer'"),
        ("dataset/sha256", "abc", "dataset.sha256: 'abc' does not match"),
        ("dataset/name", "a/b", "dataset.name: 'a/b' does not match"),
        ("decodings/t0.5", {"samples": 1, "temperature": 0.5, "max_new_tokens": 9}, "decodings: 't0.5' does not match"),
        ("generators/a b", {"model": "m", "prompt": "p"}, "generators: 'a b' does not match"),
        ("failures_tolerated", 1.5, "failures_tolerated: 1.5 is greater than the maximum of 1"),
        ("failures_tolerated", -0.1, "failures_tolerated: -0.1 is too small; the least is 0"),
        (
            "planners/tree_search/expansions",
            51,
            "planners.tree_search.expansions: 51 is greater than the maximum of 50",
        ),
        ("planners/tree_search/kind", "beam", "planners.tree_search.kind: 'beam' is not possible"),
        ("journal", "yes", "journal: 'yes' is not of type 'boolean'"),
        ("dataset", [], "dataset: [] is not of type 'object'"),
    ],
)
def test_what_the_schema_refuses(path: str, value: Any, message: str) -> None:
    said = refused(changed(path, value))
    assert said.startswith("configuration, ")
    assert message in said


def test_a_name_that_is_a_number() -> None:
    config = paper()
    config["discriminators"][7] = {"model": "tinyllama-1.1b", "kind": "yes_no"}
    assert "discriminators: 7 is not of type 'string'" in refused(config)


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
            "experiments.table1.context: 'zzz' is not defined; known: few_shot, no_schema, no_thinking, result, schema",
        ),
        (
            "contexts/no_schema",
            {"reasoning": "x"},
            "contexts.no_schema: has no yes_no prompt, which 'codellama-13b' needs",
        ),
        ("experiments/table8/budgets", [512, 0], "experiments.table8.budgets: 0 is too small; the least is 1, but for"),
        ("experiments/table1/budget", 0, "experiments.table1.budget: 0 is too small; the least is 1, but for"),
        ("experiments/table1/context", "schema", "contexts.schema: has no yes_no prompt, which 'codellama-13b' needs"),
        (
            "experiments/planners/planners",
            ["rerank", "tree"],
            "experiments.planners.planners: 'tree' is not defined; did you mean 'tree_search'?",
        ),
        ("experiments/planners/generator", "distill-r1-1.5b", "'tree_search': the kind 'tree' opens answers with SQL"),
        ("experiments/planners/costless", ["oracle:1", "first"], "'first' scores candidates against each other"),
        ("planners/majority", {"kind": "tree"}, "planners.majority: that name is taken"),
        ("planners/tree_search/rounds", 3, "planners.tree_search: the kind 'tree' has no 'rounds'"),
        ("planners/correction/prompt", None, "planners.correction: the key 'prompt' is missing"),
    ],
)
def test_names_that_are_not_defined(path: str, value: Any, message: str) -> None:
    assert message in refused(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "contexts/result/evidence",
            [],
            "contexts.result.evidence: config/prompts/yes_no_result.txt shows ${result}, which is not listed; add",
        ),
        (
            "contexts/no_schema/evidence",
            ["result"],
            "contexts.no_schema.evidence: 'result' is listed, but config/prompts/yes_no.txt shows no ${result}; take",
        ),
        (
            "contexts/result/reasoning",
            "config/prompts/reasoning.txt",
            "contexts.result.evidence: 'result' is listed, but config/prompts/reasoning.txt shows no ${result}",
        ),
        (
            "contexts/few_shot/reasoning",
            "config/prompts/reasoning.txt",
            "contexts.few_shot.reasoning: demonstrations are for yes_no prompts only; take the reasoning prompt out",
        ),
        ("contexts/result/evidence", ["reslt"], "'reslt' is not possible; did you mean 'result'?"),
        ("contexts/result/yes_no", "no/such.txt", "contexts.result.yes_no: prompt "),
        (
            "experiments/evidence/contexts",
            ["few_shot", "result"],
            "experiments.evidence.contexts: 'distill-r1-1.5b' cannot be asked in 'few_shot', the first, to which all",
        ),
        ("demonstrations", {"number": 3}, "demonstrations.number: 3 is not a multiple of 2"),
        (
            "demonstrations",
            {"prompt": "config/prompts/yes_no.txt"},
            "configuration, demonstrations.prompt: prompt ",
        ),
    ],
)
def test_evidence_that_does_not_fit(path: str, value: Any, message: str) -> None:
    assert message in refused(changed(path, value))


def test_a_discriminator_without_a_prompt_is_left_out_of_a_table_of_contexts() -> None:
    experiments = settled(check_config(paper()))
    assert experiments["evidence"]["unasked"] == [["distill-r1-1.5b", "few_shot"]]
    assert not any("unasked" in experiment for name, experiment in experiments.items() if name != "evidence")
    config = changed("experiments/evidence/contexts", ["no_schema", "result"])
    assert "unasked" not in settled(config)["evidence"], "without the few-shot context nothing is left out"


def test_no_model_at_all() -> None:
    with pytest.raises(ConfigError, match=r"'stable-code-3b' is not defined$"):
        check_references(check_config(paper()), {})


def test_a_definition_that_nothing_uses_may_name_any_model() -> None:
    config = changed("generators/spare", {"model": "nowhere", "prompt": "p"})
    check_references(check_config(config), models())


def test_a_pool_from_a_file_needs_no_generator() -> None:
    config = changed("pool", {"file": "pool.json", "generator": "nobody", "decoding": "nothing"})
    check_references(check_config(config), models())


def test_forced_verdicts_at_budget_0_and_where_they_are_cut() -> None:
    config = changed("experiments/table8/scoring", "forced")
    config["experiments"]["table8"]["budgets"] = [256, 0]
    config["experiments"]["table1"] |= {"scoring": "forced", "budget": 128, "discriminators": ["distill-r1-1.5b"]}
    check_references(check_config(config), models())
    shown = {name: config["experiments"][name] for name in ("table1", "table2", "table8")}
    assert checkpoints(shown) == {Judged("distill-r1-1.5b", "no_schema", POOL): [0, 128, 256]}


def test_a_verdict_is_not_forced_from_a_server_but_its_yes_is_taken() -> None:
    known = models()
    far = replace(known["distill-r1-1.5b"], source="http://localhost:8000/v1?model=x", backend="openai", dtype="-")
    config = check_config(changed("experiments/table8/scoring", "forced"))
    with pytest.raises(ConfigError, match=r"discriminators\.distill-r1-1\.5b: a server does not tell how it splits"):
        check_references(config, {**known, "distill-r1-1.5b": far})
    config = check_config(changed("experiments/table1/scoring", "forced"))
    check_references(config, {**known, "codellama-7b": far})


def test_the_largest_budgets_of_the_paper() -> None:
    largest = largest_budgets(settled(paper()))
    reasoner = "distill-r1-1.5b"
    assert largest[Judged(reasoner, "no_schema", POOL)] == 2048
    assert largest[Judged(reasoner, "schema", POOL)] == 1024
    assert largest[Judged(reasoner, "no_schema", "stable-code-3b.sample")] == 512
    assert largest[Judged(reasoner, "no_thinking", POOL)] == 256
    assert largest[Judged(reasoner, "result", POOL)] == 512
    assert Judged(reasoner, "few_shot", POOL) not in largest, "it has no yes/no prompt"
    assert len(largest) == 6 + 1 + 1 + 6 + 6 + 5
    assert not any(job.pool.endswith(".greedy") for job in largest)


def test_the_largest_budget_is_over_all_experiments() -> None:
    experiments = paper()["experiments"]
    del experiments["table8"], experiments["adaptive"], experiments["evidence"]
    assert largest_budgets(experiments)[Judged("distill-r1-1.5b", "no_schema", POOL)] == 1024
    del experiments["table4"]
    assert largest_budgets(experiments)[Judged("distill-r1-1.5b", "no_schema", POOL)] == 512
    assert largest_budgets({"table7": experiments["table7"]}) == {}


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
        ([ROW.replace("m\torg", "a/b\torg", 1)], "line 2: name: 'a/b' does not match"),
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


@pytest.mark.parametrize("tokenizer", ["", "org/tok"])
def test_a_chat_with_a_server_needs_a_tokenizer(tokenizer: str) -> None:
    config = check_config(changed("discriminators/codellama-7b/frame", "chat"))
    served = ModelSpec("codellama-7b", "https://h/v1#m", "-", "openai", "-", "-", tokenizer)
    known = {**models(), "codellama-7b": served}
    if tokenizer:
        check_references(config, known)
        return
    with pytest.raises(ConfigError, match=r"discriminators\.codellama-7b\.frame: .*name one in the column 'tokenizer'"):
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
    with pytest.raises(ConfigError, match=r"models_table: .* cannot be read as UTF-8"):
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


def test_every_experiment_is_described() -> None:
    described = experiment_descriptions()
    assert set(paper()["experiments"]) <= set(described)
    assert all(text.endswith(".") for text in described.values())

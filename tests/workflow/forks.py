"""Runs Snakemake as `python -m snakemake` does, each time in a fork of a process that has imported it and its needs.

To import them takes a third of the time of a plan. Reads calls as JSON, one a line, and writes their exit statuses.
The library of the workflow is not imported here: each call finds that of its own Snakefile.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys

import jinja2  # noqa: F401
import nbformat  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import pydantic  # noqa: F401
import snakemake.cli
import snakemake.report  # noqa: F401
import sqlparse  # noqa: F401


def become(call: dict) -> None:
    """Make this process one that a shell would have started: arguments, folder, environment, streams."""
    os.environ.clear()
    os.environ.update(call["environment"])
    os.chdir(call["folder"])
    nothing, shown = os.open(os.devnull, os.O_RDONLY), os.open(call["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for source, stream in ((nothing, 0), (shown, 1), (shown, 2)):
        os.dup2(source, stream)
    own_path = [path for path in call["environment"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [call["folder"], *own_path]
    sys.argv = ["snakemake", *call["arguments"]]
    signal.alarm(call["hangs"])


if __name__ == "__main__":
    gc.freeze()  # what is here is never collected, and so not copied into each fork
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(json.loads(line))
            break
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    else:
        sys.exit()
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)

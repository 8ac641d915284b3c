"""The process that runs queries: reads JSON lists of requests, one a line; writes one JSON reply a line, in order.

It may be killed at any moment. Replies are data only, so that nothing a query does to this process can make the
parent run code: lists of [kind, value], where an object with the one key `blob` stands for bytes.

Limits on the whole process: no file may grow, no core is dumped, and the address space is bounded.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqljudge.sql.official.execution import COMPARISONS, GoldFailure
from sqljudge.sql.sandbox.build import NotBuilt, build
from sqljudge.sql.sandbox.engine import DamagedDatabase, Engine, Limits, failed

Request = dict[str, Any]
READY = ["ready", None]


def main(limits_json: str) -> None:
    """Serve requests from standard input until it ends."""
    limits = Limits(**json.loads(limits_json))
    _bound_process(limits)
    engine = Engine(limits)
    _send(READY)
    for line in sys.stdin:
        for request in json.loads(line):
            _send(answer(engine, request))


def answer(engine: Engine, request: Request) -> list[Any]:
    """The reply to one request: its kind's, or ["memory" | "damaged" | "gold" | "unbuilt" | "bug", message]."""
    try:
        return [request["kind"], KINDS[request["kind"]](engine, request)]
    except MemoryError:
        engine.forget()
        return ["memory", "out of memory"]
    except DamagedDatabase as error:
        return ["damaged", str(error)]
    except GoldFailure as error:
        return ["gold", str(error)]
    except NotBuilt as error:
        return ["unbuilt", list(error.args)]
    except Exception:
        return ["bug", traceback.format_exc()]


def _query(engine: Engine, request: Request) -> list[Any]:
    """The fields of the result of `sql` on `path`, with at most `keep` rows (all if null)."""
    fields = vars(engine.run(request["path"], request["sql"]))
    return list({**fields, "rows": fields["rows"][: request["keep"]]}.values())


def _match(engine: Engine, request: Request) -> list[Any]:
    """The fields of the execution match of `pred` with `gold` on all of `paths`."""
    match = COMPARISONS[request["comparison"]].match
    found = match(engine.run, request["paths"], request["gold"], request["pred"], request["keep_distinct"])
    return list(vars(found).values())


def _build(engine: Engine, request: Request) -> list[Any]:
    """The bytes of the database that `text` makes, and its first broken foreign key."""
    return list(build(request["text"], engine.limits))


KINDS: dict[str, Callable[[Engine, Request], list[Any]]] = {"query": _query, "match": _match, "build": _build}
"""What can be asked of a worker."""


def _send(reply: list[Any]) -> None:
    try:
        text = json.dumps(reply, default=lambda value: {"blob": value.hex()})
    except MemoryError:
        text = json.dumps(["query", list(vars(failed("memory", "the rows are too many to hand over")).values())])
    print(text, flush=True)


def _bound_process(limits: Limits) -> None:
    """Bound what this process may do. Where the system has no such limit, the others still hold."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + 3 * limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

"""The sandbox against hostile queries: each ends in time, as it should, and databases keep their bytes."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from clock import HANGS
from sqljudge.core.errors import DataError, SqlRunError
from sqljudge.sql.sandbox import Limits, MatchJob, QueryJob, Sandbox

LIMITS = Limits(steps=20_000_000, seconds=3, rows=20_000, cell_bytes=100_000, memory_bytes=64 * 1024 * 1024)
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
ONE_LONG_OPERATION = "SELECT instr(printf('%.*c', 999000, 'a'), printf('%.*c', 499000, 'a') || 'b')"
"""SQLite cannot be asked to stop inside one function: only killing the process helps."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "zoo.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE animal (id INTEGER PRIMARY KEY, name TEXT, age INTEGER)")
        db.executemany("INSERT INTO animal VALUES (?, ?, ?)", [(i, f"animal {i}", i % 7) for i in range(1000)])
        db.execute("CREATE TABLE odd (text TEXT, blob BLOB)")
        db.execute("INSERT INTO odd VALUES (CAST(x'ff4142fe' AS TEXT), x'00ff')")
        db.execute("CREATE VIEW old AS SELECT * FROM animal WHERE age > 5")
    db.close()
    return path


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(1, LIMITS) as one:
        yield one


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file's digest and time of change."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


REFUSED = [
    "INSERT INTO animal VALUES (5000, 'x', 1)",
    "INSERT INTO animal SELECT * FROM animal",
    "REPLACE INTO animal VALUES (1, 'x', 1)",
    "INSERT INTO animal VALUES (5000, 'x', 1) RETURNING id",
    "UPDATE animal SET age = 0",
    "DELETE FROM animal",
    "WITH x AS (SELECT 1) DELETE FROM animal WHERE id IN x",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t (a)",
    "CREATE TABLE t AS SELECT * FROM animal",
    "CREATE VIEW v AS SELECT 1",
    "CREATE INDEX i ON animal (age)",
    "CREATE TRIGGER t AFTER INSERT ON animal BEGIN DELETE FROM odd; END",
    "CREATE VIRTUAL TABLE f USING fts5(x)",
    "DROP TABLE animal",
    "DROP VIEW old",
    "ALTER TABLE animal RENAME TO beast",
    "ALTER TABLE animal ADD COLUMN x",
    "ATTACH '{folder}/new.sqlite' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO '{folder}/copy.sqlite'",
    "ANALYZE",
    "BEGIN",
    "BEGIN EXCLUSIVE",
    "SAVEPOINT s",
    "ROLLBACK",
    "PRAGMA journal_mode = WAL",
    "PRAGMA writable_schema = ON",
    "PRAGMA user_version = 7",
    "PRAGMA query_only = OFF",
    "PRAGMA trusted_schema = ON",
    "PRAGMA hard_heap_limit = 0",
    "PRAGMA temp_store_directory = '{folder}'",
    "PRAGMA wal_checkpoint",
    "PRAGMA incremental_vacuum",
    "PRAGMA optimize",
    "PRAGMA database_list",
    "SELECT * FROM pragma_database_list",
    "SELECT load_extension('{folder}/evil.so')",
    "SELECT fts3_tokenizer('simple')",
    "EXPLAIN DELETE FROM animal",
    "/* SELECT 1 */ DELETE FROM animal -- SELECT 1",
]
TIMEOUT = [
    f"{ENDLESS} SELECT count(*) FROM c",
    f"{ENDLESS} SELECT max(x) FROM c WHERE x < 0",
    f"{ENDLESS} SELECT group_concat(x) FROM c",
    f"{ENDLESS} SELECT 1 FROM c WHERE x = 'never'",
    "SELECT count(*) FROM animal a, animal b, animal c",
    "SELECT sum(a.age * b.age * c.age) FROM animal a CROSS JOIN animal b CROSS JOIN animal c",
    "SELECT 1 FROM animal a, animal b, animal c WHERE a.id + b.id + c.id < 0",
    "SELECT max((SELECT count(*) FROM animal b WHERE b.age < a.id)) FROM animal a, animal c",
    "SELECT DISTINCT a.age + b.age + c.age FROM animal a, animal b, animal c",
]
ROW_LIMIT = [
    f"{ENDLESS} SELECT x FROM c",
    "SELECT * FROM animal a, animal b",
    "SELECT 1 FROM animal a, animal b, animal c",
]
MEMORY = [
    "SELECT a.age FROM animal a, animal b, animal c GROUP BY a.age",
    "SELECT zeroblob(1000000000)",
    "SELECT zeroblob(2147483647)",
    "SELECT randomblob(1000000000)",
    "SELECT hex(zeroblob(99999))",
    "SELECT group_concat(a.name) FROM animal a, animal b",
    "SELECT json_group_array(a.name) FROM animal a, animal b",
    "SELECT replace(hex(zeroblob(40000)), '0', '0000000000')",
    "WITH RECURSIVE g(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM g) SELECT length(s) FROM g",
    "SELECT zeroblob(99000) FROM animal",
    "SELECT zeroblob(50000) FROM animal a, animal b",
]
ERROR = [
    "",
    ";",
    " ; ",
    "-- only a comment",
    "/* never closed",
    "SELECT 1; DROP TABLE animal",
    "SELECT 1; SELECT 2",
    "SELECT 1;;",
    "SELECT 1 /* */ ; /* */ DELETE FROM animal",
    "SELECT 1\0",
    "SELECT '\0'",
    "SELECT '\udcff'",
    "SELECT 'never closed",
    "this is not SQL",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT " + "1+" * 5000 + "1",
    "SELECT " + "-" * 5001 + " 1",
    "SELECT " + "NOT " * 5000 + "1",
    "SELECT " + "abs(" * 3000 + "1" + ")" * 3000,
    "SELECT * FROM " + "(SELECT * FROM " * 500 + "animal" + ")" * 500,
    "SELECT 1 " + "UNION SELECT 1 " * 1000,
    "SELECT " + ", ".join("1" for _ in range(5000)),
    "SELECT '" + "a" * 2_000_000 + "'",
    "SELECT * FROM animal " + " ".join(f"JOIN animal a{i}" for i in range(100)),
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('{folder}/x', 'y')",
    "SELECT edit('x')",
    "SELECT * FROM fsdir('/')",
    "SELECT abs(-9223372036854775808)",
    "SELECT ?1",
    "SELECT json('{{')",
]
OK = [
    "SELECT 1",
    "SELECT * FROM animal WHERE 0",
    "SELECT 1;",
    "SELECT 1 -- ; DROP TABLE animal",
    "VALUES (1, 2), (3, 4)",
    "EXPLAIN SELECT 1",
    "EXPLAIN QUERY PLAN SELECT * FROM animal",
    "PRAGMA table_info(animal)",
    "SELECT name FROM pragma_table_info('animal')",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM old",
    "SELECT value FROM json_each('[1, 2]')",
    "SELECT date('now'), CURRENT_TIMESTAMP, strftime('%s', 'now')",
    "SELECT random(), randomblob(4)",
    "SELECT printf('%1000000000d', 1)",
    "SELECT 1e999, -1e999, 9223372036854775807",
    "SELECT text, blob FROM odd",
    "SELECT x'00' || 'a'",
    "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(1900)),
    "SELECT '" + "a" * 90_000 + "'",
    f"{ENDLESS} SELECT x FROM c LIMIT 1000",
]
CASES = [
    (sql, outcome)
    for outcome, queries in (
        *(("refused", REFUSED), ("timeout", TIMEOUT), ("row_limit", ROW_LIMIT)),
        *(("memory", MEMORY), ("error", ERROR), ("ok", OK)),
    )
    for sql in queries
]


@pytest.mark.parametrize(("sql", "outcome"), CASES, ids=lambda value: ascii(value[:40]))
def test_hostile_query(sandbox: Sandbox, database: Path, sql: str, outcome: str) -> None:
    before = state(database.parent)
    if "{folder}" in sql:
        sql = sql.replace("{folder}", str(database.parent))
    first, after = sandbox.run([(database, sql), (database, "SELECT count(*) FROM animal")])
    assert first.outcome == outcome, first.message
    assert (first.message == "") == (outcome == "ok")
    assert "\n" not in first.message
    assert after.rows == ((1000,),)
    assert state(database.parent) == before


def test_there_are_enough_hostile_queries() -> None:
    assert len(CASES) - len(OK) >= 60


def test_outcomes_and_steps_do_not_change_from_run_to_run(database: Path) -> None:
    queries = [*TIMEOUT[:2], *ROW_LIMIT[:2], "SELECT random(), hex(randomblob(3)) FROM animal", *MEMORY[:2]]
    runs = []
    for _ in range(2):
        with Sandbox(1, LIMITS) as sandbox:
            results = sandbox.run([(database, sql) for sql in queries])
            runs.append([(r.outcome, r.message, r.rows, r.steps) for r in results])
    assert runs[0] == runs[1]


def test_what_no_limit_inside_sqlite_stops_is_killed_and_costs_that_query_only(database: Path) -> None:
    with Sandbox(1, Limits(seconds=0.5)) as sandbox:
        results = sandbox.run([(database, "SELECT 1"), (database, ONE_LONG_OPERATION), (database, "SELECT 2")])
    assert [result.outcome for result in results] == ["ok", "timeout", "ok"]
    assert "inside one operation" in results[1].message


def test_wall_time_ends_a_query_that_has_steps_left(database: Path) -> None:
    with Sandbox(1, Limits(steps=10**15, seconds=0.3)) as sandbox:
        (result,) = sandbox.run([(database, TIMEOUT[0])])
    assert (result.outcome, result.message) == ("timeout", "stopped after 0.3 seconds")


def test_results_come_in_order_and_are_whole(database: Path) -> None:
    jobs = [(database, f"SELECT {i}, name FROM animal WHERE id = {i}") for i in range(300)]
    with Sandbox(3, LIMITS) as sandbox:
        results = sandbox.run(jobs)
        many = sandbox.run([QueryJob(database, "SELECT * FROM animal", keep=2), QueryJob(database, "SELECT 'ü'")])
    assert [result.rows for result in results] == [((i, f"animal {i}"),) for i in range(300)]
    assert results[0].columns == ("0", "name")
    assert (many[0].row_count, many[0].rows) == (1000, ((0, "animal 0", 0), (1, "animal 1", 1)))
    assert many[1].rows == (("ü",),)


def test_text_that_is_not_utf8_loses_its_bad_bytes(sandbox: Sandbox, database: Path) -> None:
    (result,) = sandbox.run([(database, "SELECT text, blob FROM odd")])
    assert result.rows == (("AB", b"\x00\xff"),)


def test_queries_longer_than_a_pipe_holds(sandbox: Sandbox, database: Path) -> None:
    long = "SELECT length('" + "a" * 90_000 + "')"
    results = sandbox.run([(database, long), (database, "SELECT 1")] * 20)
    assert [result.rows[0][0] for result in results] == [90_000, 1] * 20


def test_a_worker_killed_from_outside_changes_no_result(database: Path) -> None:
    slow = "SELECT count(*) FROM animal a, animal b WHERE a.age < b.age"
    with Sandbox(1) as sandbox:
        sandbox.run([(database, "SELECT 1")])
        victim = sandbox.pids()[0]
        timer = threading.Timer(0.02, os.kill, (victim, signal.SIGKILL))
        timer.start()
        results = sandbox.run([(database, f"{slow} AND {i} = {i}") for i in range(20)])
        timer.join()
        assert sandbox.pids() != [victim]
    smaller = sum(a % 7 < b % 7 for a in range(1000) for b in range(1000))
    assert {(result.outcome, result.rows) for result in results} == {("ok", ((smaller,),))}


def test_a_worker_that_is_killed_again_and_again_is_a_fault_and_no_answer(database: Path) -> None:
    stop = threading.Event()
    with Sandbox(1) as sandbox:

        def kill_all() -> None:
            while not stop.wait(0.25):
                for pid in sandbox.pids():
                    os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_all)
        killer.start()
        try:
            with pytest.raises(SqlRunError, match=r"killed from outside 3 times \(SIGKILL\)"):
                sandbox.run([(database, "SELECT count(*) FROM animal a, animal b, animal c")])
        finally:
            stop.set()
            killer.join()
        assert sandbox.run([(database, "SELECT 1")])[0].rows == ((1,),)


def test_an_engine_crash_costs_that_query_only(database: Path) -> None:
    """SIGSEGV stands for a crash inside SQLite."""
    with Sandbox(1) as sandbox:
        stop = threading.Event()

        def crash_all() -> None:
            while not stop.wait(0.2):
                for pid in sandbox.pids():
                    os.kill(pid, signal.SIGSEGV)

        crasher = threading.Thread(target=crash_all)
        crasher.start()
        try:
            (result,) = sandbox.run([(database, "SELECT count(*) FROM animal a, animal b, animal c")])
        finally:
            stop.set()
            crasher.join()
        assert (result.outcome, result.message) == ("error", "the engine crashed on this query (SIGSEGV)")
        assert sandbox.run([(database, "SELECT 1")])[0].rows == ((1,),)


def test_a_worker_that_cannot_start_is_a_fault(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Sandbox(1) as sandbox, pytest.raises(SqlRunError, match="the SQL worker does not start"):
        sandbox.run([(database, "SELECT 1")])


def test_workers_do_not_import_the_callers_main(database: Path, tmp_path: Path) -> None:
    """As in a Snakemake script: __main__ is a file with effects and no guard."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parents[2] / 'workflow')!r})\n"
        "from pathlib import Path\nfrom sqljudge.sql.sandbox import Sandbox\nprint('effect')\n"
        f"with Sandbox(2) as s:\n    print(s.run([(Path({str(database)!r}), 'SELECT 1')] * 9)[8].rows)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=HANGS, cwd=tmp_path)
    assert done.stdout == "effect\n((1,),)\n", done.stderr


def test_an_interrupt_ends_all_workers_at_once_and_the_next_run_is_served(
    database: Path, request: pytest.FixtureRequest
) -> None:
    # A shell's background job, such as this run may be, ignores interrupts.
    request.addfinalizer(
        partial(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
    )
    with Sandbox(2, Limits(steps=10**15, seconds=HANGS)) as sandbox:
        sandbox.run([(database, f"SELECT {i}") for i in range(100)])
        pids = sandbox.pids()
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        started = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            sandbox.run([(database, TIMEOUT[0])] * 10)
        timer.join()
        assert time.perf_counter() - started < HANGS, "not by the limit"
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        assert sandbox.run([(database, "SELECT 1")])[0].rows == ((1,),)


def test_a_worker_is_light() -> None:
    heavy = ("numpy", "pyarrow", "pandas", "pydantic", "yaml", "sqlglot", "nltk")
    code = f"import sys, sqljudge.sql.sandbox.worker; print([name for name in {heavy} if name in sys.modules])"
    workflow = Path(__file__).parents[2] / "workflow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=workflow)
    assert done.stdout == "[]\n"


def test_no_worker_outlives_the_sandbox(database: Path) -> None:
    with Sandbox(2) as sandbox:
        sandbox.run([(database, f"SELECT {i}") for i in range(100)])
        pids = sandbox.pids()
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("damage", ["missing", "truncated", "text"])
def test_a_database_that_is_missing_or_damaged_is_named(database: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.sqlite"
    if damage == "truncated":
        path.write_bytes(database.read_bytes()[:9000])
    elif damage == "text":
        path.write_text("this is no database" * 100)
    with Sandbox(1) as sandbox, pytest.raises(DataError, match=r"bad\.sqlite: .*fetch it") as caught:
        sandbox.run([(path, "SELECT count(*) FROM animal")])
    assert "\n" not in str(caught.value)


def test_read_only_folder_and_odd_file_names(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder? with #odd %41 name"
    folder.mkdir()
    path = folder / "zoo&mode=rw.sqlite"
    path.write_bytes(database.read_bytes())
    folder.chmod(0o500)
    try:
        with Sandbox(1) as sandbox:
            assert sandbox.run([(path, "SELECT count(*) FROM animal")])[0].rows == ((1000,),)
    finally:
        folder.chmod(0o700)


def test_a_database_in_wal_mode_is_read_with_its_log_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "wal.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (a)")
    writer.execute("INSERT INTO t VALUES (1)")
    before = path.read_bytes()
    with Sandbox(1) as sandbox:
        assert sandbox.run([(path, "SELECT a FROM t")])[0].rows == ((1,),)
    assert path.read_bytes() == before
    writer.close()


def test_a_changed_database_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with Sandbox(1) as sandbox:
        for number in (1, 2):
            path.unlink(missing_ok=True)
            with sqlite3.connect(path) as db:
                db.execute("CREATE TABLE t (a)")
                db.executemany("INSERT INTO t VALUES (?)", [(number,)] * number)
            db.close()
            os.utime(path, ns=(number, number))
            assert sandbox.run([(path, "SELECT a FROM t")])[0].rows == ((number,),) * number


@pytest.mark.parametrize("bad", [{"steps": 0}, {"seconds": -1.0}, {"rows": 0}])
def test_limits_must_be_above_zero(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        Limits(**bad)  # type: ignore[arg-type]


def test_what_was_kept_of_other_queries_decides_nothing(database: Path) -> None:
    big = "SELECT zeroblob(100000 - {}) FROM animal LIMIT 900"
    heavy = "SELECT count(*) FROM (SELECT DISTINCT a.name || b.name AS x FROM animal a, animal b WHERE a.id < 400)"
    limits = Limits(memory_bytes=96 * 1024 * 1024, cell_bytes=100_000)
    with Sandbox(1, limits) as sandbox:
        alone = sandbox.run([(database, heavy)])[0]
    with Sandbox(1, limits) as sandbox:
        results = sandbox.run([*(QueryJob(database, big.format(i), keep=0) for i in range(1, 7)), (database, heavy)])
    assert [result.outcome for result in results] == ["ok"] * 7
    assert results[-1].rows == alone.rows


def test_match_of_hostile_predictions(sandbox: Sandbox, database: Path) -> None:
    gold = "SELECT name FROM animal WHERE age > 100"
    preds = ["SELECT name FROM animal WHERE age > 200", "DELETE FROM animal", ";", TIMEOUT[0], ROW_LIMIT[0], MEMORY[0]]
    matches = sandbox.match([MatchJob((database,), gold, pred) for pred in preds])
    assert [match.correct for match in matches] == [True, *[False] * 5]
    assert [match.reason.split(":")[0] for match in matches[1:]] == [
        "refused",
        "error",
        "timeout",
        "row_limit",
        "memory",
    ]

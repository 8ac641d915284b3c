"""Datasets are staged from folders, archives, SQL text and downloads: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from sqljudge.core.errors import DataError
from sqljudge.data import download as downloads
from sqljudge.data.datasets import BIRD, SPIDER
from sqljudge.data.download import download
from sqljudge.data.sources import WRITTEN
from sqljudge.data.staging import (
    source_files,
    stage_dataset,
    stage_training,
    write_dataset,
    write_training,
)

SQL = "CREATE TABLE t (a TEXT);\nINSERT INTO t VALUES ('é');\n"


def make_database(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SQL)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A plain folder in Spider's layout: two used databases, one of them with a test suite, and one not used."""
    folder = tmp_path / "source"
    folder.mkdir()
    rows = [{"db_id": db_id, "question": "?", "query": "SELECT 1"} for db_id in ("one", "two", "one")]
    (folder / "dev.json").write_text(json.dumps(rows))
    (folder / "tables.json").write_text("[]")
    for db_id in ("one", "two", "unused"):
        make_database(folder / "database" / db_id / f"{db_id}.sqlite")
    make_database(folder / "database" / "one" / "one_7.sqlite")
    (folder / "database" / "one" / "schema.sql").write_text("CREATE TABLE other (x);")
    return folder


def zipped(folder: Path, archive: Path, *, inside: str = "", more: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            name = inside + path.relative_to(folder).as_posix()
            if path.is_dir():
                out.writestr(name + "/", b"")
            else:
                out.write(path, name)
        for name, content in (more or {}).items():
            out.writestr(name, content)
    return archive


def staged(target: Path) -> list[str]:
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())


WHOLE = [
    "database/one/one.sqlite",
    "database/one/one_7.sqlite",
    "database/two/two.sqlite",
    "questions.json",
    "tables.json",
]


def value(database: Path) -> Any:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT a FROM t").fetchone()[0]


def check(source: Path, target: Path) -> None:
    assert stage_dataset(source, target) == ["one", "two"]
    assert staged(target) == WHOLE
    assert value(target / "database/one/one.sqlite") == value(target / "database/two/two.sqlite") == "é"
    assert all(path.stat().st_mode & 0o755 == 0o755 for path in [target, *target.rglob("*")] if path.is_dir())
    assert [path.name for path in target.parent.iterdir() if path.name.startswith(".")] == [], "nothing is left over"


def test_a_plain_folder(source: Path, tmp_path: Path) -> None:
    check(source, tmp_path / "deep" / "out")


def test_a_plain_archive(source: Path, tmp_path: Path) -> None:
    check(zipped(source, tmp_path / "s.zip"), tmp_path / "out")


def test_the_official_archive(source: Path, tmp_path: Path) -> None:
    """One folder down, with what a Mac leaves in archives, and a second split that is not wanted."""
    debris = {
        "__MACOSX/spider_data/._dev.json": b"\x00\x05\x16\x07",
        "__MACOSX/spider_data/database/one/._one.sqlite": b"\x00",
        "spider_data/._dev.json": b"\x00",
        "spider_data/database/two/._two.sqlite": b"\x00",
        "spider_data/database/.DS_Store": b"\x00",
        "spider_data/database/one/.DS_Store": b"\x00",
        "spider_data/test_data/dev.json": b"[]",
        "spider_data/test_data/tables.json": b"[]",
        "spider_data/README.txt": b"hello",
    }
    check(zipped(source, tmp_path / "s.zip", inside="spider_data/", more=debris), tmp_path / "out")


def test_a_folder_one_down_with_debris(source: Path, tmp_path: Path) -> None:
    (source / "database/one/._one.sqlite").write_bytes(b"\x00")
    (source / "._tables.json").write_bytes(b"\x00")
    shutil.move(source, tmp_path / "up" / "spider_data")
    check(tmp_path / "up", tmp_path / "out")


@pytest.mark.parametrize("as_zip", [False, True])
def test_databases_as_sql_text(source: Path, tmp_path: Path, as_zip: bool) -> None:
    (source / "database/two/two.sqlite").unlink()
    (source / "database/two/two.sql").write_text(SQL, encoding="utf-8")
    check(zipped(source, tmp_path / "s.zip") if as_zip else source, tmp_path / "out")


def written_ahead(database: Path) -> None:
    """Leave the one row of a database in a write-ahead log alone, as a copy of a database in use has it."""
    live = database.with_name("live")
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (a TEXT)")
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute("INSERT INTO t VALUES ('é')")
        shutil.copy(live, database)
        shutil.copy(f"{live}-wal", f"{database}-wal")
    live.unlink()


def half_written(database: Path) -> None:
    """Leave a database as a writer that died has it: its journal undoes what is in the file."""
    live = database.with_name("live")
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.executescript(f"{SQL} CREATE TABLE u (b); PRAGMA cache_size = 5; BEGIN; UPDATE t SET a = 'no'")
        numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
        connection.execute(f"INSERT INTO u {numbers} SELECT zeroblob(3000) FROM n")
        shutil.copy(live, database)
        shutil.copy(f"{live}-journal", f"{database}-journal")
    live.unlink()


def in_wal_mode(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


each_state = pytest.mark.parametrize("leave", [written_ahead, half_written, in_wal_mode])


def check_whole(source: Path, target: Path) -> None:
    """`check`, and each database is a file that needs nothing beside it."""
    check(source, target)
    for path in target.rglob("*.sqlite"):
        assert path.read_bytes()[18:20] == b"\1\1", "no reader makes files beside it"
        with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as connection:
            assert connection.execute("SELECT a FROM t").fetchall() == [("é",)]


@each_state
@pytest.mark.parametrize("as_zip", [False, True], ids=["folder", "archive"])
def test_a_database_is_taken_with_what_lies_in_its_logs(
    source: Path, tmp_path: Path, leave: Callable[[Path], None], as_zip: bool
) -> None:
    leave(source / "database/one/one.sqlite")
    leave(source / "database/one/one_7.sqlite")
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    check_whole(zipped(source, tmp_path / "s.zip") if as_zip else source, tmp_path / "out")
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


@each_state
@pytest.mark.parametrize("with_logs", [False, True], ids=["log beside the target", "log linked, too"])
def test_a_linked_database_is_taken_with_what_lies_in_its_logs(
    source: Path, tmp_path: Path, leave: Callable[[Path], None], with_logs: bool
) -> None:
    leave(source / "database/one/one.sqlite")
    store = tmp_path / "store"
    store.mkdir()
    for path in sorted((source / "database/one").glob("one.sqlite*")):
        kept = store / (str(len(list(store.iterdir()))) if with_logs else path.name)
        path.rename(kept)
        if with_logs or path.suffix == ".sqlite":
            path.symlink_to(kept)
    check_whole(source, tmp_path / "out")


@pytest.mark.parametrize("as_zip", [False, True], ids=["folder", "archive"])
def test_a_log_that_makes_no_sound_database_is_named(source: Path, tmp_path: Path, as_zip: bool) -> None:
    database = source / "database/two/two.sqlite"
    written_ahead(database)
    database.write_bytes(b"no database " * 1000)
    text = refused(zipped(source, tmp_path / "s.zip") if as_zip else source, tmp_path / "out")
    assert "database/two/two.sqlite: makes no sound database with the logs beside it (" in text
    assert text.endswith("; fetch it again")


def test_a_database_without_logs_keeps_its_bytes(source: Path, tmp_path: Path) -> None:
    """Whatever it is: whether it is sound is asked where it is used."""
    (source / "database/two/two.sqlite").write_bytes(b"no database")
    stage_dataset(source, tmp_path / "out")
    for name in ("one/one.sqlite", "one/one_7.sqlite", "two/two.sqlite"):
        assert (tmp_path / "out/database" / name).read_bytes() == (source / "database" / name).read_bytes()


def test_another_split(source: Path, tmp_path: Path) -> None:
    (source / "small.json").write_text('[{"db_id": "two"}]')
    assert stage_dataset(source, tmp_path / "out", questions_file="small.json") == ["two"]
    assert staged(tmp_path / "out") == ["database/two/two.sqlite", "questions.json", "tables.json"]


# --- links, other splits, pools, and a run inside its dataset ---------------------------------------------------------


def moved(folder: Path, elsewhere: Path) -> None:
    """Move a folder or file away, and leave a link to it in its place."""
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "linked", ["database", "database/one", "database/two/two.sqlite", "dev.json", "", "database database/one"]
)
@pytest.mark.parametrize("down", [False, True], ids=["plain", "one folder down"])
def test_links_are_followed(source: Path, tmp_path: Path, linked: str, down: bool) -> None:
    for number, name in enumerate(reversed(linked.split(" "))):
        moved(source / name, tmp_path / "elsewhere" / str(number))
    if down:
        (tmp_path / "up").mkdir()
        (tmp_path / "up" / "spider_data").symlink_to(source)
    check(tmp_path / "up" if down else source, tmp_path / "out")
    where = tmp_path / "up" if down else source
    files = source_files(where, questions_file="dev.json", dataset_format=SPIDER)
    assert sorted(Path(file).relative_to(where / "spider_data" if down else where).as_posix() for file in files) == [
        "database/one/one.sqlite",
        "database/one/one_7.sqlite",
        "database/one/schema.sql",
        "database/two/two.sqlite",
        "database/unused/unused.sqlite",
        "dev.json",
        "tables.json",
    ]


def test_two_databases_in_one_folder_through_links(source: Path, tmp_path: Path) -> None:
    shutil.move(source / "database/two/two.sqlite", source / "database/one/two.sqlite")
    shutil.rmtree(source / "database/two")
    (source / "database/two").symlink_to("one")
    assert stage_dataset(source, tmp_path / "out") == ["one", "two"]
    assert value(tmp_path / "out/database/two/two.sqlite") == "é"


@pytest.mark.parametrize("circle", ["loop .", "database/up ..", "a b/b b/a a", "self self", "database/one/top ../.."])
def test_links_in_a_circle_end(source: Path, tmp_path: Path, circle: str) -> None:
    for folder in ("a", "b"):
        (source / folder).mkdir()
    pair = circle.split(" ")
    for link, goal in [(pair[0], pair[1])] if len(pair) == 2 else [("a/b", "../b"), ("b/a", "../a")]:
        (source / link).symlink_to(goal)
    check(source, tmp_path / "out")
    (source / "dev.json").unlink()
    assert "holds no folder with both" in refused(source, tmp_path / "other")


@pytest.mark.parametrize("name", ["database", "database/one", "database/one/one.sqlite", "dev.json", "tables.json"])
@pytest.mark.parametrize("goal", ["nowhere", "self"])
def test_a_link_that_leads_nowhere_is_named(source: Path, tmp_path: Path, name: str, goal: str) -> None:
    path = source / name
    moved(path, tmp_path / "gone")
    path.unlink()
    path.symlink_to(path.name if goal == "self" else goal)
    line = refused(source, tmp_path / "out")
    assert f"{path} is a link to {path.readlink()}, which does not exist" in line


def test_the_folder_of_the_dataset_is_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/spider_data").symlink_to("/not/there")
    line = refused(tmp_path / "source", tmp_path / "out")
    assert "holds no folder with both dev.json and tables.json" in line
    assert "spider_data is a link to /not/there, which does not exist" in line


def inputs(source: Path) -> list[str]:
    found = source_files(source, questions_file="dev.json", dataset_format=SPIDER)
    return [Path(file).relative_to(source).as_posix() for file in found]


@pytest.mark.parametrize("way", ["folder", "link"])
def test_what_a_run_writes_is_no_part_of_its_dataset(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Even where the dataset's own files lie deeper, or a folder of it leads there."""
    monkeypatch.chdir(source)
    given = Path()
    if way == "link":
        (tmp_path / "link").symlink_to(source)
        given = tmp_path / "link"
    before = inputs(given)
    stage_dataset(given, Path("results/data/mini"))
    shutil.copy("dev.json", "results/data/mini/dev.json")
    assert inputs(given) == before
    check(given, Path("results/data/mini"))
    (source / "a/b/c/d").mkdir(parents=True)
    for name in ("dev.json", "tables.json", "database"):
        shutil.move(source / name, source / "a/b/c/d" / name)
    for folder in WRITTEN:
        shutil.copytree(source / "a/b/c/d", source / folder / "copy", dirs_exist_ok=True)
    assert inputs(given) == [f"a/b/c/d/{name}" for name in before]
    shutil.rmtree(source / "a/b/c/d/database")
    (source / "a/b/c/d/database").symlink_to(source / "results/copy/database")
    with pytest.raises(DataError, match="a/b/c/d/database is a folder that the run writes"):
        stage_dataset(given, Path("results/data/mini"))


@pytest.mark.parametrize("as_zip", [False, True])
def test_the_test_split(source: Path, tmp_path: Path, as_zip: bool) -> None:
    """Spider's own has other names beside the development set's."""
    (source / "test.json").write_text('[{"db_id": "three"}]')
    (source / "test_tables.json").write_text('["of the test split"]')
    make_database(source / "test_database/three/three.sqlite")
    given = zipped(source, tmp_path / "s.zip", inside="spider_data/") if as_zip else source
    split = SPIDER.with_files("test_tables.json", "test_database/")
    assert stage_dataset(given, tmp_path / "out", questions_file="test.json", dataset_format=split) == ["three"]
    assert staged(tmp_path / "out") == ["database/three/three.sqlite", "questions.json", "tables.json"]
    assert (tmp_path / "out/tables.json").read_text() == '["of the test split"]'
    check(given, tmp_path / "dev")


def test_a_split_in_a_folder_of_its_own_with_databases_outside_it(source: Path, tmp_path: Path) -> None:
    (source / "test_data").mkdir()
    for name in ("dev.json", "tables.json"):
        shutil.move(source / name, source / "test_data" / name)
    shutil.move(source / "database", source / "test_database")
    split = SPIDER.with_files("test_data/tables.json", "test_database")
    assert stage_dataset(source, tmp_path / "out", questions_file="test_data/dev.json", dataset_format=split)
    assert staged(tmp_path / "out") == WHOLE


def test_the_archive_of_another_splits_databases_has_the_name_of_their_folder() -> None:
    assert BIRD.with_files("", "test_databases").databases_archive == "test_databases.zip"
    assert BIRD.with_files("test_tables.json").databases_archive == "dev_databases.zip"
    assert SPIDER.with_files() == SPIDER


@pytest.mark.parametrize("as_zip", [False, True])
def test_databases_of_a_pool_are_taken_where_the_source_has_them(source: Path, tmp_path: Path, as_zip: bool) -> None:
    """The questions need not use them; what is missing is left to whoever needs it."""
    given = zipped(source, tmp_path / "s.zip") if as_zip else source
    pool = ["unused", "one", "elsewhere", "..", "", "a/b"]
    assert stage_dataset(given, tmp_path / "out", pool_databases=pool) == ["one", "two", "unused"]
    assert staged(tmp_path / "out") == sorted([*WHOLE, "database/unused/unused.sqlite"])


def test_the_embedded_benchmark(tmp_path: Path) -> None:
    names = stage_dataset(ROOT / "resources" / "mini_spider", tmp_path / "out")
    assert len(names) == 6
    assert staged(tmp_path / "out") == sorted(
        [f"database/{name}/{name}.sqlite" for name in names] + ["questions.json", "tables.json"]
    )


def test_staging_again_replaces_all(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    stage_dataset(source, target)
    (target / "stale").write_text("")
    check(source, target)


def refused(source: Path, target: Path) -> str:
    """The one line that staging ends with; what was there before is untouched."""
    target.mkdir()
    (target / "old").write_text("kept")
    with pytest.raises(DataError) as error:
        stage_dataset(source, target)
    assert "\n" not in str(error.value)
    assert str(source) in str(error.value)
    assert f".{target.name}." not in str(error.value), "the user knows nothing of the copies"
    assert staged(target) == ["old"]
    assert [path.name for path in target.parent.iterdir() if path.name.startswith(".")] == []
    return str(error.value)


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("dev.json", "holds no folder with both dev.json and tables.json (or database/); is it Spider?"),
        ("database/two/two.sqlite", "database/two/two.sqlite is missing; the questions of 'two' need it"),
    ],
)
def test_missing_parts(source: Path, tmp_path: Path, missing: str, message: str, as_zip: bool) -> None:
    (source / missing).unlink()
    assert message in refused(zipped(source, tmp_path / "s.zip") if as_zip else source, tmp_path / "out")


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("made_of", ["files", "SQL text"])
def test_schemas_that_are_missing_are_read_from_the_databases(
    source: Path, tmp_path: Path, as_zip: bool, made_of: str
) -> None:
    sql = """
    CREATE TABLE "Order" (Id INTEGER PRIMARY KEY, "Placed On" DATE, paid BOOL);
    CREATE TABLE line_item (
      Order_ID INT REFERENCES "Order" ON DELETE CASCADE, item VARCHAR(9), price DECIMAL(9, 2), note,
      PRIMARY KEY (Order_ID, item), FOREIGN KEY (ITEM) REFERENCES Item (name), FOREIGN KEY (note) REFERENCES gone (x)
    );
    CREATE TABLE item (name TEXT, seen DATETIME, twice INT GENERATED ALWAYS AS (1));
    CREATE VIEW paid AS SELECT Id FROM "Order" WHERE paid;
    CREATE VIEW broken AS SELECT x FROM nowhere;
    INSERT INTO item (name) VALUES ('a');
    """
    (source / "database/two/two.sqlite").unlink()
    if made_of == "files":
        with closing(sqlite3.connect(source / "database/two/two.sqlite")) as connection:
            connection.executescript(sql)
    else:
        (source / "database/two/two.sql").write_text(sql)
    (source / "tables.json").unlink()
    given = zipped(source, tmp_path / "s.zip", inside="own/") if as_zip else source
    assert stage_dataset(given, tmp_path / "out") == ["one", "two"]
    assert staged(tmp_path / "out") == WHOLE
    one, two = json.loads((tmp_path / "out/tables.json").read_text())
    assert (one["db_id"], one["table_names_original"], one["column_types"]) == ("one", ["t"], ["text", "text"])
    assert two == {
        "db_id": "two",
        "table_names": ["order", "line item", "item", "paid"],
        "table_names_original": ["Order", "line_item", "item", "paid"],
        "column_names": [
            *([-1, "*"], [0, "id"], [0, "placed on"], [0, "paid"]),
            *(
                [1, "order id"],
                [1, "item"],
                [1, "price"],
                [1, "note"],
                [2, "name"],
                [2, "seen"],
                [2, "twice"],
                [3, "id"],
            ),
        ],
        "column_names_original": [
            *([-1, "*"], [0, "Id"], [0, "Placed On"], [0, "paid"]),
            *(
                [1, "Order_ID"],
                [1, "item"],
                [1, "price"],
                [1, "note"],
                [2, "name"],
                [2, "seen"],
                [2, "twice"],
                [3, "Id"],
            ),
        ],
        "column_types": [
            *("text", "number", "time", "boolean", "number", "text", "number", "others"),
            *("text", "time", "number", "number"),
        ],
        "primary_keys": [1, [4, 5]],
        "foreign_keys": [[4, 1], [5, 8]],
    }


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("schemas", [False, True])
def test_a_pool_alone_needs_no_questions(source: Path, tmp_path: Path, as_zip: bool, schemas: bool) -> None:
    (source / "dev.json").unlink()
    if not schemas:
        (source / "tables.json").unlink()
    given = zipped(source, tmp_path / "s.zip", inside="own/") if as_zip else source
    assert stage_dataset(given, tmp_path / "out", pool_databases=["two", "elsewhere"]) == ["two"]
    assert json.loads((tmp_path / "out/questions.json").read_text()) == []
    entries = json.loads((tmp_path / "out/tables.json").read_text())
    assert [entry["db_id"] for entry in entries] == ([] if schemas else ["two"])
    if not as_zip:
        files = source_files(given, questions_file="dev.json", dataset_format=SPIDER)
        assert str(source / "database/two/two.sqlite") in files
        assert (str(source / "tables.json") in files) == schemas


def test_a_damaged_database_without_schemas_is_named_as_the_user_knows_it(source: Path, tmp_path: Path) -> None:
    (source / "tables.json").unlink()
    (source / "database/two/two.sqlite").write_bytes(b"no database" * 99)
    assert f"{source}: database/two/two.sqlite: file is not a database" in refused(source, tmp_path / "out")


def test_a_source_that_does_not_exist(tmp_path: Path) -> None:
    assert "does not exist; name the folder or zip archive" in refused(tmp_path / "none", tmp_path / "out")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_archive(source: Path, tmp_path: Path, keep: float) -> None:
    archive = zipped(source, tmp_path / "s.zip")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])
    assert "not a zip archive, or a truncated one" in refused(archive, tmp_path / "out")


def test_a_file_that_is_no_archive(source: Path, tmp_path: Path) -> None:
    assert "not a zip archive" in refused(source / "dev.json", tmp_path / "out")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_an_archive_damaged_inside(source: Path, tmp_path: Path, compression: int, place: float) -> None:
    archive, name = tmp_path / "s.zip", "database/two/two.sqlite"
    with zipfile.ZipFile(archive, "w", compression) as out:
        for path in staged(source):
            out.write(source / path, path)
        info = out.getinfo(name)
    content = bytearray(archive.read_bytes())
    start = info.header_offset + 30 + len(name)
    at = start + int(place * info.compress_size)
    content[at : at + 4] = bytes(byte ^ 0xFF for byte in content[at : at + 4])
    archive.write_bytes(content)
    assert name in refused(archive, tmp_path / "out")


def test_an_archive_with_a_password(source: Path, tmp_path: Path) -> None:
    archive = zipped(source, tmp_path / "s.zip")
    content = bytearray(archive.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            content[at + flags] |= 1
    archive.write_bytes(content)
    assert "password" in refused(archive, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "dev.json: not a list of questions"),
        (b"[]", "dev.json: not a list of questions"),
        (b'[{"db_id": "one"}, 3]', "dev.json: not a list of questions"),
        (b'[{"question": "?"}]', "with the field db_id"),
        (b"[", "dev.json: not JSON"),
        (b'["\xff"]', "dev.json: not UTF-8"),
        (b'[{"db_id": "../one"}]', "'../one' is no name of a database folder"),
        (b'[{"db_id": ".."}]', "'..' is no name"),
        (b'[{"db_id": ""}]', "'' is no name"),
    ],
)
def test_a_damaged_question_file(source: Path, tmp_path: Path, content: bytes, message: str) -> None:
    (source / "dev.json").write_bytes(content)
    assert message in refused(source, tmp_path / "out")


@pytest.mark.parametrize(("sql", "message"), [(b"CREATE TABEL", "does not run"), (b"-- \xff", "not UTF-8")])
def test_damaged_sql_text_is_named_as_the_user_knows_it(source: Path, tmp_path: Path, sql: bytes, message: str) -> None:
    (source / "database/two/two.sqlite").unlink()
    (source / "database/two/two.sql").write_bytes(sql)
    text = refused(source, tmp_path / "out")
    assert f"{source}: database/two/two.sql: {message}" in text


CONTENT = bytes(range(256)) * 5000
WANTED = hashlib.sha256(CONTENT).hexdigest()


class Mirror(BaseHTTPRequestHandler):
    """Gives the right bytes, wrong ones, fewer than it says, or none."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/gone":
            self.send_error(404)
            return
        if self.path == "/nonsense":
            self.wfile.write(b"what?\r\n\r\n")
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write({"/wrong": CONTENT[::-1], "/short": CONTENT[:1000]}.get(self.path, CONTENT))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(target: Path, *mirrors: str, sha256: str = WANTED) -> None:
    download(mirrors, target, sha256=sha256)


def address(server: ThreadingHTTPServer, path: str) -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_download(mirror: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(downloads._ProgressLines, "update", lambda bar, size: seen.append((size, bar.total)))
    target = tmp_path / "deep" / "spider.zip"
    fetch(target, address(mirror, "/good"), address(mirror, "/good"))
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o777 == 0o644
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert mirror.asked == ["/good"]  # type: ignore[attr-defined]
    fetch(tmp_path / "other.zip", address(mirror, "/unsized"))
    assert (tmp_path / "other.zip").read_bytes() == CONTENT
    assert seen[-2:] == [(downloads.CHUNK, 0), (0, 0)]


@pytest.mark.parametrize("bad", ["/gone", "/wrong", "/short", "/nonsense", "/with space", None])
def test_a_good_mirror_after_a_bad_one(mirror: ThreadingHTTPServer, tmp_path: Path, bad: str | None) -> None:
    first = address(mirror, bad) if bad else "no address"
    target = tmp_path / "spider.zip"
    fetch(target, first, address(mirror, "/good"))
    assert target.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["spider.zip"]


def no_download(target: Path, *mirrors: str, sha256: str = WANTED) -> str:
    with pytest.raises(DataError) as error:
        fetch(target, *mirrors, sha256=sha256)
    assert "\n" not in str(error.value)
    assert list(target.parent.iterdir()) == []
    return str(error.value)


def test_no_mirror_gives_the_file(mirror: ThreadingHTTPServer, tmp_path: Path) -> None:
    wrong, gone = address(mirror, "/wrong"), address(mirror, "/gone")
    message = no_download(tmp_path / "spider.zip", wrong, gone)
    assert f"{wrong}: SHA256 hash of downloaded file (spider.zip) does not match" in message
    assert f"expected {WANTED} but got {hashlib.sha256(CONTENT[::-1]).hexdigest()}" in message
    assert f"{gone}: 404 Client Error: Not Found" in message
    assert f"Download it by hand from {wrong}" in message
    assert "set dataset.source in the configuration" in message


def test_no_mirror_can_be_reached(tmp_path: Path) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    closed.server_close()
    message = no_download(tmp_path / "spider.zip", address(closed, "/good"), "file:///no/such/spider.zip")
    assert f"{address(closed, '/good')}: [Errno 111] Connection refused; file:///no/such/spider.zip: " in message
    assert "set dataset.source" in message


def test_no_mirror_is_configured(tmp_path: Path) -> None:
    message = no_download(tmp_path / "spider.zip")
    assert "no mirror is configured" in message
    assert "set dataset.source" in message


def test_a_checksum_is_needed(mirror: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert "dataset.sha256 is empty" in no_download(tmp_path / "s.zip", address(mirror, "/good"), sha256="")
    assert mirror.asked == []  # type: ignore[attr-defined]


def test_an_interrupted_download_leaves_nothing(
    mirror: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Any, size: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads._ProgressLines, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path / "s.zip", address(mirror, "/good"))
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    sized, unsized = downloads._ProgressLines(), downloads._ProgressLines()
    sized.total = 40 * downloads.CHUNK
    caplog.set_level("INFO")
    for _ in range(80):
        sized.update(downloads.CHUNK // 2)
    assert caplog.messages == ["downloaded 16 of 40 MiB", "downloaded 32 of 40 MiB"]
    unsized.update(16 * downloads.CHUNK)
    assert caplog.messages[2:] == ["downloaded 16 MiB"]


def test_what_downloads_is_imported_for_a_download_alone() -> None:
    code = "import sys, sqljudge.data.download; print([name for name in ('pooch', 'requests') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "workflow"
    )
    assert done.stdout == "[]\n"


HOW = {"training_file": "train.json", "questions_file": "dev.json"}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_training_questions_lie_beside_the_questions(source: Path, tmp_path: Path, packed: bool) -> None:
    (source / "train.json").write_text("[1]")
    (source / "other").mkdir()
    (source / "other" / "train.json").write_text("[2]")
    given = zipped(source, tmp_path / "s.zip", inside="spider_data/") if packed else source
    stage_training(given, tmp_path / "out" / "t.json", **HOW)
    assert (tmp_path / "out" / "t.json").read_text() == "[1]"


def test_a_dataset_without_training_questions(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        stage_training(source, tmp_path / "t.json", **HOW)
    assert str(error.value).startswith(f"{source}: holds no train.json, which demonstrations come from; name")
    assert not (tmp_path / "t.json").exists()
    with pytest.raises(DataError, match=r"holds no spider_data/train\.json"):
        stage_training(zipped(source, tmp_path / "s.zip", inside="spider_data/"), tmp_path / "t.json", **HOW)


def test_a_job_stages_into_the_folder_of_its_outputs(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The files of the source are its inputs, so that a change of one of them is noticed."""
    (source / "train.json").write_text("[1]")
    files, out = [str(path) for path in source.glob("*.json")], tmp_path / "out"
    given = {"files": files, "source": str(source), "questions_file": "dev.json", "dataset_format": "spider"}
    given |= {"tables_file": "tables.json"}
    made = {"questions": "questions.json", "tables": "tables.json", "databases": "database"}
    with caplog.at_level("INFO"):
        targets = {name: str(out / file) for name, file in made.items()}
        write_dataset(**given, **targets, databases_folder="database", pool_databases=[])
    assert staged(out) == WHOLE
    assert caplog.messages == [f"staged 2 databases from {source}"]
    write_training(**given, training=str(tmp_path / "t.json"), training_file="train.json")
    assert (tmp_path / "t.json").read_text() == "[1]"

"""The embedded benchmark keeps its promises: its labels and hardness are computed here, not believed."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from nltk.tokenize import NLTKWordTokenizer
from sqljudge.core.records import HARDNESS
from sqljudge.sql.databases import build_database
from sqljudge.sql.official.hardness import hardness
from sqljudge.sql.official.schema import load_schemas
from sqljudge.sql.sandbox import MatchJob, Sandbox
from sqljudge.sql.text import normalize_sql

HERE = Path(__file__).parents[2] / "resources" / "mini_spider"
DB_IDS = ("public_library", "alpine_huts", "tram_network", "film_festival", "observatory", "coffee_trade")
MAIN_TABLES = {
    "public_library": ("author", "book", "member", "loan"),
    "alpine_huts": ("hut", "warden", "trail", "booking"),
    "tram_network": ("stop", "line_stop", "vehicle", "incident"),
    "film_festival": ("director", "film", "screening", "award"),
    "observatory": ("observer", "target", "observation"),
    "coffee_trade": ("farm", "lot", "contract"),
}
NOT_EXECUTABLE = {
    "unknown_column": "no such column",
    "unknown_table": "no such table",
    "syntax_error": r"syntax error|incomplete input",
    "ambiguous_column": "ambiguous column name",
    "misused_aggregate": "misuse of aggregate",
}
EXECUTABLE_WRONG = {
    "wrong_aggregate", "missing_join_condition", "wrong_column", "wrong_filter", "wrong_order", "wrong_limit",
    "wrong_grouping", "wrong_join", "wrong_set_operation", "null_trap", "text_trap", "missing_column", "extra_column",
}  # fmt: skip
QUIRKS = [
    ("public_library", "duplicate names", "SELECT 1 FROM member GROUP BY first_name, last_name HAVING count(*) > 1"),
    ("public_library", "NULL dates", "SELECT 1 FROM loan WHERE returned_on IS NULL"),
    ("public_library", "codes with leading zeros", "SELECT 1 FROM member WHERE card_number LIKE '0%'"),
    ("public_library", "apostrophes", "SELECT 1 FROM book WHERE title LIKE '%''%'"),
    ("public_library", "ties", "SELECT 1 FROM book GROUP BY pages HAVING pages IS NOT NULL AND count(*) > 1"),
    ("alpine_huts", "NULL foreign keys", "SELECT 1 FROM trail WHERE from_hut_id IS NULL"),
    ("alpine_huts", "ties", "SELECT 1 FROM warden GROUP BY since_year HAVING count(*) > 1 AND since_year = 2024"),
    ("alpine_huts", "duplicate names", "SELECT 1 FROM warden GROUP BY first_name, last_name HAVING count(*) > 1"),
    ("tram_network", "numbers as text", "SELECT 1 FROM vehicle WHERE typeof(seats) = 'text' AND seats + 0 > 0"),
    ("tram_network", "duplicate names", "SELECT 1 FROM stop GROUP BY name HAVING count(*) > 1"),
    ("tram_network", "codes that are mostly numbers", "SELECT 1 FROM line WHERE line_code GLOB '[A-Z]*'"),
    ("film_festival", "dates that do not sort", "SELECT 1 FROM screening WHERE screening_date LIKE '__.__.____'"),
    ("film_festival", "duplicate titles", "SELECT 1 FROM film GROUP BY title HAVING count(*) > 1"),
    ("film_festival", "numbers as text", "SELECT 1 FROM venue WHERE typeof(seats) = 'text' AND seats + 0 > 0"),
    ("observatory", "NULL measurements", "SELECT 1 FROM observation WHERE seeing IS NULL"),
    ("observatory", "ties", "SELECT 1 FROM target GROUP BY magnitude HAVING magnitude IS NOT NULL AND count(*) > 1"),
    ("coffee_trade", "NULL scores", "SELECT 1 FROM lot WHERE score IS NULL"),
    ("coffee_trade", "duplicate names", "SELECT 1 FROM farm GROUP BY name HAVING count(*) > 1"),
]


def read(name: str) -> Any:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


DEV: list[dict[str, Any]] = read("dev.json")
TRAIN: list[dict[str, Any]] = read("train.json")
POOL: list[dict[str, Any]] = read("pool.json")
KINDS: list[list[str]] = read("pool_kinds.json")
TABLES: dict[str, dict[str, Any]] = {entry["db_id"]: entry for entry in read("tables.json")}
POSITIONS = range(len(POOL))


def kind_of(note: str) -> str:
    return note.partition(":")[0]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("databases")
    for db_id in DB_IDS:
        build_database(HERE / "database" / db_id / f"{db_id}.sql", folder / db_id / f"{db_id}.sqlite")
    return folder


@pytest.fixture(scope="module")
def connections(databases: Path) -> Iterator[dict[str, sqlite3.Connection]]:
    opened = {db_id: sqlite3.connect(databases / db_id / f"{db_id}.sqlite") for db_id in DB_IDS}
    yield opened
    for connection in opened.values():
        connection.close()


# --- the databases ----------------------------------------------------------------------------------------------------


def test_every_database_is_described_and_every_description_has_one() -> None:
    assert tuple(TABLES) == DB_IDS
    assert sorted(path.stem for path in (HERE / "database").glob("*/*.sql")) == sorted(DB_IDS)


@pytest.mark.parametrize("db_id", DB_IDS)
def test_tables_and_rows_are_as_many_as_promised(connections: dict[str, sqlite3.Connection], db_id: str) -> None:
    assert 3 <= len(TABLES[db_id]["table_names"]) <= 6
    for table in MAIN_TABLES[db_id]:
        (rows,) = connections[db_id].execute(f"SELECT count(*) FROM {table}").fetchone()
        assert 10 <= rows <= 60, table


@pytest.mark.parametrize("db_id", DB_IDS)
def test_foreign_keys_exist_and_hold(connections: dict[str, sqlite3.Connection], db_id: str) -> None:
    assert TABLES[db_id]["foreign_keys"]
    assert connections[db_id].execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.parametrize("db_id", DB_IDS)
def test_tables_json_agrees_with_the_database(connections: dict[str, sqlite3.Connection], db_id: str) -> None:
    entry, connection = TABLES[db_id], connections[db_id]
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert entry["table_names_original"] == tables
    assert entry["table_names"] == [name.replace("_", " ") for name in tables]
    info = [(at, row) for at, table in enumerate(tables) for row in connection.execute(f"PRAGMA table_info({table})")]
    assert entry["column_names_original"] == [[-1, "*"]] + [[at, row[1]] for at, row in info]
    assert entry["column_names"] == [[at, name.replace("_", " ")] for at, name in entry["column_names_original"]]
    numbers = [row[2] in ("INTEGER", "REAL") for _, row in info]
    assert [kind == "number" for kind in entry["column_types"]] == [False, *numbers]
    assert set(entry["column_types"]) <= {"text", "number", "time"}
    assert entry["primary_keys"] == [at for at, (_, row) in enumerate(info, 1) if row[5]]
    place = {(tables[at], row[1]): number for number, (at, row) in enumerate(info, 1)}
    keys = [
        [place[table, row[3]], place[row[2], row[4]]]
        for table in tables
        for row in connection.execute(f"PRAGMA foreign_key_list({table})")
    ]
    assert sorted(entry["foreign_keys"]) == sorted(keys)


@pytest.mark.parametrize(("db_id", "what", "sql"), QUIRKS, ids=[f"{db_id}: {what}" for db_id, what, _ in QUIRKS])
def test_the_quirks_of_real_data_are_there(
    connections: dict[str, sqlite3.Connection], db_id: str, what: str, sql: str
) -> None:
    assert connections[db_id].execute(sql).fetchone(), what


@pytest.mark.parametrize("db_id", DB_IDS)
def test_letters_beyond_ascii_are_in_every_database(connections: dict[str, sqlite3.Connection], db_id: str) -> None:
    dump = "\n".join(line for line in connections[db_id].iterdump() if line.startswith("INSERT"))
    assert len(set(re.findall(r"[^\x00-\x7f]", dump))) >= 5


# --- the questions ----------------------------------------------------------------------------------------------------


def test_there_are_fifteen_questions_of_each_hardness_and_ten_of_each_database() -> None:
    schemas = load_schemas(HERE / "tables.json")
    levels = Counter(hardness(row["query"], schemas[row["db_id"]]) for row in DEV)
    assert levels == dict.fromkeys(HARDNESS, 15)
    assert Counter(row["db_id"] for row in DEV) == dict.fromkeys(DB_IDS, 10)
    assert len({row["question"] for row in DEV}) == 60


def without_values(query: str) -> list[str]:
    text = re.sub(r"'[^']*'|(?<![\w.])\d+(\.\d+)?(?![\w.])", " value ", query)
    return [part for token in NLTKWordTokenizer().tokenize(text.lower()) for part in token.replace(".", " . ").split()]


@pytest.mark.parametrize("row", [*DEV, *TRAIN], ids=lambda row: row["question"])
def test_tokens_belong_to_their_text(row: dict[str, Any]) -> None:
    split = NLTKWordTokenizer().tokenize
    fields = ["db_id", "question", "question_toks", "query", "query_toks", "query_toks_no_value"]
    assert list(row) == fields
    assert row["question_toks"] == split(row["question"])
    assert row["query_toks"] == split(row["query"])
    assert row["query_toks_no_value"] == without_values(row["query"])


@pytest.mark.parametrize("row", [*DEV, *TRAIN], ids=lambda row: row["question"])
def test_gold_returns_rows_with_something_in_them(
    connections: dict[str, sqlite3.Connection], row: dict[str, Any]
) -> None:
    rows = connections[row["db_id"]].execute(row["query"]).fetchall()
    assert any(cell is not None and cell != 0 for row in rows for cell in row)


def test_no_training_question_is_an_evaluated_one() -> None:
    schemas = load_schemas(HERE / "tables.json")
    assert len(TRAIN) >= 24
    assert min(Counter(row["db_id"] for row in TRAIN).values()) >= 4
    assert len({row["question"].casefold() for row in [*DEV, *TRAIN]}) == len(DEV) + len(TRAIN)
    known = {(row["db_id"], normalize_sql(sql)) for row in POOL for sql in (row["sql"], *row["top_n"])}
    for row in TRAIN:
        assert (row["db_id"], normalize_sql(row["query"])) not in known, row["question"]
        assert hardness(row["query"], schemas[row["db_id"]]) in HARDNESS


def test_no_two_training_queries_of_a_database_give_one_result(connections: dict[str, sqlite3.Connection]) -> None:
    """So another question's query is a wrong answer, as demonstrations have it."""
    results = [(row["db_id"], str(connections[row["db_id"]].execute(row["query"]).fetchall())) for row in TRAIN]
    assert len(set(results)) == len(TRAIN)


# --- the pool ---------------------------------------------------------------------------------------------------------


def test_the_pool_has_the_questions_in_their_order() -> None:
    assert [(row["db_id"], row["question"], row["sql"]) for row in POOL] == [
        (row["db_id"], row["question"], row["query"]) for row in DEV
    ]


@pytest.mark.parametrize("at", POSITIONS)
def test_pool_rows_have_their_form(at: int) -> None:
    row, entry = POOL[at], TABLES[POOL[at]["db_id"]]
    assert list(row) == ["db_id", "schema", "question", "sql", "top_n", "top_n_label"]
    assert 3 <= len(row["top_n"]) <= 5
    assert len(row["top_n"]) == len(row["top_n_label"]) == len(KINDS[at])
    assert len({normalize_sql(sql) for sql in [row["sql"], *row["top_n"]]}) == len(row["top_n"]) + 1
    lines = [
        f"-- Table {table}: " + ", ".join(name for owner, name in entry["column_names_original"] if owner == number)
        for number, table in enumerate(entry["table_names_original"])
    ]
    assert row["schema"].split("\n") == lines


def test_nearly_every_question_has_a_right_and_a_wrong_candidate_in_varied_places() -> None:
    labels = [row["top_n_label"] for row in POOL]
    mixed = sum(set(row) == {0, 1} for row in labels)
    assert 54 <= mixed < 60
    assert any(set(row) == {0} for row in labels)
    assert any(set(row) == {1} for row in labels)
    first = Counter(row.index(1) for row in labels if 1 in row)
    assert all(first[place] >= 5 for place in range(4))


def test_every_kind_of_mistake_is_there() -> None:
    kinds = {kind_of(note) for notes in KINDS for note in notes}
    assert kinds == {"correct", *EXECUTABLE_WRONG, *NOT_EXECUTABLE}


def test_no_query_leans_on_what_the_evaluator_takes_away() -> None:
    queries = [sql for row in POOL for sql in (row["sql"], *row["top_n"])]
    assert not [sql for sql in queries if re.search(r"\bdistinct\b|curdate|[!<>] =", sql, re.IGNORECASE)]


Rows = list[tuple[Any, ...]]


def same_result(gold: Rows, other: Rows, in_order: bool) -> bool:
    """The evaluator's rule written as plainly as can be, apart from the library's own comparison."""
    if len(gold) != len(other) or len(gold[0]) != len(other[0]):
        return False
    collect = list if in_order else Counter
    columns = permutations(range(len(gold[0])))
    return any(collect(gold) == collect([tuple(row[at] for at in order) for row in other]) for order in columns)


@pytest.mark.parametrize("reverse", [False, True], ids=["rows as SQLite gives them", "unordered rows reversed"])
@pytest.mark.parametrize("at", POSITIONS)
def test_labels_are_what_execution_gives(databases: Path, at: int, reverse: bool) -> None:
    row = POOL[at]
    with closing(sqlite3.connect(databases / row["db_id"] / f"{row['db_id']}.sqlite")) as connection:
        connection.execute(f"PRAGMA reverse_unordered_selects = {reverse:d}")
        gold = connection.execute(row["sql"]).fetchall()
        for sql, label, note in zip(row["top_n"], row["top_n_label"], KINDS[at], strict=True):
            assert label == (kind_of(note) == "correct"), note
            if kind_of(note) in NOT_EXECUTABLE:
                with pytest.raises(sqlite3.Error, match=NOT_EXECUTABLE[kind_of(note)]):
                    connection.execute(sql)
                continue
            for text in (sql, normalize_sql(sql)):
                other = connection.execute(text).fetchall()
                assert label == same_result(gold, other, "order by" in row["sql"].lower()), text


@pytest.mark.parametrize("form", [str, normalize_sql], ids=["as written", "normalised"])
def test_the_library_finds_the_same_labels(databases: Path, form: Callable[[str], str]) -> None:
    jobs = [
        MatchJob((databases / row["db_id"] / f"{row['db_id']}.sqlite",), row["sql"], form(sql))
        for row in POOL
        for sql in row["top_n"]
    ]
    with Sandbox() as sandbox:
        found = [match.correct for match in sandbox.match(jobs)]
    assert found == [bool(label) for row in POOL for label in row["top_n_label"]]

"""Tokens, schemas, the clause parser and the hardness classes."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path

import pytest
from clock import linear
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.core.errors import DataError, UnreadableSql
from sqljudge.sql.official.hardness import hardness
from sqljudge.sql.official.parse import Query, parse
from sqljudge.sql.official.schema import Schema, load_schemas
from sqljudge.sql.official.tokens import split_words, tokenize

SHARED = Path(__file__).parents[3] / "shared"

SCHEMA = Schema.from_tables_json(
    {
        "db_id": "zoo",
        "table_names_original": ["Keeper", "Animal", "Feeds"],
        "column_names_original": [
            [-1, "*"], [0, "Id"], [0, "Name"], [1, "Id"], [1, "Name"], [1, "Age"], [2, "KeeperId"], [2, "AnimalId"],
        ],
        "foreign_keys": [[6, 1], [7, 3]],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "tokens"),
    [
        ("SELECT count(*) FROM T", ["select", "count", "(", "*", ")", "from", "t"]),
        ("a.b , c,d", ["a.b", ",", "c", ",", "d"]),
        ("x,5", ["x,5"]),
        ("x = 'It is'", ["x", "=", '"It is"']),
        ('x="a"', ["x=__val_2_4__"]),
        ("x ! = 1 and y > = 2 and z <= 3", ["x", "!=", "1", "and", "y", ">=", "2", "and", "z", "<=", "3"]),
        ("x;", ["x", ";"]),
        ("`a`.b", ["`", "a", "`", ".b"]),
        ("cannot", ["can", "not"]),
    ],
)
def test_tokens(sql: str, tokens: list[str]) -> None:
    assert tokenize(sql) == tokens


def test_odd_quotes_are_unreadable() -> None:
    with pytest.raises(UnreadableSql, match="odd number of quotes"):
        tokenize("select 'a")


_WORDS = st.lists(
    st.sampled_from([*"`.,:;!?*()<>=[]{}-–»”’«“‘„ \n\t1aT_%$#@&/|+~^", "..", "cannot", "Gotta", "wanna", "--", "t.x"])
).map("".join)


@pytest.fixture(scope="module")
def reference():  # type: ignore[no-untyped-def]
    return pytest.importorskip("nltk.tokenize").NLTKWordTokenizer()


@settings(max_examples=2000)
@given(text=_WORDS)
def test_words_are_those_of_nltk(reference, text: str) -> None:  # type: ignore[no-untyped-def]
    assert split_words(text) == reference.tokenize(text)


def test_keys_stand_for_each_other() -> None:
    assert SCHEMA.key_names == {
        "keeper.id": "keeper.id",
        "feeds.keeperid": "keeper.id",
        "animal.id": "animal.id",
        "feeds.animalid": "animal.id",
    }


@pytest.mark.parametrize(
    "entry", [{}, {"db_id": "x", "table_names_original": ["t"]}, {"db_id": "x", "foreign_keys": 3}]
)
def test_bad_schema_is_a_data_error(entry: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"tables.json, entry"):
        Schema.from_tables_json(entry)


def test_load_schemas_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text("{}")
    with pytest.raises(DataError, match=r"tables\.json: not a Spider tables\.json"):
        load_schemas(tmp_path / "tables.json")


def test_clauses_of_a_full_query() -> None:
    query = parse(
        "SELECT T1.Name, count(DISTINCT T2.AnimalId) FROM Keeper AS T1 JOIN Feeds AS T2 ON T1.Id = T2.KeeperId "
        "WHERE T1.Id > 3 AND T1.Name LIKE '%a' GROUP BY T1.Id HAVING count(*) >= 2 ORDER BY max(T1.Id) DESC LIMIT 3 "
        "UNION SELECT name FROM animal",
        SCHEMA,
    )
    assert [(item.aggregate, item.unit.left) for item in query.items] == [
        ("none", ("none", "keeper.name", False)),
        ("count", ("none", "feeds.animalid", True)),
    ]
    assert query.tables == ("keeper", "feeds")
    assert [c.operator for c in query.conditions()] == ["=", ">", "like", ">="]
    assert query.connectives() == ["and"]
    assert query.group_by == (("none", "keeper.id", False),)
    assert query.order_by is not None and query.order_by.direction == "desc"
    assert query.limit
    assert (query.set_operator, query.right) == ("union", parse("select name from animal", SCHEMA))


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "select",
        "select name",
        "select name from nowhere",
        "select nothing from keeper",
        "select * from keeper, animal",
        "select t.name from keeper t",
        "select name from keeper as animal",
        "select a.b.c from keeper",
        "select name from keeper where id <> 3",
        "select name from keeper where id is null",
        "select name from keeper where id in (1, 2)",
        "select name from keeper where (id = 1 or id = 2)",
        "select name from keeper left join animal on 1 = 1",
        "select name as n from keeper",
        "select name from keeper limit",
        "select name from keeper where id=1",
        "select name from keeper where id = 1 union all select name from animal",
        "select max(id from keeper",
        "select name from (select name from keeper) as t",
    ],
)
def test_unreadable(sql: str) -> None:
    with pytest.raises(UnreadableSql):
        parse(sql, SCHEMA)


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        ("select name age from animal", "select name, age from animal"),
        ("select name from animal ; limit 3", "select name from animal"),
        ("select name from animal limit nonsense", "select name from animal limit 1"),
        ("select * from keeper animal", "select * from keeper join animal"),
        ("SELECT (age - id) FROM animal", "select age - id from animal"),
        ("select name from animal where age > avg ( age )", None),
        ("select name from animal where age > id or nonsense", "select name from animal where age > id"),
    ],
)
def test_habits(odd: str, plain: str | None) -> None:
    if plain is None:
        with pytest.raises(UnreadableSql):
            parse(odd, SCHEMA)
    else:
        assert parse(odd, SCHEMA) == parse(plain, SCHEMA)


_SQL_WORDS = (
    *("select", "from", "where", "group", "by", "order", "having", "limit", "and", "union", "in", "as"),
    *("(", ")", ",", ";", "=", "*", "name", "animal", "t", "1", "'a'"),
)


@given(st.lists(st.sampled_from(_SQL_WORDS)))
def test_any_words_give_a_query_or_unreadable(words: list[str]) -> None:
    with contextlib.suppress(UnreadableSql):
        assert isinstance(parse(" ".join(words), SCHEMA), Query)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from keeper where id in " + "(select id from keeper where id in " * 5000 + ")" * 5000,
        "select * from " + "(" * 50_000,
        "select " + "name, " * 100_000 + "name from animal",
        "select * from animal where " + "age = 1 and " * 50_000 + "age = 1",
        "select * from animal union " * 5000 + "select * from animal",
        "select '" + " " * 300_000 + "' from animal." + " " * 300_000,
        "," * 200_000, "." * 200_000, ". " * 100_000, "\t" * 200_000 + "x", " \t" * 100_000 + "x",
    ],
)  # fmt: skip
def test_hostile_length_and_depth_are_quick(sql: str) -> None:
    with linear(), contextlib.suppress(UnreadableSql):
        parse(sql, SCHEMA)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select name from animal", "easy"),
        ("select name from animal where age > 3", "easy"),
        ("select name, age from animal where age > 3", "medium"),
        ("select name from animal order by age limit 1", "medium"),
        ("select max(age), min(age), name from animal where age > 1 and age < 5 group by name, id", "hard"),
        ("select name from animal where id not in (select animalid from feeds)", "hard"),
        ("select name, age from animal where id in (select animalid from feeds)", "extra"),
        ("select name from animal union select name from keeper", "hard"),
        (
            "select t1.name from animal as t1 join feeds as t2 on t1.id = t2.animalid group by t1.id order by t1.age",
            "hard",
        ),
    ],
)
def test_hardness(sql: str, expected: str) -> None:
    assert hardness(sql, SCHEMA) == expected


def test_hardness_of_an_unreadable_gold_is_one_clear_line() -> None:
    with pytest.raises(DataError, match=r"gold query on 'zoo' cannot be read .*'select x from y'") as caught:
        hardness("select x from y", SCHEMA)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the Spider dev set is not beside the repository")
def test_hardness_of_the_spider_dev_set() -> None:
    schemas = load_schemas(SHARED / "spider" / "tables.json")
    questions = json.loads((SHARED / "spider" / "dev.json").read_text(encoding="utf-8"))
    counts = Counter(hardness(q["query"], schemas[q["db_id"]]) for q in questions)
    assert counts == {"easy": 248, "medium": 446, "hard": 174, "extra": 166}

"""What a response repeats of its prompt is no answer; what it answers is read, before and after."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqljudge.core.records import EMPTY_SQL, Judgment
from sqljudge.stages.echoes import read_text
from sqljudge.stages.generate import extract_sql
from sqljudge.stages.score import Rules, read_verdict

FILES = sorted((Path(__file__).resolve().parents[2] / "config/prompts").glob("*.txt"))
PROMPTS = {path.stem: read_text(path) for path in FILES}
FILLED = {
    "question": "How many ships are there?",
    "schema": "-- Table ship: id, name",
    "db_id": "ships",
    "sql": "SELECT count(*) FROM ship;",
    "knowledge": "none",
    "result": "12",
    "demonstrations": "Utterance: x\nSQL: y\nAnswer: Yes",
    "answer": "Yes",
}
TRUE, FALSE = '{"correct": true}', '{"correct": false}'
BOTH = f"{TRUE} or {FALSE}"


def text_of(template: str) -> str:
    """A prompt as a model sees it."""
    return re.sub(r"\$\{(\w+)\}", lambda field: FILLED[field.group(1)], template)


def read(template: str, text: str, *, finish: str = "stop") -> bool | None:
    """The verdict of a response, a token a character."""
    ends, logprobs = tuple(range(1, len(text) + 1)), (0.0,) * len(text)
    judgment = Judgment(0, "SELECT", None, text, tuple(map(ord, text)), logprobs, ends, finish, len(text))
    return read_verdict(judgment, len(text), Rules(template=template)).value


def sentence(text: str, part: str) -> str:
    """The sentence of a prompt in which something stands."""
    start = text.rfind(". ", 0, text.index(part)) + 2
    return text[start : text.find(". ", text.rindex(part) + len(part)) + 1]


def asking(template: str) -> str:
    """A shipped prompt, with examples of the verdict where it only names the key."""
    return template.replace('the single key "correct".', f'the single key "correct", for example {BOTH}.')


def fencing(template: str) -> str:
    """A shipped prompt, with a fence where it asks for the query alone."""
    fence = "then give the query in a block that opens with ```sql and closes with ```. The query must"
    return template.replace("then give the query. It must", fence)


ASKING = {name: asking(text) for name, text in PROMPTS.items() if 'single key "correct"' in text}
FENCING = {name: fencing(text) for name, text in PROMPTS.items() if "then give the query" in text}


SHOWING = [name for name in PROMPTS if name in ("brief", "forced") or "_examples" in name]


def test_examples_and_fences_are_in_the_prompts_that_say_so_alone() -> None:
    """Those of the paper's configuration name the key, and ask for no fence."""
    assert [name for name, text in PROMPTS.items() if "{" in text.replace("${", "")] == SHOWING
    assert [name for name, text in PROMPTS.items() if "```" in text] == ["generator_fenced"]
    assert len(ASKING) == 14
    assert all(BOTH in text for text in ASKING.values())
    assert len(FENCING) == 3
    assert all("```sql" in text for text in FENCING.values())


@pytest.mark.parametrize("template", {**PROMPTS, **ASKING, **FENCING}.values())
def test_a_whole_prompt_is_no_answer_wherever_it_is_cut(template: str) -> None:
    text = text_of(template)
    for end in range(1, len(text) + 1):
        assert read(template, f"Okay, {text[:end]}", finish="length") is None, text[:end]
        assert extract_sql("open_fence", "", f"Okay, {text[:end]}", template=template) == EMPTY_SQL, text[:end]
    assert read(template, text) is None


WRAPS = [
    "{}",
    "The prompt says: {}",
    'I was told "{}" So',
    "> {}\n\nOkay.",
    "**{}**",
    "{}\n\n{}",
    "I should {} Let me see.",
]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("template", ASKING.values(), ids=ASKING)
def test_the_sentence_about_the_answer_is_none(template: str, wrap: str) -> None:
    asked = sentence(text_of(template), BOTH)
    forms = [asked, asked.lower(), asked.replace(" ", "\n"), asked.replace(TRUE, f"`{TRUE}`"), asked.replace('"', "'")]
    for form in forms:
        text = wrap.replace("{}", form)
        assert read(template, text) is None
        for end in range(1, len(text)):
            assert read(template, text[:end], finish="length") is None, text[:end]
        for answer, value in ((TRUE, True), (FALSE, False)):
            assert read(template, f"{text}\n\n{answer}") is value
            assert read(template, f"So the answer is {answer}. {text}") is value
            assert read(template, f"{text}\n</think>\n```json\n{answer}\n```\n{text}") is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (BOTH, None),
        (f"I must give {BOTH}", None),
        (f"for example {BOTH}, so", None),
        (f"{FALSE}. Do not write another SQL query.", None),
        (f"{BOTH}. I think {TRUE}", True),
        (TRUE, True),
        (f"{TRUE} Wait, no. {FALSE}", False),
        (f"{FALSE} or rather {TRUE}", True),
        (f"{FALSE}.", False),
        (f'The JSON object with the single key "correct" is {FALSE}', False),
        (f'My final answer as a JSON object with the single key "correct":\n{TRUE}\n\nIt joins both.', True),
        (f"Final answer: {FALSE}\n\nDone", False),
        ('{"correct": true, "why": "it counts"} or {"correct": false}', False),
    ],
)
def test_an_echo_is_the_words_around_an_object_not_the_object(text: str, value: bool | None) -> None:
    assert read(PROMPTS["reasoning_examples"], text) is value


@pytest.mark.parametrize(
    ("template", "text", "finish", "value"),
    [
        ("Final answer (JSON): {o} or {x}", "Final answer (JSON): {o}", "stop", True),
        ("Final answer (JSON): {o} or {x}", "Final answer (JSON): {o}\n\nThe query counts.", "stop", True),
        ("My final verdict on the query above is: {o}", "My final verdict on the query above is: {o}", "stop", True),
        (
            "My final verdict on the query above is: {o}",
            "My final verdict on the query above is: {o}, so",
            "stop",
            None,
        ),
        ("Answer like {o}. Write no SQL.", "Answer like {o}. Write no SQL.", "stop", None),
        ("Answer like {o}. Write no SQL.", "Answer like {o}. Wri", "length", None),
        ("Answer like {o}. Write no SQL.", "{o}", "stop", True),
        ("{o} if it is right, {x} if not\n${sql}", "{o} if it is right, {x} if not. So {o}", "stop", True),
        ("{o} if it is right, {x} if not\n${sql}", "{o} if it is right, {x} if not. So", "stop", None),
        ("Price: $$5 {o} or {x} ${sql}", "Price: $5 {o} or {x} SELECT", "stop", None),
        ("${sql}{o}${question} {x}", "a b c d e f g {o} a b c d e f g h i", "stop", True),
        ("", "for example {o} or {x}", "stop", False),
    ],
)
def test_prompts_of_a_users_own(template: str, text: str, finish: str, value: bool | None) -> None:
    template, text = (each.replace("{o}", TRUE).replace("{x}", FALSE) for each in (template, text))
    assert read(template, text, finish=finish) is value


@settings(deadline=None)
@given(st.text(alphabet='{}":, abct\n', max_size=40), st.sampled_from([TRUE, FALSE]))
def test_an_answer_is_read_whatever_nonsense_stands_before_it(before: str, answer: str) -> None:
    template = PROMPTS["reasoning_examples"]
    text = f"{before}\n. So {answer}"
    assert read(template, text) is read("", text)


QUERY = "SELECT COUNT(*) FROM ship;"


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("template", FENCING.values(), ids=FENCING)
def test_the_sentence_about_the_fence_holds_no_query(template: str, wrap: str) -> None:
    text = wrap.replace("{}", sentence(text_of(template), "```sql"))
    for end in range(1, len(text) + 1):
        assert extract_sql("open_fence", "", text[:end], template=template) == EMPTY_SQL, text[:end]
    for block in (f"```sql\n{QUERY}\n```", f"```SQL\n{QUERY}", f"a block that opens with ```sql\n{QUERY}\n``` and"):
        found = [
            extract_sql("open_fence", "", said, template=template) for said in (f"{text}\n{block}", f"{block}\n{text}")
        ]
        assert found[0] == QUERY
        assert found[1].startswith(QUERY)


@pytest.mark.parametrize(
    ("template", "text", "sql"),
    [
        ("as\n```sql\nSELECT ...\n```", "```sql\nSELECT ...\n```\n```sql\nSELECT 1\n```", "SELECT 1;"),
        ("as\n```sql\nSELECT ...\n```", "```sql\nSELECT a FROM t\n```", "SELECT a FROM t;"),
        (
            "after ```sql and nothing else.\n${schema}",
            "after ```sql and nothing else. ```sql\nSELECT 1\n```",
            "SELECT 1;",
        ),
        ("Wrong: ```sql ${sql} ``` ${question}", "```sql SELECT 1 ```", "SELECT 1;"),
        ("", "in ```sql and closes with ```", "AND closes WITH;"),
    ],
)
def test_fences_of_a_users_own(template: str, text: str, sql: str) -> None:
    assert extract_sql("open_fence", "", text, template=template) == sql

"""What a journal holds and what is still to be measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from metric_files import configuration
from sqljudge.core.files import write_json
from sqljudge.core.provenance import file_digest, text_digest
from sqljudge.core.records import Candidate, CandidateSet, write_jsonl
from sqljudge.experiments import estimate
from sqljudge.experiments.config import experiments_of, load_config
from sqljudge.experiments.estimate import (
    Job,
    estimate_grid,
    journal_grid,
    parameters,
    print_estimate,
    print_journal,
    read_journal,
    remainders,
)
from sqljudge.experiments.folder import mark_folder
from sqljudge.experiments.jobs import model_jobs, needs_of
from sqljudge.experiments.training_estimate import asked_of, read_records, training_job, training_remainder
from sqljudge.experiments.training_parts import Training
from sqljudge.models.journal import JournalWriter
from sqljudge.report.specs import tables_of


def answer(prompt: int, new: int, seconds: float) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "token_ids": list(range(new)), "seconds": seconds}


def write(folder: Path, job: str, *answers: dict[str, Any]) -> None:
    with JournalWriter(folder, job) as journal:
        for number, each in enumerate(answers):
            journal.put_all([(f"{job}{number}", {}, each)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "m-1b", "generate.g.sample", answer(100, 20, 2.0), answer(140, 10, 1.0))
    write(tmp_path / "m-1b", "judge.d.c.pool.1-of-2", answer(50, 30, 1.0))
    write(tmp_path / "m-1b", "judge.d.c.pool.2-of-2", answer(70, 10, 1.0))
    write(tmp_path / "other", "generate.o.greedy", {"prompt_tokens": 7, "probabilities": [0.5]})
    return tmp_path


@pytest.fixture
def journal(folder: Path) -> pd.DataFrame:
    return read_journal(folder)


def test_a_jobs_shards_are_added_up(journal: pd.DataFrame) -> None:
    assert journal[["model", "job", "requests", "prompt_tokens", "new_tokens", "seconds"]].to_numpy().tolist() == [
        ["m-1b", "generate.g.sample", 2, 240, 30, 3.0],
        ["m-1b", "judge.d.c.pool", 2, 120, 40, 2.0],
        ["other", "generate.o.greedy", 1, 7, 0, 0.0],
    ]
    assert (journal["size"] > 0).all()


def test_the_journals_table(journal: pd.DataFrame) -> None:
    rows = journal_grid(journal).rows
    assert rows[1][:6] == ["m-1b", "judge.d.c.pool", "2", "120", "40", "2.0"]
    assert rows[-1][:6] == ["all", "", "5", "367", "70", "5.0"]
    assert journal_grid(read_journal("")).rows[-1][2] == "0"


def test_what_is_missing_follows_the_jobs_own_answers_then_its_models(journal: pd.DataFrame) -> None:
    jobs = [
        Job("generate.g.sample", "m-1b", 10, 99),
        Job("generate.g.greedy", "m-1b", 4, 50),
        Job("judge.d.c.pool", "m-1b", 1, 99),
        Job("generate.g.other", "m-1b", 9, 50, made=True),
        Job("generate.n.greedy", "new", 2, 10),
    ]
    left = remainders(jobs, journal)
    assert [*left[["requests", "prompt_tokens", "new_tokens", "seconds"]].itertuples(index=False, name=None)] == [
        (8, 960, 120, pytest.approx(12.0)),  # 270 tokens took 3 s
        (4, 480, 60, pytest.approx(540 / 90)),
        (0, 0, 0, 0.0),
        (0, 0, 0, 0.0),
        (2, 500, None, None),
    ]
    assert [*left[["most_tokens", "most_seconds"]].itertuples(index=False, name=None)] == [
        (8 * 99, pytest.approx((960 + 792) / 90)),
        (200, pytest.approx(680 / 90)),
        (0, 0.0),
        (0, 0.0),
        (20, None),
    ]
    grid = estimate_grid(left)
    assert grid.rows[-1] == ["all", "", "14", "1,940", "not known yet", "1,012", "not known yet", "not known yet"]
    assert grid.rows[0][4:] == ["120", "792", "12 s", "19 s"]


@pytest.mark.parametrize(
    ("others", "left"),
    [
        ([], 10),
        ([Job("judge.b.c.pool", "m-1b", 10, 50, asks="x")], 0),  # it goes first
        ([Job("judge.b.c.pool", "m-1b", 10, 50, asks="x", made=True)], 10),  # where is its journal?
        ([Job("judge.d.c.pool", "m-1b", 10, 50, asks="x", made=True)], 8),  # two are in the journal
        ([Job("judge.b.c.pool", "m-1b", 4, 50, asks="x")], 6),
        ([Job("judge.b.c.pool", "m-1b", 10, 49, asks="x")], 10),  # its answers may be too short
        ([Job("judge.b.c.pool", "m-1b", 10, 50, asks="y")], 10),
        ([Job("judge.b.c.pool", "other", 10, 50, asks="x")], 10),
        ([Job("search.s", "m-1b", 10, 50, asks="x", shared=10)], 10),  # a search goes last
    ],
)
def test_what_two_jobs_ask_is_asked_once(others: list[Job], left: int, journal: pd.DataFrame) -> None:
    jobs = [*others, Job("judge.a.c.pool", "m-1b", 10, 50, asks="x")]
    assert remainders(jobs, journal)["requests"].iloc[-1] == left
    alone = [Job("judge.a.c.pool", "m-1b", 10, 50), Job("judge.b.c.pool", "m-1b", 10, 50)]
    assert list(remainders(alone, journal)["requests"]) == [10, 10], "nobody knows what they ask"


def test_a_search_begins_with_what_the_generator_was_asked(journal: pd.DataFrame) -> None:
    search = Job("search.p.generator", "m-1b", 70, 50, asks="x", shared=20)
    asked = [
        (Job("generate.g.sample", "m-1b", 50, 50, asks="x"), [48, 50]),
        (Job("generate.g.sample", "m-1b", 50, 50, asks="x", made=True), [0, 68]),  # two are in the journal
        (Job("generate.g.sample", "m-1b", 12, 50, asks="x"), [10, 58]),
    ]
    for generate, left in asked:
        assert list(remainders([generate, search], journal)["requests"]) == left
        assert list(remainders([search, generate], journal)["requests"]) == left[::-1]


def test_jobs_that_ask_the_same_are_known_by_their_settings() -> None:
    """Another label or budget changes no request; another prompt, frame, pool, temperature or method does."""
    changes: dict[str, Any] = {"discriminators": {"twin": {"label": "T"}, "plain": {"prompt_format": "raw"}}}
    raw = configuration("demo.yaml")
    own: Any = raw["discriminators"]
    for name, change in changes["discriminators"].items():
        own[name] = {**own["smollm2-yes-no"], **change}
    who = ["smollm2-reasoning", "smollm2-yes-no", "twin", "plain"]
    raw["experiments"]["table1"]["discriminators"] = who  # type: ignore[index]
    raw["generators"]["again"] = {**raw["generators"]["smollm2"], "extraction": "continuation"}  # type: ignore[index]
    raw["experiments"]["table7"]["generators"] = ["smollm2", "again"]  # type: ignore[index]
    config = load_config(raw)
    jobs = {job["name"]: job for job in model_jobs(needs_of(tables_of(experiments_of(config)), config), config)}
    judged = {name: jobs[f"judge.{name}.no_schema.pool"]["asks"] for name in who}
    assert judged["twin"] == judged["smollm2-yes-no"]
    assert len({*judged.values()}) == 3
    assert jobs["judge.smollm2-yes-no.no_schema.smollm2.sample"]["asks"] != judged["smollm2-yes-no"]
    assert jobs["judge.smollm2-yes-no.result.pool"]["asks"] != judged["smollm2-yes-no"]
    assert jobs["generate.smollm2.greedy"]["asks"] == jobs["generate.again.greedy"]["asks"]
    sample = jobs["generate.smollm2.sample"]
    assert sample["asks"] != jobs["generate.smollm2.greedy"]["asks"]
    first = {job["first"] for job in jobs.values() if job["asks"] == sample["asks"]}
    assert first == {0, 5, 2}, "of the correction all five samples, of the tree search its two completions"


def test_extras_make_prompts_longer_until_the_jobs_own_are_known(journal: pd.DataFrame) -> None:
    jobs = [
        Job("judge.d.result.pool", "m-1b", 10, 0, extra_tokens=100),
        Job("judge.d.c.pool", "m-1b", 10, 0, extra_tokens=100),
        Job("judge.d.result.pool", "new", 10, 0, extra_tokens=100),
    ]
    assert list(remainders(jobs, journal)["prompt_tokens"]) == [10 * (60 + 100), 8 * 60, 10 * (250 + 100)]


def test_a_model_that_has_not_run_is_reckoned_by_its_size(journal: pd.DataFrame) -> None:
    measured: list[int] = []

    def operations() -> float:
        measured.append(1)
        return 1e12

    jobs = [
        Job("generate.a", "big-1.5b", 100, 50),
        Job("generate.b", "unsized", 1, 50),
        Job("generate.g.sample", "m-1b", 9, 9),
    ]
    left = remainders(jobs, journal, operations)
    assert list(left["most_seconds"][:2]) == [pytest.approx(30_000 / (0.5 * 1e12 / 3e9)), None]
    assert list(left["seconds"][:2]) == [None, None], "nobody knows how long its answers are"
    assert list(left["rough"]) == [True, False, False]
    assert measured == [1], "only where it is needed"
    assert estimate_grid(left).rows[0][-1] == "about 3 min 00 s"


def test_a_size_of_the_models_table_goes_before_the_name(journal: pd.DataFrame) -> None:
    jobs = [Job("judge.a", "nameless", 10, 0, size="3B"), Job("judge.b", "small-1b", 10, 0, size="2B")]
    left = remainders(jobs, journal, lambda: 1e12)
    assert list(left["seconds"]) == [pytest.approx(2500 / (0.5 * 1e12 / 6e9)), pytest.approx(2500 / (0.5 * 1e12 / 4e9))]


@pytest.mark.skipif(torch.cuda.is_available(), reason="of a machine without a GPU")
def test_a_processor_says_nothing_of_a_plan_for_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    """No arithmetic of this CPU in the times of a plan with gpu=1; the speed may be named by hand."""
    plan: dict[str, Any] = {"jobs": [model_job("judge.d.c.pool", new_tokens=0)], "journal": "", "questions": "none"}
    plan |= {"expected": 400, "sizes": {"m-1b": "13B"}, "configuration": OWN}
    print_estimate(**plan, gpu=True, operations_per_second=None)
    said = capsys.readouterr().out
    assert "not known yet" in said and "--config operations_per_second=" in said
    assert " h " not in said
    print_estimate(**plan, gpu=True, operations_per_second=3e14)
    said = capsys.readouterr().out
    assert "about 52 s" in said and "not known" not in said


@pytest.mark.parametrize(
    ("name", "count"),
    [("distill-r1-1.5b", 1.5e9), ("codellama-13b", 13e9), ("smollm2-135m", 135e6), ("gpt", None), ("v2beta", None)],
)
def test_parameters_by_name(name: str, count: float | None) -> None:
    assert parameters(name) == count


OWN = {"digest": "own", "options": "--configfile own.yaml"}


def test_files_of_another_configuration_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was made before this configuration was run here, or while another one was, is not its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "operations", lambda gpu: 1e12)
    rest: dict[str, Any] = {"sizes": {}, "gpu": False, "operations_per_second": None}
    write_jsonl("c.jsonl", [CandidateSet(0, (Candidate("A"),))])
    write_jsonl("q.jsonl", [CandidateSet(0, ())])
    jobs = [model_job("judge.d.c.pool", candidates="c.jsonl"), model_job("judge.d.c.made", result="c.jsonl")]

    def requests(configuration: dict[str, str]) -> tuple[list[str], str]:
        print_estimate(jobs, "", "q.jsonl", expected=5, configuration=configuration, **rest)
        said = capsys.readouterr().out
        lines = [line.split("|") for line in said.splitlines() if line.startswith("|")][2:]
        return [line[3].strip() for line in lines], said.partition("\n")[0]

    other = {"digest": "other", "options": "--configfile other.yaml"}
    assert requests(OWN)[0] == ["15", "15", "30"], "nobody knows whose it is"
    mark_folder(OWN)
    Path("q.jsonl").touch()
    Path("c.jsonl").touch()
    assert requests(OWN)[0] == ["1", "0", "1"]
    counts, said = requests(other)
    assert counts == ["15", "15", "30"]
    assert said.startswith("results/ is of --configfile own.yaml, which this command does not name")
    for file in ("c.jsonl", "q.jsonl"):
        os.utime(file, (1, 1))
    mark_folder(other)
    mark_folder(OWN)
    assert requests(OWN)[0][0] == "15", "it was made before the other one was run"


def model_job(name: str, **changes: Any) -> dict[str, Any]:
    """A job as a rule passes it."""
    counts = {"new_tokens": 50, "samples": 3, "extra_tokens": 0, "times": 1}
    return {"name": name, "model": "m-1b", "result": "none", "candidates": "", **counts, **changes}


def test_the_estimate_counts_requests_by_what_is_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    mark_folder(OWN)
    candidates, questions = tmp_path / "c.jsonl", tmp_path / "q.jsonl"
    write_jsonl(candidates, [CandidateSet(0, (Candidate("A"), Candidate("B"))), CandidateSet(1, (Candidate("A"),))])
    monkeypatch.setattr(estimate, "operations", lambda gpu: 1e12)
    rest: dict[str, Any] = {"sizes": {}, "gpu": False, "operations_per_second": None, "configuration": OWN}
    jobs = [
        model_job("generate.g.other"),
        model_job("force.d.c.pool", candidates=str(candidates), times=4),
        model_job("judge.d.c.later", candidates="not made yet"),
        model_job("judge.d.c.made", result=str(candidates)),
        model_job("search.p.generator", model="new-7b"),
    ]

    def requests() -> list[str]:
        print_estimate(jobs, str(folder), str(questions), expected=5, **rest)
        lines = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
        return [line[3].strip() for line in lines]

    assert requests() == ["15", "12", "15", "0", "15", "57"], "three samples of each of the questions that are expected"
    questions.write_text("{}\n{}\n", encoding="utf-8")
    assert requests() == ["6", "12", "6", "0", "6", "30"], "of those that are there"
    print_estimate(jobs, "", str(questions), expected=5, **rest)
    said = capsys.readouterr().out
    assert "about" in said
    assert "'search.': the most that it can ask" in said
    print_estimate([], "", str(questions), expected=5, **rest)
    total = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| all"))
    assert [cell.strip() for cell in total.split("|")[3:-1]] == ["0", "0", "0", "0", "0 s", "0 s"]
    print_estimate(jobs[:1], "", str(questions), expected=5, **rest)
    assert "search." not in capsys.readouterr().out


def test_the_journal_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_journal(str(folder))
    said = capsys.readouterr().out
    assert said.startswith("### What the journal holds\n")
    assert "judge.d.c.pool" in said


# Two models that share the work


@pytest.fixture
def shared(tmp_path: Path) -> pd.DataFrame:
    """A routed model's journal: one answer without the large model, one with it, and one yes/no answer of its own."""
    write(tmp_path / "shared/both", "judge.d.c.pool", answer(100, 20, 1.0), {**answer(100, 20, 2.0), "routed": [3, 11]})
    write(tmp_path / "shared/both", "force.d.c.pool", {"prompt_tokens": 60, "probabilities": [0.5], "large_tokens": 60})
    return read_journal(tmp_path / "shared")


def test_the_journal_says_what_the_large_model_read(shared: pd.DataFrame, journal: pd.DataFrame) -> None:
    assert dict(zip(shared["job"], shared["large_tokens"], strict=True)) == {
        "judge.d.c.pool": 111,
        "force.d.c.pool": 60,
    }
    header = [column.header for column in journal_grid(shared).columns]
    assert "Large model read" in header
    assert journal_grid(shared).rows[-1][header.index("Large model read")] == "171"
    assert "Large model read" not in [column.header for column in journal_grid(journal).columns]


def test_what_is_left_counts_both_models(shared: pd.DataFrame) -> None:
    """Jobs that have begun, that are like one that has, and of which nothing is known."""
    size = "0.5B + 1.5B"
    jobs = [
        Job("judge.d.c.pool", "both", 12, 64, size=size),
        Job("judge.e.c.pool", "both", 4, 64, size=size),
        Job("generate.g.sample", "both", 2, 50, size=size),
        Job("judge.d.c.pool", "both", 12, 64, made=True, size=size),
    ]
    left = remainders(jobs, shared)
    assert list(left["large_tokens"]) == [555, 222, None, 0]
    assert list(left["most_large"]) == [10 * (100 + 64), 4 * (100 + 64), 2 * (250 + 50), 0]
    speed = (200 + 40 + 111) / 3.0
    assert list(left["seconds"]) == [
        pytest.approx((10 * 120 + 555) / speed),
        pytest.approx((4 * 120 + 222) / speed),
        None,
        0.0,
    ]
    assert left["most_seconds"][0] == pytest.approx(2 * 10 * 164 / speed)
    grid = estimate_grid(left)
    assert [column.header for column in grid.columns][6:8] == ["Large model reads, expected", "at most"]
    assert grid.rows[0][6:8] == ["555", "1,640"]
    assert grid.rows[2][6] == "not known yet"


@pytest.mark.parametrize(
    ("size", "seconds"),
    [
        ("0.5B + 1.5B", 2 * (0.5e9 + 1.5e9) * 2 * 300 / (0.5 * 1e12)),
        ("1B + 32B", 2 * (1e9 + 32e9) * 2 * 300 / (0.5 * 1e12)),
        ("1.5B", 2 * 1.5e9 * 2 * 300 / (0.5 * 1e12)),
        ("0.5B + –", None),
    ],
)
def test_the_time_of_two_models_is_reckoned_from_both_sizes(shared: pd.DataFrame, size: str, seconds: float) -> None:
    left = remainders([Job("generate.g.sample", "new", 2, 50, size=size)], shared, lambda: 1e12)
    assert left["most_seconds"][0] == (None if seconds is None else pytest.approx(seconds))
    assert left["rough"][0] == (seconds is not None)


# --- trainings --------------------------------------------------------------------------------------------------------


def trained(tmp_path: Path, method: str = "hapo", **given: Any) -> dict[str, Any]:
    """A training as an estimate takes it, its data and prompt as files."""
    (tmp_path / "prompt.txt").write_text("${question}")
    training = Training(model="m-1b", method=method, data="pairs", **{"steps": 10, **given})
    job = training_job("one", training, seed=7, prompts=[str(tmp_path / "prompt.txt")], code="c")
    return {**job, "data": str(tmp_path / "items.jsonl")}


def finish(store: Path, job: dict[str, Any], tokens: dict[str, int], seconds: float) -> None:
    """The record of a finished training, as `training.run` writes it."""
    known = {key: job[key] for key in ("model", "method", "settings", "steps", "seed")}
    digests = {key: job[key] for key in ("framing", "extraction", "code")}
    digests |= {"prompts": [text_digest("${question}")], "data": file_digest(job["data"])}
    place = store / f"{job['method']}{job['steps']}" / "run.json"
    place.parent.mkdir(parents=True)
    write_json(place, {**known, "digests": digests, "tokens": tokens, "seconds": seconds})


@pytest.mark.parametrize(
    ("method", "settings", "steps", "expected"),
    [
        ("hapo", {"prompts": 2, "generations": 4, "budget": 64}, 10, (80, 80, 64)),
        ("laser", {"prompts": 2, "generations": 4, "budget": 64, "updates": 2}, 10, (40, 40, 64)),
        ("adapt_think", {"prompts": 1, "generations": 4, "budget": 64, "skip_budget": 16}, 5, (20, 20, 40)),
        ("sft", {"batch": 8}, 10, (80, 0, 0)),
        ("redi", {"batch": 8}, 10, (160, 0, 0)),
        ("probe", {}, 10, (0, 0, 0)),
    ],
)
def test_a_training_goes_through_steps_times_completions(
    tmp_path: Path, method: str, settings: dict[str, Any], steps: int, expected: tuple[int, int, float]
) -> None:
    job = trained(tmp_path, method, settings=settings, steps=steps)
    assert asked_of(method, job["settings"], steps) == expected


def test_what_a_training_takes_follows_finished_ones_of_the_same_model(tmp_path: Path) -> None:
    settings = {"prompts": 1, "generations": 4, "budget": 64}
    job = trained(tmp_path, settings=settings, steps=10)
    cold = training_remainder(job, [], 1e9, lambda: 8e12, 0.5)
    assert (cold["requests"], cold["new_tokens"], cold["most_tokens"]) == (40, None, 40 * 64)
    assert cold["most_seconds"] == pytest.approx((40 * 250 + (1 + 3) * 40 * 64) / 2000)
    assert cold["rough"]
    Path(job["data"]).write_text("{}")
    finish(tmp_path / "store", {**job, "steps": 5}, {"prompted": 200, "generated": 600, "trained": 600}, 26.0)
    records = read_records(str(tmp_path / "store"))
    warm = training_remainder(job, records, 1e9, lambda: None, 0.5)
    assert (warm["new_tokens"], warm["prompt_tokens"], warm["rough"]) == (1200, 400 + 1200, False)
    assert warm["seconds"] == pytest.approx(52.0)


@pytest.mark.parametrize(
    ("change", "left"),
    [({}, 0), ({"seed": 8}, 40), ({"code": "d"}, 40), ({"steps": 20}, 80), ({"extraction": "x"}, 40)],
)
def test_a_finished_training_is_not_counted_and_a_changed_one_is(
    tmp_path: Path, change: dict[str, Any], left: int
) -> None:
    job = trained(tmp_path, settings={"prompts": 1, "generations": 4, "budget": 64})
    Path(job["data"]).write_text("{}")
    finish(tmp_path / "store", job, {"prompted": 400, "generated": 600, "trained": 600}, 26.0)
    records = read_records(str(tmp_path / "store"))
    assert training_remainder({**job, **change}, records, None, lambda: None, 0.5)["requests"] == left
    if not change:
        Path(job["data"]).write_text("{}{}")
        assert training_remainder(job, records, None, lambda: None, 0.5)["requests"] == 40
        (tmp_path / "prompt.txt").write_text("other")
        Path(job["data"]).unlink()
        assert training_remainder(job, records, None, lambda: None, 0.5)["requests"] == 40


def test_the_estimate_shows_trainings_and_routers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "operations", lambda gpu: 1e12)
    route = {"name": "route.r", "model": "m-1b", "result": "gone", "candidates": "", "new_tokens": 11, "times": 1}
    route |= {"requests": 300, "samples": 0, "extra_tokens": 0}
    job = trained(tmp_path, settings={"prompts": 1, "generations": 4, "budget": 64})
    print_estimate(
        [route],
        "",
        "q.jsonl",
        expected=5,
        sizes={},
        gpu=False,
        operations_per_second=None,
        configuration={"label": "l", "digest": "d"},
        trainings=[job],
        store=str(tmp_path / "store"),
    )
    said = capsys.readouterr().out
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:]]
        for line in said.splitlines()
        if line.startswith("|")
    }
    assert rows["train.one"][:5] == ["m-1b", "40", "12,560", "not known yet", "2,560"]
    assert rows["route.r"][:2] == ["m-1b", "300"]
    assert "Finished trainings are not counted" in said
    assert "'route.'" in said

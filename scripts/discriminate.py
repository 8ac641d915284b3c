"""Judge every candidate of a pool."""

from typing import TYPE_CHECKING, Any

from sqljudge.backends.base import ModelSpec
from sqljudge.discriminate import judge
from sqljudge.inference import open_session
from sqljudge.parquet import write_judgments
from sqljudge.prompts import read_template
from sqljudge.records import CandidateSet, Question, read_jsonl, write_json
from sqljudge.scripting import job
from sqljudge.spider import candidate_questions

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    questions: str,
    candidates: str,
    prompt: str,
    judgments: str,
    run: str,
    *,
    model: dict[str, Any],
    kind: str,
    frame: str,
    budget: int,
    journal: str,
    failures_tolerated: float,
    device: str,
    label: str,
) -> None:
    """Write the judgments, and what they cost."""
    session = open_session(
        ModelSpec(**model), device=device, journal=journal, writer=label, tolerated=failures_tolerated
    )
    pairs = candidate_questions(read_jsonl(questions, Question), read_jsonl(candidates, CandidateSet))
    template = read_template(prompt, required=("question", "sql"))
    write_judgments(judgments, judge(session, pairs, kind=kind, template=template, frame=frame, budget=budget))
    write_json(run, session.report())


if "snakemake" in globals():
    with job(snakemake.log[0]):
        wildcards = snakemake.wildcards
        main(
            snakemake.input.questions,
            snakemake.input.candidates,
            snakemake.input.prompt,
            snakemake.output.judgments,
            snakemake.output.run,
            model=snakemake.params.model,
            kind=snakemake.params.kind,
            frame=snakemake.params.frame,
            budget=snakemake.params.budget,
            journal=snakemake.params.journal,
            failures_tolerated=snakemake.params.failures_tolerated,
            device="cuda" if snakemake.resources.get("gpu", 0) else "cpu",
            label=f"discriminate.{wildcards.discriminator}.{wildcards.context}.{wildcards.pool}",
        )

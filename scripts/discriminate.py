"""Judge every candidate of a pool."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.parquet import write_judgments
from sqljudge.core.records import CandidateSet, Question, read_jsonl, write_json
from sqljudge.data.datasets import candidate_questions
from sqljudge.models.device import own_device
from sqljudge.models.engines import spec_of
from sqljudge.models.session import open_session
from sqljudge.stages.extras import gathered
from sqljudge.stages.judge import judge
from sqljudge.stages.prompts import read_template
from sqljudge.stages.shards import dealt

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    files: dict[str, str],
    *,
    model: dict[str, Any],
    kind: str,
    frame: str,
    budget: int,
    evidence: dict[str, dict[str, Any]],
    journal: str,
    failures_tolerated: float,
    device: str,
    weights: list[str],
    shard: str,
    label: str,
) -> None:
    """Write the judgments of a shard's questions ("": of all), and what they cost."""
    session = open_session(
        spec_of(model, weights), device=device, journal=journal, writer=label, tolerated=failures_tolerated
    )
    questions = read_jsonl(files["questions"], Question)
    sets = [group for group in read_jsonl(files["candidates"], CandidateSet) if dealt(group.question_id, shard)]
    judgments = judge(
        session,
        candidate_questions(questions, sets),
        kind=kind,
        template=read_template(files["prompt"], required=("question", "sql", *evidence), further=evidence),
        frame=frame,
        budget=budget,
        evidence=gathered(evidence, files, questions),
    )
    write_judgments(files["judgments"], judgments)
    write_json(files["run"], session.report())


if "snakemake" in globals():
    with job(snakemake.log[0]), own_device(snakemake.resources.get("gpu", 0)) as device:
        main(
            {name: str(path) for part in (snakemake.input, snakemake.output) for name, path in part.items()},
            model=snakemake.params.model,
            kind=snakemake.params.kind,
            frame=snakemake.params.frame,
            budget=snakemake.params.budget,
            evidence=snakemake.params.evidence,
            journal=snakemake.params.journal,
            failures_tolerated=snakemake.params.failures_tolerated,
            device=device,
            weights=snakemake.input.get("weights", []),
            shard=snakemake.wildcards.get("scatteritem", ""),
            label=".".join(["discriminate", *snakemake.wildcards]),
        )

"""Label sampled candidates by execution."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.core.records import CandidateSet, Execution, Question, read_jsonl, write_jsonl
from sqljudge.data.pool import label_candidates

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(questions: str, candidates: str, executions: str, pool_questions: str, pool_candidates: str) -> None:
    """Write the questions and candidates that could be labelled."""
    labelled = label_candidates(read_jsonl(candidates, CandidateSet), read_jsonl(executions, Execution))
    kept = {group.question_id for group in labelled}
    write_jsonl(pool_questions, [question for question in read_jsonl(questions, Question) if question.id in kept])
    write_jsonl(pool_candidates, labelled)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(
            snakemake.input.questions,
            snakemake.input.candidates,
            snakemake.input.executions,
            snakemake.output.questions,
            snakemake.output.candidates,
        )

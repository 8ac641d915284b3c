"""Ask a generator for candidates."""

from typing import TYPE_CHECKING, Any

from sqljudge.core.joblog import job
from sqljudge.core.records import Question, read_jsonl, write_json, write_jsonl
from sqljudge.models.device import own_device
from sqljudge.models.engines import spec_of
from sqljudge.models.session import open_session
from sqljudge.stages.generate import Decoding, generate_candidates
from sqljudge.stages.prompts import read_template
from sqljudge.stages.shards import dealt

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    questions: str,
    prompt: str,
    candidates: str,
    run: str,
    *,
    model: dict[str, Any],
    frame: str,
    extraction: str,
    decoding: dict[str, Any],
    quoted_names: bool,
    seed: int,
    journal: str,
    failures_tolerated: float,
    device: str,
    weights: list[str],
    shard: str,
    label: str,
) -> None:
    """Write the candidates of a shard's questions ("": of all), and what they cost."""
    session = open_session(
        spec_of(model, weights), device=device, journal=journal, writer=label, tolerated=failures_tolerated
    )
    sets = generate_candidates(
        session,
        [question for question in read_jsonl(questions, Question) if dealt(question.id, shard)],
        template=read_template(prompt, required=("question", "schema")),
        frame=frame,
        extraction=extraction,
        decoding=Decoding(**decoding),
        seed=seed,
        quoted_names=quoted_names,
    )
    write_jsonl(candidates, sets)
    write_json(run, session.report())


if "snakemake" in globals():
    with job(snakemake.log[0]), own_device(snakemake.resources.get("gpu", 0)) as device:
        main(
            snakemake.input.questions,
            snakemake.input.prompt,
            snakemake.output.candidates,
            snakemake.output.run,
            model=snakemake.params.model,
            frame=snakemake.params.frame,
            extraction=snakemake.params.extraction,
            decoding=snakemake.params.decoding,
            quoted_names=snakemake.params.quoted_names,
            seed=snakemake.params.seed,
            journal=snakemake.params.journal,
            failures_tolerated=snakemake.params.failures_tolerated,
            device=device,
            weights=snakemake.input.get("weights", []),
            shard=snakemake.wildcards.get("scatteritem", ""),
            label=".".join(["generate", *snakemake.wildcards]),
        )

"""Take a dataset's training questions out of its folder or archive."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.data.datasets import FORMATS
from sqljudge.data.staging import stage_training

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if "snakemake" in globals():
    with job(snakemake.log[0]):
        stage_training(
            snakemake.params.source,
            snakemake.output[0],
            training_file=snakemake.params.training_file,
            questions_file=snakemake.params.questions_file,
            dataset_format=FORMATS[snakemake.params.dataset_format],
        )

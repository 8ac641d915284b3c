"""Print what model jobs still have to ask."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.experiments.estimate import print_estimate

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake.log[0]):
    print_estimate(**snakemake.params)

"""Print what the journal holds."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.experiments.estimate import print_journal

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake.log[0]):
    print_journal(**snakemake.params)

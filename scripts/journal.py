"""Print what the journal holds."""

from sqljudge.core.joblog import job
from sqljudge.experiments.estimate import print_journal

with job(snakemake) as arguments:
    print_journal(**arguments)

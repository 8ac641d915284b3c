"""Print what model jobs still have to ask."""

from sqljudge.core.joblog import job
from sqljudge.experiments.estimate import print_estimate

with job(snakemake) as arguments:
    print_estimate(**arguments)

"""Make the explorer: pages that show every question of the run."""

from sqljudge.core.joblog import job
from sqljudge.report.explorer import write_explorer

with job(snakemake) as arguments:
    write_explorer(**arguments, workers=snakemake.threads)

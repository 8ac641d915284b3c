"""Merge all sidecars into one table, and say what was run."""

from sqljudge.core.joblog import job
from sqljudge.report.provenance import write_provenance

with job(snakemake) as arguments:
    write_provenance(**arguments)

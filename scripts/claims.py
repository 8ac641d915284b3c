"""Judge the paper's claims on a run's metrics."""

from sqljudge.core.joblog import job
from sqljudge.report.claims import write_claims

with job(snakemake) as arguments:
    write_claims(**arguments, code=snakemake.params.code)

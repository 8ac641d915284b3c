"""Compare the best discriminator that reasons with the best others."""

from sqljudge.core.joblog import job
from sqljudge.report.answer import write_answer

with job(snakemake) as arguments:
    write_answer(**arguments, code=snakemake.params.code)

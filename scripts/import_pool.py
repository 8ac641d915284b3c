"""Read a user's labelled pool."""

from sqljudge.core.joblog import job
from sqljudge.data.pool import write_imported_pool

with job(snakemake) as arguments:
    write_imported_pool(**arguments)

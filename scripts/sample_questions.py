"""Sample the evaluation questions."""

from sqljudge.core.joblog import job
from sqljudge.data.sample import write_sample

with job(snakemake) as arguments:
    # The limits are no param: other limits alone are no reason to ask models again.
    write_sample(**arguments, limits=snakemake.config["execution"], workers=snakemake.threads)

"""Make the items that models are trained on."""

from sqljudge.core.joblog import job
from sqljudge.training.data import prepare

with job(snakemake) as arguments:
    prepare(**arguments)

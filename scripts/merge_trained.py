"""Write a trained model as a folder of weights."""

from sqljudge.core.joblog import job
from sqljudge.training.run import merge_trained

with job(snakemake) as arguments:
    merge_trained(**arguments)

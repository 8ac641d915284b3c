"""What a planner needs that chooses among candidates."""

from sqljudge.core.joblog import job
from sqljudge.stages.search.cost import cost_pool

with job(snakemake) as arguments:
    cost_pool(**arguments)

"""Draw a figure as SVG and PDF."""

from sqljudge.core.joblog import job
from sqljudge.report.figures import write_figure

with job(snakemake) as arguments:
    write_figure(**arguments, code=snakemake.params.code)

"""Merge all sidecars into one table, and say what was run."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.report.provenance import write_provenance

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake.log[0]):
    write_provenance(**snakemake.input, **snakemake.output)

"""Fetch a dataset's archive."""

from typing import TYPE_CHECKING

from sqljudge.core.joblog import job
from sqljudge.data.staging import download

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(target: str, *, mirrors: list[str], sha256: str) -> None:
    """Download, or say what to download by hand."""
    download(mirrors, target, sha256=sha256)


if "snakemake" in globals():
    with job(snakemake.log[0]):
        main(snakemake.output[0], mirrors=snakemake.params.mirrors, sha256=snakemake.params.sha256)

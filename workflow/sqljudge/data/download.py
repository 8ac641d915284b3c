"""Downloads of files whose bytes are known."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from sqljudge.core.errors import DataError

log = logging.getLogger(__name__)

CHUNK = 1 << 20


def download(mirrors: Sequence[str], target: str | Path, *, sha256: str) -> None:
    """Fetch a file from the first mirror that gives the right bytes.

    Raises DataError, in one line that says what went wrong with each, what to download and which setting to change,
    where no mirror can be reached or none gives a file with the wanted SHA-256.
    """
    if mirrors and not sha256:
        raise DataError("dataset.sha256 is empty, so a download cannot be checked; set it beside dataset.mirrors")
    import pooch  # here, since it takes longer than all else and is needed for a download alone

    target, troubles = Path(target), []
    for mirror in mirrors:
        fetch = pooch.HTTPDownloader(
            progressbar=_ProgressLines(), chunk_size=CHUNK, timeout=60, headers={"User-Agent": "sqljudge"}
        )
        try:
            pooch.retrieve(mirror, sha256, fname=target.name, path=target.parent, downloader=fetch)
            target.chmod(0o644)
            return
        except (OSError, ValueError) as error:
            reason: BaseException = error
            while reason.__context__:  # what failed first is the shortest and the clearest
                reason = reason.__context__
            troubles.append(f"{mirror}: {' '.join(str(reason).split())}")
    raise DataError(
        f"{target.name} could not be downloaded ({'; '.join(troubles) or 'no mirror is configured'}). "
        f"Download it by hand from {mirrors[0] if mirrors else 'the dataset page'}, put it anywhere, and set "
        "dataset.source in the configuration to its path"
    )


class _ProgressLines:
    """A progress bar for pooch: a line on standard error about every 16 MiB, since it is read in a log."""

    total = 0
    done = 0

    def update(self, size: int) -> None:
        self.done += size
        if self.done % (16 * CHUNK) < size:
            of = f" of {self.total / CHUNK:.0f}" if self.total else ""
            log.info("downloaded %.0f%s MiB", self.done / CHUNK, of)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass

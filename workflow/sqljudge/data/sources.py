"""A dataset as it lies on disk: a tree of files, in a folder or a zip archive. Knows no dataset."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sqljudge.core.errors import DataError

WRITTEN = ("results", "logs", "benchmarks/results", ".snakemake")
"""The folders, below the working directory, that a run writes. Nothing in them is taken for a part of a dataset."""


def is_written(path: str | Path) -> bool:
    """Whether a path is, or lies in, a folder that the run in the working directory writes. Links are followed."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in WRITTEN)


@dataclass(frozen=True, slots=True)
class Source:
    """A tree of files, in a folder or an archive, seen through relative POSIX paths; a folder's ends with a slash.

    `folders`: all of them, nearest first, the tree itself (""), too. `files`: those that lie directly in a folder.
    `fault`: why a file, or something in a folder, is not there, if the tree shows it; else "".
    """

    label: str
    open: Callable[[str], BinaryIO]
    folders: Callable[[], Iterable[str]]
    files: Callable[[str], list[str]]
    fault: Callable[[str], str] = lambda name: ""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.files(name[: name.rfind("/") + 1])

    def copy(self, name: str, target: Path) -> None:
        """Copy a file out of the tree. Raises DataError where it cannot be read."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.open(name) as reader, target.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
        except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"{self.label}: {name} cannot be copied ({error}); is it whole, and without a password?"
            ) from error


def _is_debris(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store"


@contextmanager
def open_source(source: Path) -> Iterator[Source]:
    """The tree in a folder or zip archive. Raises DataError where it is neither."""
    if source.is_dir():
        yield _in_folder(source)
    elif source.is_file():
        try:
            archive = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{source}: not a zip archive, or a truncated one ({error}); fetch it again") from error
        with archive:
            yield _in_archive(str(source), archive)
    else:
        raise DataError(f"dataset.source: {source} does not exist; name the folder or zip archive of the dataset")


def check_archive(source: Path) -> None:
    """Check that a file is a zip archive with a whole directory; reads no more. Raises DataError where it is not."""
    with open_source(source):
        pass


def _in_folder(top: Path) -> Source:
    def children(folder: str, kind: Callable[[Path], bool]) -> list[str]:
        try:
            found = [] if folder and is_written(top / folder) else sorted((top / folder).iterdir())
            return [f"{folder}{child.name}" for child in found if kind(child)]
        except OSError:
            return []

    def folders() -> Iterator[str]:
        """Links are followed, each real folder once, so that links in a circle end."""
        seen: set[str] = set()
        level = [""]
        while level:
            below = []
            for folder in level:
                real = os.path.realpath(top / folder)
                if real not in seen:
                    seen.add(real)
                    yield folder
                    below += [f"{name}/" for name in children(folder, Path.is_dir) if not _is_debris(name)]
            level = sorted(below)

    def files(folder: str) -> list[str]:
        return [name for name in children(folder, Path.is_file) if not _is_debris(name)]

    def fault(name: str) -> str:
        parts = PurePosixPath(name).parts
        way = [top.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        below = children(name, Path.is_symlink) if name in ("", "/".join((*parts, ""))) else []
        for path in [*way, *(top / child for child in below)]:
            try:
                if path.is_symlink() and not path.exists():
                    return f"{path} is a link to {path.readlink()}, which does not exist"
                if path in way and path.is_dir() and is_written(path):
                    return f"{path} is a folder that the run writes"
                if path.is_dir():
                    next(path.iterdir(), None)
            except OSError as error:
                return f"{path} cannot be read: {error.strerror}"
        return ""

    return Source(str(top), lambda name: (top / name).open("rb"), folders, files, fault)


def _in_archive(label: str, archive: zipfile.ZipFile) -> Source:
    inside: dict[str, list[str]] = {"": []}
    for info in archive.infolist():
        if not info.is_dir() and not _is_debris(info.filename):
            parts = info.filename.split("/")
            for depth in range(len(parts)):
                inside.setdefault("".join(f"{part}/" for part in parts[:depth]), [])
            inside["".join(f"{part}/" for part in parts[:-1])].append(info.filename)
    folders = sorted(inside, key=lambda folder: (folder.count("/"), folder))
    return Source(
        label,
        lambda name: archive.open(name),  # type: ignore[arg-type,return-value]
        lambda: folders,
        lambda folder: inside.get(folder, []),
    )

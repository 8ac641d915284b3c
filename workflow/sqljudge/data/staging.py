"""Where a dataset's files come from: a folder, a zip archive, SQL text, or a download. A format names the files."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json, write_json
from sqljudge.data.datasets import FORMATS, SPIDER, DatasetFormat
from sqljudge.sql.databases import build_database, database_path, tables_entry
from sqljudge.sql.sandbox import Sandbox
from sqljudge.sql.sandbox.files import LOGS, settle, whole_copy

log = logging.getLogger(__name__)

CHUNK = 1 << 20


WRITTEN = ("results", "logs", "benchmarks/results", ".snakemake")
"""The folders, below the working directory, that a run writes. Nothing in them is taken for a part of a dataset."""


def is_written(path: str | Path) -> bool:
    """Whether a path is, or lies in, a folder that the run in the working directory writes. Links are followed."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in WRITTEN)


@dataclass(frozen=True, slots=True)
class _Source:
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
        return name in self.files(name[: name.rfind("/") + 1])


def _is_debris(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store"


@contextmanager
def _open_source(source: Path) -> Iterator[_Source]:
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
    with _open_source(source):
        pass


def _in_folder(top: Path) -> _Source:
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

    return _Source(str(top), lambda name: (top / name).open("rb"), folders, files, fault)


def _in_archive(label: str, archive: zipfile.ZipFile) -> _Source:
    inside: dict[str, list[str]] = {"": []}
    for info in archive.infolist():
        if not info.is_dir() and not _is_debris(info.filename):
            parts = info.filename.split("/")
            for depth in range(len(parts)):
                inside.setdefault("".join(f"{part}/" for part in parts[:depth]), [])
            inside["".join(f"{part}/" for part in parts[:-1])].append(info.filename)
    folders = sorted(inside, key=lambda folder: (folder.count("/"), folder))
    return _Source(
        label,
        lambda name: archive.open(name),  # type: ignore[arg-type,return-value]
        lambda: folders,
        lambda folder: inside.get(folder, []),
    )


def _root(source: _Source, questions_file: str, dataset_format: DatasetFormat, *, alone: bool = True) -> str:
    """The nearest folder inside the source with questions and schemas, else with questions and databases; and, if those
    are enough `alone`, else with databases.
    """
    fault, asking, holding = "", list[str](), list[str]()
    databases, archive = f"{dataset_format.databases_folder}/", dataset_format.databases_archive
    for folder in source.folders():
        if source.has(f"{folder}{questions_file}"):
            if source.has(f"{folder}{dataset_format.tables_file}"):
                return folder
            asking.append(folder)
        if f"/{folder}".endswith(f"/{databases}"):
            holding.append(folder.removesuffix(databases))
        elif archive and source.has(f"{folder}{archive}"):
            holding.append(folder)
        fault = fault or source.fault(folder)
    found = [folder for folder in asking if folder in holding] or (holding if alone else [])
    beside = [f"{folder}{name}" for folder in found[:1] for name in (questions_file, dataset_format.tables_file)]
    faults = [told for name in beside if (told := source.fault(name))]
    if found and not faults:
        return found[0]
    both = f"{questions_file} and {dataset_format.tables_file} (or {databases})"
    why = f" ({[*faults, fault][0]})" if faults or fault else ""
    raise DataError(f"{source.label}: holds no folder with both {both}; is it {dataset_format.title}?{why}")


def _copy(source: _Source, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with source.open(name) as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer, CHUNK)
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{source.label}: {name} cannot be copied ({error}); is it whole, and without a password?"
        ) from error


@contextmanager
def _databases(
    source: _Source, root: str, dataset_format: DatasetFormat, staging: Path, names: Iterable[str]
) -> Iterator[tuple[_Source, str]]:
    """Where the databases are: the source, or the archive inside it that holds them, and the folder in there."""
    inside, archive = f"{root}{dataset_format.databases_folder}/", f"{root}{dataset_format.databases_archive}"
    if not source.has(archive) or any(source.files(f"{inside}{db_id}/") for db_id in names):
        yield source, inside
        return
    unpacked = staging / dataset_format.databases_archive
    _copy(source, archive, unpacked)
    with _open_source(unpacked) as nested:
        folder = f"{dataset_format.databases_folder}/"
        label = f"{source.label}: {archive}"
        yield dataclasses.replace(nested, label=label), folder if folder in nested.folders() else ""
    unpacked.unlink()


def _copy_database(source: _Source, name: str, inside: Sequence[str], target: Path) -> None:
    """Copy a database file, with what lies in its logs, as one whole file. `inside`: the files beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    original = Path(source.label) / name
    if original.is_file():  # of a folder; its logs may lie elsewhere, where it is a link
        whole_copy(original, target)
        return
    for ending in ("", *LOGS):
        if f"{name}{ending}" in inside:
            _copy(source, f"{name}{ending}", target.with_name(target.name + ending))
    settle(target)


def _stage_database(source: _Source, place: str, db_id: str, target: Path) -> None:
    folder = f"{place}{db_id}/"
    inside = source.files(folder)
    files = [name for name in inside if name.endswith(".sqlite")]
    if f"{folder}{db_id}.sqlite" in files:
        for name in files:
            _copy_database(source, name, inside, target / db_id / PurePosixPath(name).name)
    elif f"{folder}{db_id}.sql" in inside:
        text = target / db_id / f"{db_id}.sql"
        _copy(source, f"{folder}{db_id}.sql", text)
        build_database(text, target / db_id / f"{db_id}.sqlite")
        text.unlink()
    else:
        missing = f"{folder}{db_id}.sqlite"
        why = source.fault(missing) or f"the questions of '{db_id}' need it"
        raise DataError(f"{source.label}: {missing} is missing; {why}")


def stage_dataset(
    source: str | Path,
    target: str | Path,
    *,
    questions_file: str = "dev.json",
    dataset_format: DatasetFormat = SPIDER,
    pool_databases: Collection[str] = (),
) -> list[str]:
    """Bring the questions, schemas and databases of a dataset into one plain layout, and return the db_ids.

    `source`: a folder or zip archive, in the official archive's layout (one folder down) or a plain one. Databases
    are taken as `*.sqlite` (all of a database's files, so a distilled test suite stays whole), or built from
    `<db_id>.sql`; a format may have them in an archive inside the source. Only databases that the questions use are
    taken, and of `pool_databases` those that the source has. Schemas that the source does not have are read from the
    databases; it needs no questions where there are `pool_databases`. `target` gets `questions.json` (an empty list
    where there are none), `tables.json` and `database/`, all or nothing.

    Raises DataError naming what is missing or damaged.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with _open_source(Path(source)) as opened:
            root = _root(opened, questions_file, dataset_format, alone=bool(pool_databases))
            names = []
            if opened.has(f"{root}{questions_file}"):
                _copy(opened, f"{root}{questions_file}", staging / "questions.json")
                names = _database_names(staging / "questions.json")
            else:
                write_json(staging / "questions.json", [])
            further = sorted({name for name in pool_databases if _is_folder_name(name)} - {*names})
            with _databases(opened, root, dataset_format, staging, [*names, *further]) as (holder, place):
                names += [db_id for db_id in further if holder.files(f"{place}{db_id}/")]
                for db_id in names:
                    _stage_database(holder, place, db_id, staging / "database")
            if opened.has(f"{root}{dataset_format.tables_file}"):
                _copy(opened, f"{root}{dataset_format.tables_file}", staging / "tables.json")
            else:
                with Sandbox() as sandbox:
                    files = [(db_id, database_path(staging / "database", db_id)) for db_id in names]
                    write_json(staging / "tables.json", [tables_entry(sandbox, *one) for one in files])
        for folder in (staging, *(path for path in staging.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        staging.replace(target)
    except DataError as error:  # the user knows the source's files, not the copies
        text = str(error).replace(f"{staging}/questions.json", f"{source}: {questions_file}")
        raise DataError(text.replace(f"{staging}/", f"{source}: ")) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return names


def source_files(source: str | Path, *, questions_file: str, dataset_format: DatasetFormat) -> list[str]:
    """The files that `stage_dataset` may take from a source: of a folder those in the dataset's layout, or an archive.

    Empty for a folder that holds no such dataset, which `stage_dataset` then says.
    """
    if not Path(source).is_dir():
        return [str(source)]
    with _open_source(Path(source)) as opened:
        try:
            root = _root(opened, questions_file, dataset_format)
        except DataError:
            return []
        beside = (questions_file, dataset_format.tables_file, dataset_format.databases_archive)
        names = [f"{root}{name}" for name in beside if name and opened.has(f"{root}{name}")]
        databases = Path(source) / root / dataset_format.databases_folder
        for db_id in sorted(path.name for path in databases.iterdir()) if databases.is_dir() else ():
            inside = opened.files(f"{root}{dataset_format.databases_folder}/{db_id}/")
            names += [name for name in inside if name.endswith((".sqlite", ".sqlite-wal", ".sqlite-journal", ".sql"))]
    return [str(Path(source) / name) for name in names]


def training_files(
    source: str | Path, *, training_file: str, questions_file: str, dataset_format: DatasetFormat
) -> list[str]:
    """The file that `stage_training` takes from a source, or the archive; empty where there is none."""
    if not Path(source).is_dir():
        return [str(source)]
    with _open_source(Path(source)) as opened:
        try:
            name = f"{_root(opened, questions_file, dataset_format)}{training_file}"
        except DataError:
            return []
        return [str(Path(source) / name)] if opened.has(name) else []


def stage_training(
    source: str | Path,
    target: str | Path,
    *,
    training_file: str,
    questions_file: str,
    dataset_format: DatasetFormat = SPIDER,
) -> None:
    """Copy a dataset's training questions, which lie beside its question file, out of a folder or zip archive.

    Raises DataError where there are none.
    """
    with _open_source(Path(source)) as opened:
        name = f"{_root(opened, questions_file, dataset_format)}{training_file}"
        if not opened.has(name):
            what = opened.fault(name) or f"holds no {name}, which demonstrations come from"
            advice = "name a training file in demonstrations.file, or leave out contexts that show demonstrations"
            raise DataError(f"{opened.label}: {what}; {advice}")
        _copy(opened, name, Path(target))


def _database_names(questions: Path) -> list[str]:
    """The databases that a question file uses, as plain folder names."""
    rows = read_json(questions)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and "db_id" in row for row in rows):
        raise DataError(f"{questions}: not a list of questions with the field db_id; expected the dataset's own format")
    names = sorted({str(row["db_id"]) for row in rows})
    for name in names:
        if not _is_folder_name(name):
            raise DataError(f"{questions}: '{name}' is no name of a database folder")
    return names


def _is_folder_name(name: str) -> bool:
    return bool(name) and PurePosixPath(name).name == name and name != ".."


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


def write_dataset(
    *,
    files: Sequence[str],
    source: str,
    questions: str,
    tables: str,
    databases: str,
    questions_file: str,
    tables_file: str,
    databases_folder: str,
    dataset_format: str,
    pool_databases: Sequence[str],
) -> None:
    """Stage a dataset in the folder that holds the outputs. `files`: those of the source, for Snakemake to watch.

    `tables_file`, `databases_folder`: "" for the format's own. `pool_databases`: those of a labelled pool.
    """
    names = stage_dataset(
        source,
        Path(questions).parent,
        questions_file=questions_file,
        dataset_format=FORMATS[dataset_format].with_files(tables_file, databases_folder),
        pool_databases=pool_databases,
    )
    log.info("staged %d databases from %s", len(names), source)


def write_training(
    *,
    files: Sequence[str],
    source: str,
    training: str,
    questions_file: str,
    tables_file: str,
    training_file: str,
    dataset_format: str,
) -> None:
    """Take a dataset's training questions out of its source. `files`, `tables_file`: as above."""
    stage_training(
        source,
        training,
        training_file=training_file,
        questions_file=questions_file,
        dataset_format=FORMATS[dataset_format].with_files(tables_file),
    )

"""Where a dataset's files come from: a folder, a zip archive, SQL text, or a download. A format names the files."""

from __future__ import annotations

import logging
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sqljudge.core.errors import DataError
from sqljudge.core.records import read_json
from sqljudge.data.datasets import FORMATS, SPIDER, DatasetFormat
from sqljudge.sql.databases import build_database
from sqljudge.sql.sandbox.files import LOGS, settle, whole_copy

log = logging.getLogger(__name__)

CHUNK = 1 << 20


class _Source:
    """A tree of files, in a folder or an archive, seen through relative POSIX paths."""

    def __init__(self, label: str, names: Sequence[str], open_file: Callable[[str], BinaryIO]) -> None:
        self.label = label
        self.open = open_file
        self.names = [name for name in names if not _is_debris(name)]


def _is_debris(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store"


@contextmanager
def _open_source(source: Path) -> Iterator[_Source]:
    if source.is_dir():
        names = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()]
        yield _Source(str(source), names, lambda name: (source / name).open("rb"))
    elif source.is_file():
        try:
            archive = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{source}: not a zip archive, or a truncated one ({error}); fetch it again") from error
        with archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            yield _Source(str(source), names, lambda name: archive.open(name))  # type: ignore[arg-type,return-value]
    else:
        raise DataError(f"dataset.source: {source} does not exist; name the folder or zip archive of the dataset")


def _root(source: _Source, questions_file: str, dataset_format: DatasetFormat) -> str:
    """The folder inside the source that holds both the question file and the schemas."""
    names = set(source.names)
    for name in sorted(names, key=lambda n: (n.count("/"), n)):
        folder, _, base = name.rpartition("/")
        prefix = f"{folder}/" if folder else ""
        if base == questions_file and f"{prefix}{dataset_format.tables_file}" in names:
            return prefix
    both = f"{questions_file} and {dataset_format.tables_file}"
    raise DataError(f"{source.label}: holds no folder with both {both}; is it {dataset_format.title}?")


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
    source: _Source, root: str, dataset_format: DatasetFormat, staging: Path
) -> Iterator[tuple[_Source, str]]:
    """Where the databases are: the source, or the archive inside it that holds them, and the folder in there."""
    inside, archive = f"{root}{dataset_format.databases_folder}/", f"{root}{dataset_format.databases_archive}"
    if archive not in source.names or any(name.startswith(inside) for name in source.names):
        yield source, inside
        return
    unpacked = staging / dataset_format.databases_archive
    _copy(source, archive, unpacked)
    with _open_source(unpacked) as nested:
        nested.label = f"{source.label}: {archive}"
        folder = f"{dataset_format.databases_folder}/"
        yield nested, folder if any(name.startswith(folder) for name in nested.names) else ""
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
    inside = [name for name in source.names if name.startswith(folder) and "/" not in name[len(folder) :]]
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
        raise DataError(f"{source.label}: {folder}{db_id}.sqlite is missing; the questions of '{db_id}' need it")


def stage_dataset(
    source: str | Path, target: str | Path, *, questions_file: str = "dev.json", dataset_format: DatasetFormat = SPIDER
) -> list[str]:
    """Bring the questions, schemas and databases of a dataset into one plain layout, and return the db_ids.

    `source`: a folder or zip archive, in the official archive's layout (one folder down) or a plain one. Databases
    are taken as `*.sqlite` (all of a database's files, so a distilled test suite stays whole), or built from
    `<db_id>.sql`; a format may have them in an archive inside the source. Only databases that the questions use are
    taken. `target` gets `questions.json`, `tables.json` and `database/`, all or nothing.

    Raises DataError naming what is missing or damaged.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with _open_source(Path(source)) as opened:
            root = _root(opened, questions_file, dataset_format)
            _copy(opened, f"{root}{questions_file}", staging / "questions.json")
            _copy(opened, f"{root}{dataset_format.tables_file}", staging / "tables.json")
            names = _database_names(staging / "questions.json")
            with _databases(opened, root, dataset_format, staging) as (holder, place):
                for db_id in names:
                    _stage_database(holder, place, db_id, staging / "database")
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
        if name not in opened.names:
            what = f"holds no {name}, which demonstrations come from"
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
        if not name or PurePosixPath(name).name != name or name == "..":
            raise DataError(f"{questions}: '{name}' is no name of a database folder")
    return names


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
    dataset_format: str,
) -> None:
    """Stage a dataset in the folder that holds the outputs. `files`: those of the source, for Snakemake to watch."""
    target = Path(questions).parent
    names = stage_dataset(source, target, questions_file=questions_file, dataset_format=FORMATS[dataset_format])
    log.info("staged %d databases from %s", len(names), source)


def write_training(
    *, files: Sequence[str], source: str, training: str, questions_file: str, training_file: str, dataset_format: str
) -> None:
    """Take a dataset's training questions out of its source. `files`: as above."""
    stage_training(
        source,
        training,
        training_file=training_file,
        questions_file=questions_file,
        dataset_format=FORMATS[dataset_format],
    )

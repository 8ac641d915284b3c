"""A dataset's files, out of a folder or a zip archive, in one plain layout; databases from SQL text, too."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from sqljudge.core.errors import DataError
from sqljudge.core.files import read_json, write_json
from sqljudge.data.datasets import FORMATS, SPIDER, DatasetFormat
from sqljudge.data.sources import Source, open_source
from sqljudge.sql.databases import build_database, database_path, tables_entry
from sqljudge.sql.sandbox import Sandbox
from sqljudge.sql.sandbox.files import LOGS, settle, whole_copy

log = logging.getLogger(__name__)


def _root(source: Source, questions_file: str, dataset_format: DatasetFormat, *, alone: bool = True) -> str:
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


@contextmanager
def _databases(
    source: Source, root: str, dataset_format: DatasetFormat, staging: Path, names: Iterable[str]
) -> Iterator[tuple[Source, str]]:
    """Where the databases are: the source, or the archive inside it that holds them, and the folder in there."""
    inside, archive = f"{root}{dataset_format.databases_folder}/", f"{root}{dataset_format.databases_archive}"
    if not source.has(archive) or any(source.files(f"{inside}{db_id}/") for db_id in names):
        yield source, inside
        return
    unpacked = staging / dataset_format.databases_archive
    source.copy(archive, unpacked)
    with open_source(unpacked) as nested:
        folder = f"{dataset_format.databases_folder}/"
        label = f"{source.label}: {archive}"
        yield dataclasses.replace(nested, label=label), folder if folder in nested.folders() else ""
    unpacked.unlink()


def _copy_database(source: Source, name: str, inside: Sequence[str], target: Path) -> None:
    """Copy a database file, with what lies in its logs, as one whole file. `inside`: the files beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    original = Path(source.label) / name
    if original.is_file():  # of a folder; its logs may lie elsewhere, where it is a link
        whole_copy(original, target)
        return
    for ending in ("", *LOGS):
        if f"{name}{ending}" in inside:
            source.copy(f"{name}{ending}", target.with_name(target.name + ending))
    settle(target)


def _stage_database(source: Source, place: str, db_id: str, target: Path) -> None:
    folder = f"{place}{db_id}/"
    inside = source.files(folder)
    files = [name for name in inside if name.endswith(".sqlite")]
    if f"{folder}{db_id}.sqlite" in files:
        for name in files:
            _copy_database(source, name, inside, target / db_id / PurePosixPath(name).name)
    elif f"{folder}{db_id}.sql" in inside:
        text = target / db_id / f"{db_id}.sql"
        source.copy(f"{folder}{db_id}.sql", text)
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
        with open_source(Path(source)) as opened:
            root = _root(opened, questions_file, dataset_format, alone=bool(pool_databases))
            names = []
            if opened.has(f"{root}{questions_file}"):
                opened.copy(f"{root}{questions_file}", staging / "questions.json")
                names = _database_names(staging / "questions.json")
            else:
                write_json(staging / "questions.json", [])
            further = sorted({name for name in pool_databases if _is_folder_name(name)} - {*names})
            with _databases(opened, root, dataset_format, staging, [*names, *further]) as (holder, place):
                names += [db_id for db_id in further if holder.files(f"{place}{db_id}/")]
                for db_id in names:
                    _stage_database(holder, place, db_id, staging / "database")
            if opened.has(f"{root}{dataset_format.tables_file}"):
                opened.copy(f"{root}{dataset_format.tables_file}", staging / "tables.json")
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
    with open_source(Path(source)) as opened:
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
    with open_source(Path(source)) as opened:
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
    with open_source(Path(source)) as opened:
        name = f"{_root(opened, questions_file, dataset_format)}{training_file}"
        if not opened.has(name):
            what = opened.fault(name) or f"holds no {name}, which demonstrations come from"
            advice = "name a training file in demonstrations.file, or leave out contexts that show demonstrations"
            raise DataError(f"{opened.label}: {what}; {advice}")
        opened.copy(name, Path(target))


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

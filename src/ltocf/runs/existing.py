"""A folder that already holds a run: refuse it, load that run, or replace it by a new one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from ltocf.data import Dataset
from ltocf.files import exchange, locked_folder, locked_name, names_beside, put_back
from ltocf.runs.changes import changes
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.runs.leftovers import RUN_FILES, has_diverged
from ltocf.runs.preparation import prepare_data

Exists: TypeAlias = Literal["error", "load", "replace"]
FILES = (*RUN_FILES, "tensorboard", ".lock", ".*.part")
"""Patterns of all files that a run leaves in its folder."""


def refuse_existing(path: str | Path, exists: Exists) -> None:
    """Refuse a folder that ``exists`` does not allow, before the data are read.

    Raises:
        ValueError: an unknown ``exists``.
        FileExistsError: there is a run, or what is left of one, and ``exists`` does not allow it.
        FileNotFoundError: the run that is to be loaded is not finished.
        NotADirectoryError: there is a file.
        BlockingIOError: another process is replacing the run at this moment.
    """
    if exists not in get_args(Exists):
        raise ValueError(f"`exists` must be one of {', '.join(get_args(Exists))}, got {exists!r}")
    put_back(Path(path).resolve())
    if exists == "load" and _holds_a_run(path):
        RunFolder(path).metrics()
    elif exists == "replace" and Path(path).is_dir():
        _refuse_foreign_files(Path(path))
    else:
        RunFolder.refuse_used(path)


def same_run(path: str | Path, config: Config, dataset: Dataset | None) -> dict[str, Any] | None:
    """The metrics of the finished run in a folder, None if there is none.

    Raises:
        FileExistsError: the run has other settings or other data.
    """
    if not _holds_a_run(path):
        return None
    run = RunFolder(path)
    metrics, other = run.metrics(), changes(run.config(), config)
    if not other and prepare_data(config, dataset).split.digest != run.read_data().split.digest:
        other = ["it has other data"]
    if other:
        raise FileExistsError(
            f'{path} holds another run: {", ".join(other)}; choose another `out`, or `exists = "replace"`'
        )
    return metrics


@contextmanager
def in_place_of(path: str | Path) -> Iterator[Path]:
    """A new folder beside ``path`` for a run that replaces it as a whole when the block ends without an error.

    Until then nothing in ``path`` changes except its lock. After an error the new folder is removed, unless its
    training diverged.

    Raises:
        FileExistsError: the folder has a file that does not belong to a run.
        BlockingIOError: another process is at work in it.
    """
    path = Path(path).resolve()
    new, old = names_beside(path)
    # The lock in the folder is moved away with it for a moment; the one beside it stays.
    with locked_name(path), locked_folder(path):
        for leftover in (new, old):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            yield new
            _refuse_foreign_files(path)
            exchange(path)
        finally:
            if not has_diverged(new):  # else its batch is kept for the user
                shutil.rmtree(new, ignore_errors=True)


def _holds_a_run(path: str | Path) -> bool:
    return (Path(path) / "config.toml").exists() and not has_diverged(Path(path))


def _refuse_foreign_files(path: Path) -> None:
    names = sorted(file.name for file in path.iterdir())
    if foreign := [name for name in names if not any(fnmatch(name, pattern) for pattern in FILES)]:
        raise FileExistsError(
            f"{path} is not replaced: {foreign[0]} in it does not belong to a run; move it away first"
        )

"""Folders that are made whole or not at all, and that take the place of another: a kill in between loses neither."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltocf.files.disk import reach_disk, rename
from ltocf.files.locks import locked_name
from ltocf.files.writing import errors_of


@contextmanager
def making_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes that name when the block ends well, and vanishes when it does not.

    What a process that was killed has left of it is removed by the next one.

    Raises:
        FileExistsError: there is something at ``path`` already.
        BlockingIOError: another process is making it.
    """
    _refuse_there(path)
    temporary = path.with_name(f".{path.name}.part")
    with locked_name(path):
        _refuse_there(path)  # another process may have finished it meanwhile
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with errors_of(path, temporary):
                temporary.mkdir()
                with _not_made_again(temporary):
                    yield temporary
                reach_disk(temporary)
                rename(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _refuse_there(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists already; give a new folder")


@contextmanager
def _not_made_again(folder: Path) -> Iterator[None]:
    """An error if the folder was removed in the block: what was written after has made it again, without the rest."""
    if os.name == "nt":  # where folders are not opened
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)  # held open, its number is not given to another
    try:
        yield
        if os.fstat(descriptor).st_ino != folder.stat().st_ino:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    finally:
        os.close(descriptor)


def names_beside(path: Path) -> tuple[Path, Path]:
    """Where a new folder waits to take the place of ``path``, and where the old one is for that moment.

    Example:
        >>> [place.name for place in names_beside(Path("shop"))]
        ['.shop.new', '.shop.old']
    """
    return path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")


def exchange(path: Path) -> None:
    """Let the new folder take the place of ``path``, and remove the old one; the caller holds `locked_name` of it.

    Raises:
        OSError: a folder cannot be renamed; the old one has its name then.
    """
    new, old = names_beside(path)
    shutil.rmtree(old, ignore_errors=True)  # of a process that was killed
    rename(path, old)
    try:
        rename(new, path)
    except OSError:
        rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def put_back(path: Path) -> None:
    """Give a folder its name again, if a process was killed in the moment when the next one was to take it.

    Raises:
        BlockingIOError: that process is alive, and in this moment.
    """
    _, old = names_beside(path)
    if not path.exists() and old.is_dir():
        with locked_name(path):
            if not path.exists():
                rename(old, path)

"""Folders that are made whole or not at all, and that replace another one: a kill in between loses neither."""

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

    The next call removes what a killed process left of it.

    Raises:
        FileExistsError: there is something at ``path`` already.
        BlockingIOError: another process is making it.
    """
    _refuse_existing(path)
    temporary = path.with_name(f".{path.name}.part")
    with locked_name(path):
        _refuse_existing(path)  # another process may have finished it meanwhile
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with errors_of(path, temporary):
                temporary.mkdir()
                with _not_recreated(temporary):
                    yield temporary
                reach_disk(temporary)
                rename(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists already; give a new folder")


@contextmanager
def _not_recreated(folder: Path) -> Iterator[None]:
    """Raise if the folder was removed during the block: a later write has made it again, without the earlier files."""
    if os.name == "nt":  # Windows cannot open folders
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)  # while it is open, no other folder gets its inode number
    try:
        yield
        if os.fstat(descriptor).st_ino != folder.stat().st_ino:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    finally:
        os.close(descriptor)


def names_beside(path: Path) -> tuple[Path, Path]:
    """Where a new folder waits to replace ``path``, and where the old one is while it is being replaced.

    Example:
        >>> [beside.name for beside in names_beside(Path("shop"))]
        ['.shop.new', '.shop.old']
    """
    return path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")


def exchange(path: Path) -> None:
    """Replace ``path`` by the new folder and remove the old one; the caller holds `locked_name` of ``path``.

    Raises:
        OSError: a folder cannot be renamed; the old one keeps its name.
    """
    new, old = names_beside(path)
    shutil.rmtree(old, ignore_errors=True)  # left by a killed process
    rename(path, old)
    try:
        rename(new, path)
    except OSError:
        rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def put_back(path: Path) -> None:
    """Give a folder its name back if a process was killed in `exchange`, after it took the name away.

    Raises:
        BlockingIOError: that process is alive, and is exchanging the folders now.
    """
    _, old = names_beside(path)
    if not path.exists() and old.is_dir():
        with locked_name(path):
            if not path.exists():
                rename(old, path)

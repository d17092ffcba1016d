"""Locks that let one process at a time work in a folder or on a name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ltocf.files.disk import make_folder

LOCK = ".lock"


@contextmanager
def locked_folder(folder: Path, name: str = LOCK, *, of: Path | None = None) -> Iterator[None]:
    """Only one process at a time is in the block; the operating system holds the lock, so it ends with the process.

    Args:
        folder: an existing folder.
        name: the file in it that is locked.
        of: the path that the message names; by default the folder.

    Raises:
        BlockingIOError: another process is in the block.
    """
    lock = FileLock(folder / name, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(
            f"another process is at work in {of or folder}; wait until it has ended, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_name(path: Path) -> Iterator[None]:
    """Like `locked_folder`, for a path that need not exist; the lock lies beside it and is removed at the end.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    make_folder(path.parent)
    lock = path.with_name(f".{path.name}{LOCK}")
    with locked_folder(lock.parent, lock.name, of=path):
        if not lock.exists():  # the process that held it removed it after this one had opened it
            raise BlockingIOError(f"another process was at work in {path}; call again")
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()

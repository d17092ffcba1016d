"""A folder that one process at a time works in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def gone_if_empty(folder: Path) -> Iterator[None]:
    """A folder that holds nothing but a lock after an error is removed."""
    try:
        yield
    except (ValueError, ArithmeticError, MemoryError):
        if [file.name for file in folder.iterdir()] in ([], [".lock"]):
            (folder / ".lock").unlink(missing_ok=True)
            folder.rmdir()
        raise


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """The operating system holds the lock for the process, so it is gone with it, however it ends."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(
            f"another process is at work in {folder}; wait until it has ended, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()

"""A folder takes the place of another, whole: a kill in between loses neither."""

from __future__ import annotations

import shutil
from pathlib import Path

from ltocf.files import locked_name, rename


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

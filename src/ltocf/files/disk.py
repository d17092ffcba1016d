"""Make what was written reach the disk, and remove what killed processes left behind."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are missing, and return when their names are on the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync(path.parent)


def reach_disk(path: Path) -> None:
    """Return when a file, or a folder with its content, is on the disk and not only in the system's memory."""
    if path.is_dir():
        for child in path.iterdir():
            reach_disk(child)
    sync(path)


def rename(old: Path, new: Path) -> None:
    """Rename a file or a folder within one folder, and return when the new name is on the disk."""
    old.rename(new)
    sync(new.parent)


def sync(path: Path) -> None:
    """Return when one file's content, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders, and keeps their names without being asked
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # file systems that cannot sync folders
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove what a process killed in `replacing` left of files with these names; only in a locked folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".lists.json.0123abcd.part").touch()
        >>> remove_leftovers(folder, "*.json")
        >>> list(folder.iterdir())
        []
    """
    for name in names:
        remove_inside(folder, f".{name}.????????.part*")  # the file, or the folder in which `save_arrays` makes it


def remove_inside(folder: Path, pattern: str, *, keep: str = "") -> None:
    """Remove the files and folders that match a pattern from a folder, except the one named ``keep``."""
    for path in folder.glob(pattern):
        if path.name == keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

"""What has been written is on the disk, and not only in the memory of the system; and what is left is removed."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are missing, and see that their names are on the disk."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync(made.parent)


def reach_disk(path: Path) -> None:
    """Return when a file, or a folder with all that is in it, is on the disk, and not only in the system's memory."""
    if path.is_dir():
        for inside in path.iterdir():
            reach_disk(inside)
    sync(path)


def rename(old: Path, new: Path) -> None:
    """Rename a file or a folder within one folder, and return when the new name is on the disk."""
    old.rename(new)
    sync(new.parent)


def sync(path: Path) -> None:
    # A folder is opened to be read; where systems do not open folders they keep names without being asked.
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # file systems that cannot be asked for names
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove what a process that was killed in `replacing` has left of files with such names; in a locked folder only.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".lists.json.0123abcd.part").touch()
        >>> remove_leftovers(folder, "*.json")
        >>> list(folder.iterdir())
        []
    """
    for name in names:
        remove_inside(folder, f".{name}.????????.part*")  # the file, or a folder of what it is made of


def remove_inside(folder: Path, pattern: str, *, but: str = "") -> None:
    """Remove the files and folders of such names from a folder, all but one."""
    for left in folder.glob(pattern):
        if left.name == but:
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)

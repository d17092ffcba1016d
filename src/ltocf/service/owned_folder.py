"""A temporary folder that goes with its owner, also one that was killed: the next owner removes it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "ltocf-"
OWNER = "owner"
"""A file that is locked for as long as the owner or a child of it lives."""


@contextmanager
def owned_folder() -> Iterator[Path]:
    """A new folder for as long as the block lasts; folders of owners that died are removed."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / f"{OWNER}.new").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            (folder / f"{OWNER}.new").rename(folder / OWNER)  # whoever finds it finds it locked
            yield folder


def _remove_abandoned(place: Path) -> None:
    for folder in place.glob(f"{PREFIX}*"):
        try:
            # In a place that all users write to, a link or a folder of another user is not ours to follow.
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / OWNER).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # it has an owner, or is none of these folders
            continue

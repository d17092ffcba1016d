"""A temporary folder that its owner removes or, if the owner is killed, the owner of the next such folder."""

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
"""A file that is locked for as long as the owner or a child process of the owner lives."""


@contextmanager
def owned_folder() -> Iterator[Path]:
    """A new folder for as long as the block lasts; folders of owners that died are removed."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / f"{OWNER}.new").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            (folder / f"{OWNER}.new").rename(folder / OWNER)  # so it is never found unlocked
            yield folder


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            # All users write to this parent: links and folders of other users are left alone.
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / OWNER).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its owner lives, or it is another kind of folder
            continue

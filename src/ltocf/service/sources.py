"""Where models come from: the newest generation of a run's folder, and how a newer one is noticed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from ltocf.serving import Snapshot
from ltocf.serving.held import MODEL_FILE


class Mark(NamedTuple):
    """Tells whether a file was replaced or changed: then its mark is another one."""

    path: str
    inode: int
    modified: int
    size: int

    @classmethod
    def of(cls, path: Path) -> Mark:
        """The mark of a file. Raises OSError if there is none."""
        found = path.resolve(strict=True)
        stat = found.stat()
        return cls(str(found), stat.st_ino, stat.st_mtime_ns, stat.st_size)


class Opened(NamedTuple):
    """A model that was read, and its generation if the source counts them."""

    snapshot: Snapshot
    generation: int | None = None


@runtime_checkable
class Source(Protocol):
    """Where an engine gets its models from."""

    def mark(self) -> Mark:
        """The mark of the newest model. Raises OSError if there is none."""

    def open(self) -> Opened:
        """Read the newest model. Raises ValueError for a damaged one, OSError if it cannot be read."""


@dataclass(frozen=True)
class FolderSource:
    """The newest generation of a run, read into memory.

    Args:
        run: the folder of a finished run, or a model file.
        follow: go on to what `ltocf update` made of the run: ``shop-2`` of ``shop``, ``shop-3`` of ``shop-2``.
    """

    run: Path
    follow: bool = True

    def newest(self) -> Path:
        """The folder of the newest generation that is finished."""
        run = self.run
        while self.follow and run.is_dir() and (later := _next(run)) is not None:
            run = later
        return run

    def mark(self) -> Mark:
        run = self.newest()
        return Mark.of(run / MODEL_FILE if run.is_dir() else run)

    def open(self) -> Opened:
        return Opened(Snapshot.open(self.newest()))


def _next(run: Path) -> Path | None:
    """The last finished generation that was made of a run, if any; metrics.json is written last."""
    run = run.resolve()
    stem, dash, number = run.name.rpartition("-")
    stem, generation = (stem, int(number)) if dash and number.isdecimal() else (run.name, 1)
    later = []
    for folder in run.parent.glob(f"{glob_escaped(stem)}-*"):
        text = folder.name[len(stem) + 1 :]
        if text.isdecimal() and int(text) > generation and _parent(folder) == run.name:
            later.append((int(text), folder))
    return max(later)[1] if later else None


def _parent(folder: Path) -> str | None:
    """The name of the run that a generation was made of; None for a run that no update made, or an unfinished one."""
    try:
        record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return Path(record["parent"]).name if (folder / MODEL_FILE).exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def glob_escaped(text: str) -> str:
    """A name as a pattern of `Path.glob` that matches only this name.

    Example:
        >>> glob_escaped("shop[1]")
        'shop[[]1]'
    """
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)

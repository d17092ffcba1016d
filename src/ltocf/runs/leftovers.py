"""What is left in the folder of a run that came to nothing."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltocf.files import LOCK, remove_inside

logger = logging.getLogger(__name__)

DIVERGED = "diverged.safetensors"
OWN = ("config.toml", "reading.txt", "history.jsonl", "metrics.json", "*.safetensors", "candidate-*.json")
"""The files that a run writes, but for those of TensorBoard."""

TO_GO_ON_FROM = ("checkpoint-*.safetensors", "candidate-*", DIVERGED)


@contextmanager
def gone_if_empty(folder: Path) -> Iterator[None]:
    """A folder that holds nothing but a lock after an error is removed."""
    try:
        yield
    except (ValueError, ArithmeticError, MemoryError):
        if folder.is_dir() and {file.name for file in folder.iterdir()} <= {LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
        raise


@contextmanager
def free_if_not_begun(folder: Path) -> Iterator[None]:
    """Settings that cannot be trained with leave a folder that can be used again."""
    try:
        yield
    except (ValueError, ArithmeticError, MemoryError):
        first = ("reading.txt", "data.safetensors", "config.toml")
        if {file.name for file in folder.iterdir()} - {LOCK} <= set(first):
            for name in first:
                (folder / name).unlink(missing_ok=True)
        raise


def has_diverged(path: Path) -> bool:
    """Whether a folder holds a run that ended because its loss was no longer finite: its settings lead nowhere."""
    return (path / DIVERGED).exists() and not (path / "metrics.json").exists()


def remove_diverged(path: Path) -> None:
    """Remove a run that diverged; its mark goes last, so a process that is killed meanwhile leaves it marked."""
    logger.info("%s holds a run that diverged; a new one takes its place", path)
    for pattern in (*OWN, "tensorboard"):
        remove_inside(path, pattern, keep=DIVERGED)
    (path / DIVERGED).unlink()


def remove_run(path: Path) -> None:
    """Remove a run; config.toml goes last, so that a process that is killed meanwhile leaves a run to go on."""
    remove_inside(path, "*", keep="config.toml")
    shutil.rmtree(path)


def has_checkpoints(path: Path) -> bool:
    """Whether there is something that a finished run has no use for."""
    return any(any(path.glob(pattern)) for pattern in TO_GO_ON_FROM)


def remove_checkpoints(path: Path) -> None:
    """Remove what a finished run has no use for."""
    for pattern in TO_GO_ON_FROM:
        remove_inside(path, pattern)

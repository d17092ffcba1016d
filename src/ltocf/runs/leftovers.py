"""Files in the folder of a run that are no longer needed, or that a failed run has left."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltocf.files import LOCK, remove_inside

logger = logging.getLogger(__name__)

DIVERGED = "diverged.safetensors"
SHARDS = "checkpoint-*-shards-*"
PLAN = "candidates.json"
DRIFT = "drift.json"
RUN_FILES = (
    "config.toml",
    "reading.txt",
    "history.jsonl",
    "metrics.json",
    "*.safetensors",
    SHARDS,
    "candidate-*.json",
    PLAN,
    DRIFT,
)
"""Patterns of the files that a run writes, without those of TensorBoard."""
RESUME_FILES = ("checkpoint-*.safetensors", SHARDS, "candidate-*", PLAN, DRIFT, DIVERGED)
"""Patterns of the files that a finished run has no use for."""


@contextmanager
def removing_if_empty(folder: Path) -> Iterator[None]:
    """After an error in the block, remove a folder that holds nothing but a lock."""
    try:
        yield
    except (ValueError, ArithmeticError, MemoryError):
        if folder.is_dir() and {file.name for file in folder.iterdir()} <= {LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
        raise


@contextmanager
def removing_if_not_begun(folder: Path) -> Iterator[None]:
    """After an error in the block, remove the files of a run without an epoch: the folder can be used again."""
    try:
        yield
    except (ValueError, ArithmeticError, MemoryError):
        first_files = (PLAN, "reading.txt", "data.safetensors", "config.toml")
        if {file.name for file in folder.iterdir()} - {LOCK} <= set(first_files):
            for name in first_files:
                (folder / name).unlink(missing_ok=True)
        raise


def has_diverged(path: Path) -> bool:
    """Whether a folder holds a run that ended because its loss was no longer finite."""
    return (path / DIVERGED).exists() and not (path / "metrics.json").exists()


def remove_diverged(path: Path) -> None:
    """Remove a run that diverged; the file that marks it goes last, in case the process is killed meanwhile."""
    logger.info("%s holds a run that diverged; a new one takes its place", path)
    for pattern in (*RUN_FILES, "tensorboard"):
        remove_inside(path, pattern, keep=DIVERGED)
    (path / DIVERGED).unlink()


def remove_run(path: Path) -> None:
    """Remove a run; config.toml goes last, so that a process killed meanwhile leaves a run that can be continued."""
    remove_inside(path, "*", keep="config.toml")
    shutil.rmtree(path)


def has_checkpoints(path: Path) -> bool:
    """Whether there are files that a finished run has no use for."""
    return any(any(path.glob(pattern)) for pattern in RESUME_FILES)


def remove_checkpoints(path: Path) -> None:
    """Remove the files that a finished run has no use for."""
    for pattern in RESUME_FILES:
        remove_inside(path, pattern)

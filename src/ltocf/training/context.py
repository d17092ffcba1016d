"""The context of a training: its time limit, its checkpoint, and what is called after an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch

from ltocf.evaluation.ranks import ALONE, Ranks

EpochRecord: TypeAlias = dict[str, Any]


class FitResult(NamedTuple):
    """How training ended: ``stopped_by`` is ``epochs``, ``patience``, ``converged`` or ``max_minutes``.

    Without a validation there is no best epoch. ``repeating_seconds`` is how long the same training up to the best
    epoch takes, without validations and searches; 0 for a closed form, which no time limit cuts off.
    """

    epochs: int
    best_epoch: int | None
    best_value: float | None
    seconds: float
    stopped_by: str
    repeating_seconds: float = 0.0

    def after(self, epochs: int, seconds: float) -> FitResult:
        """The same result after ``epochs`` earlier epochs, none of them the best, which took ``seconds``."""
        best = None if self.best_epoch is None else self.best_epoch + epochs
        return self._replace(epochs=self.epochs + epochs, best_epoch=best, seconds=self.seconds + seconds)


@dataclass(frozen=True)
class FitContext:
    """What training needs besides model, data and settings.

    Args:
        select_by: the validated metric; the epoch with its highest value is selected.
        checkpoint: file to continue from if it exists, written again after epochs and at the end; None: no file.
        fingerprint: digest of configuration and data; a checkpoint with another fingerprint is refused.
        last_epoch: training ends with this epoch, while the schedule is that of all epochs of the settings; 0: with the
            last one.
        deadline: when everything must be over, on the clock of `time.monotonic`.
        validation_seconds: how long a validation is expected to take until one is measured.
        on_epoch: receives one flat record per epoch.
        before_checkpoint: called before a checkpoint is written, to put what ``on_epoch`` wrote onto the disk.
        diverged: file for the batch whose loss is no longer finite, see `ltocf.training.divergence`; None: no file.
        seconds_between_checkpoints: a crash loses at most this much work, and one epoch.
        show_progress: show a bar on a terminal and in Jupyter, else one line for each validation.
        description: the label of the bar and of the lines.
        ranks: the processes that train together; the first one decides whether the deadline has passed.
        device: where steps are computed; None: where the model is.
    """

    select_by: str = "recall@20"
    checkpoint: Path | None = None
    fingerprint: str = ""
    last_epoch: int = 0
    deadline: float = math.inf
    validation_seconds: float = 0.0
    on_epoch: Callable[[EpochRecord], None] | None = None
    before_checkpoint: Callable[[], None] = lambda: None
    diverged: Path | None = None
    seconds_between_checkpoints: float = 10.0
    show_progress: bool = False
    description: str = "training"
    ranks: Ranks = ALONE
    device: torch.device | None = None

    def seconds_left(self) -> float:
        """Seconds until the deadline; below zero after it."""
        return self.deadline - time.monotonic()

    def is_late(self, seconds: float = 0.0) -> bool:
        """Whether something that takes ``seconds`` would end after the deadline."""
        # Clocks differ: processes that each decided by their own clock would wait for each other for ever.
        late = self.seconds_left() < seconds
        return late if self.deadline == math.inf else self.ranks.first(late)

    def epochs_of(self, epochs: int) -> int:
        """How many of ``epochs`` are trained."""
        return min(self.last_epoch, epochs) if self.last_epoch else epochs

    def after(self, epochs: int) -> FitContext:
        """The same context; its records count epochs from ``epochs`` + 1."""
        on_epoch = self.on_epoch
        if on_epoch is None:
            return self
        return replace(self, on_epoch=lambda record: on_epoch({**record, "epoch": record["epoch"] + epochs}))

    def within(self, seconds: float) -> FitContext:
        """The same context, with a deadline no later than ``seconds`` from now."""
        return replace(self, deadline=min(self.deadline, time.monotonic() + seconds))

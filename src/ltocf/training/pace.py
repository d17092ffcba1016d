"""How fast the learning rate falls when time is short: the schedule ends with the time limit, not after it."""

from __future__ import annotations

import math

from ltocf.training.checkpoint import TrainingState
from ltocf.training.context import FitContext
from ltocf.training.settings import TrainingSettings

ALMOST = 1e-9
"""Of an epoch: what sums of fractions may lack of a whole number."""


def next_stride(settings: TrainingSettings, context: FitContext, state: TrainingState) -> float:
    """Epochs of the schedule that the next epoch stands for: 1, or more if the rest would not fit into the time left.

        stride = max(1, (epochs - position) / n),   n = floor((seconds left - 2 validations) / seconds of an epoch)

    Rates that are still high when training is cut off give a worse model than fewer epochs of rates that came down to
    zero. Seconds are those of the epochs so far, so the first epoch is always a whole one.

    Args:
        settings: with a schedule that falls, else there is nothing to speed up.
        context: with a deadline, or with the positions of a training that is to be repeated.
        state: the epochs so far.

    Source: Li, Yumer, Ramanan, ICLR 2020, section 3, https://arxiv.org/abs/1905.04753. Differs: there the number of
    steps is given; here it is estimated anew before each epoch.

    Example:
        >>> settings = TrainingSettings(epochs=10, schedule="cosine")
        >>> next_stride(settings, FitContext(), TrainingState(epoch=1, seconds=8.0))
        1.0
    """
    if state.epoch < len(context.positions):
        return context.positions[state.epoch] - state.position
    if context.deadline == math.inf or settings.schedule == "constant" or not state.epoch:
        return 1.0
    left = context.seconds_left() - 2 * state.validation_seconds
    fitting = max(1, int(left * state.epoch / max(state.seconds, ALMOST)))
    # Clocks differ, and processes that share a model must share its rates.
    return context.ranks.first(max(1.0, (settings.epochs - state.position) / fitting))


def expected_epochs(settings: TrainingSettings, context: FitContext, state: TrainingState) -> int:
    """How many epochs there will be in all, if the rest goes on as the last one."""
    *_, before, now = 0.0, *state.positions
    left = math.ceil((settings.epochs - now) / (now - before) - ALMOST)
    return min(context.epochs_of(settings.epochs), state.epoch + left)


def is_through(settings: TrainingSettings, state: TrainingState) -> bool:
    """Whether the schedule has come to its end."""
    return state.position >= settings.epochs - ALMOST

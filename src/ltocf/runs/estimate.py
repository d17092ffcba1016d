"""An estimate of the minutes that training takes on two CPU cores."""

from __future__ import annotations

from math import ceil, log2

from ltocf.models.objective import SOFTMAX_PIECE_SIZE
from ltocf.runs.presets import SOFTMAX_RECIPE
from ltocf.training.settings import TrainingSettings

SECONDS_PER_DOUBLING = 1.13
"""Growth of the time with each doubling of the length of an embedding, from results/gowalla/ltocf-fast-dim128.json and
ltocf-fast.json."""

# Fitted by hand to the seconds of results/gowalla/ltocf-fast.json and results/yelp2018/ltocf-fast.json, on two cores.
SECONDS_PER_SAMPLE = 45e-6
"""For the scores of one pair of a batch against the shared negatives, forward and backward."""
SECONDS_PER_EDGE = 0.2e-6
"""For all sparse products of one step, per pair of the graph."""
FITS = 2
"""One training chooses the epoch, the other uses all pairs."""


def training_minutes(n_items: int, n_pairs: int, dim: int = 64, epochs: int = SOFTMAX_RECIPE["epochs"]) -> float:
    """About how many minutes training LT-OCF with the preset ``fast`` takes.

    With B pairs a batch and 8,192 negatives, or all items if they are fewer, a step at dimension 64 takes ``45e-6 B
    + 0.2e-6 n_pairs`` seconds: scores of the batch against the negatives, and the sparse products. Measured values were
    within a factor of two. `ltocf.runs.memory` states the memory that it takes.

    Args:
        n_items: number of items.
        n_pairs: number of training pairs.
        dim: length of an embedding.
        epochs: how many, if not those of the preset.

    Example:
        >>> round(training_minutes(40_981, 810_128))
        14
    """
    batch, _ = TrainingSettings(batch_size=SOFTMAX_RECIPE["batch_size"]).steps_for(n_pairs, SOFTMAX_PIECE_SIZE)
    passes: float = FITS * epochs * SOFTMAX_RECIPE["epoch_share"]
    negatives = min(n_items, SOFTMAX_RECIPE["n_negatives"])
    per_sample = SECONDS_PER_SAMPLE * negatives / SOFTMAX_RECIPE["n_negatives"]
    step: float = (batch * per_sample + n_pairs * SECONDS_PER_EDGE) * SECONDS_PER_DOUBLING ** log2(dim / 64)
    return passes * ceil(n_pairs / batch) * step / 60

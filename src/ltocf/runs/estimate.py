"""What training on a data set costs, said before it is done: about, and on two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

from ltocf.models.objective import SOFTMAX_PIECE_SIZE
from ltocf.runs.presets import SOFTMAX_RECIPE
from ltocf.training.settings import TrainingSettings

SECONDS_PER_DOUBLING = 1.13
"""Of the length of an embedding, results/gowalla/ltocf-fast-dim128.json beside ltocf-fast.json."""
FLOAT_BYTES = 4

# Fitted by hand to the seconds of results/gowalla/ltocf-fast.json and results/yelp2018/ltocf-fast.json, and to the
# bytes of results/speed/step-synthetic-{10m,50m}.json, all of two cores.
SECONDS_PER_SAMPLE = 45e-6
"""Scores of one pair of a batch against the shared negatives, forward and backward."""
SECONDS_PER_EDGE = 0.2e-6
"""All sparse products of one step, by the pair of the graph."""
BASE_BYTES = 450_000_000
BYTES_PER_PAIR = 60
STATES = 6
"""Matrices of nodes x dim at one time: parameters, the optimiser's two, gradients, states of the series."""
SCORE_MATRICES = 3
FITS = 2
"""One chooses the epoch, the other trains on everything."""


@dataclass(frozen=True)
class Estimate:
    """About what `ltocf train` takes with its defaults.

    Args:
        minutes: on two CPU cores.
        bytes: highest resident memory.
    """

    minutes: float
    bytes: int

    def __str__(self) -> str:
        minutes = "less than a minute" if self.minutes < 1 else f"about {self.minutes:,.0f} minutes"
        return f"{minutes} on two CPU cores, about {self.bytes / 1e9:.1f} GB of memory"


def estimate_training(n_users: int, n_items: int, n_pairs: int, dim: int = 64) -> Estimate:
    """About the time and memory of training LT-OCF with the preset ``fast``.

    With B pairs a batch and 8,192 negatives, or all items where they are fewer, a step at dimension 64 takes ``45e-6 B
    + 0.2e-6 n_pairs`` seconds: scores of the batch against the negatives, and the sparse products. Measured values were
    within a factor of two.

    Example:
        >>> print(estimate_training(29_858, 40_981, 810_128))
        about 14 minutes on two CPU cores, about 1.4 GB of memory
    """
    told = TrainingSettings(batch_size=SOFTMAX_RECIPE["batch_size"])
    batch, pieces = told.steps_for(n_pairs, SOFTMAX_PIECE_SIZE)
    passes = FITS * SOFTMAX_RECIPE["epochs"] * SOFTMAX_RECIPE["epoch_share"]
    negatives = min(n_items, SOFTMAX_RECIPE["n_negatives"])
    per_sample = SECONDS_PER_SAMPLE * negatives / SOFTMAX_RECIPE["n_negatives"]
    step = (batch * per_sample + n_pairs * SECONDS_PER_EDGE) * SECONDS_PER_DOUBLING ** log2(dim / 64)
    seconds = passes * ceil(n_pairs / batch) * step
    scores = SCORE_MATRICES * batch // pieces * negatives * FLOAT_BYTES
    states = STATES * (n_users + n_items) * dim * FLOAT_BYTES
    return Estimate(seconds / 60, BASE_BYTES + BYTES_PER_PAIR * n_pairs + states + scores)

"""An estimate of the minutes that training takes on two CPU cores."""

from __future__ import annotations

from math import ceil

from ltocf.models.drift import MOST_SCORES, POWERS
from ltocf.models.objective import SOFTMAX_PIECE_SIZE
from ltocf.models.ranking import EXPECTED_RANKINGS
from ltocf.runs.presets import SOFTMAX_RECIPE
from ltocf.training import SEARCH_USERS
from ltocf.training.settings import TrainingSettings

# Measured on two cores of an AMD EPYC on Gowalla, and within a factor of two of results/*/ltocf-fast.json.
SECONDS_PER_SCORE = 4e-9
"""For one pair of a batch against one of the shared negatives, forward and backward, at dimension 64."""
SECONDS_PER_EDGE = 0.2e-6
"""For all sparse products of one step at dimension 64, per pair of the graph."""
GROWTH = 0.75
"""The power of the dimension by which a step takes longer."""
SECONDS_PER_RANKED = 2.5e-9
"""For the score of one item for one user."""
FITS = 2
"""One training chooses the epoch, the other uses all pairs."""

# From contests on Gowalla and Yelp2018 on two cores (results/auto).
START_MINUTES = 0.1
"""Of the start from the spectrum at dimension 64, for each million pairs."""
SPECTRAL_MINUTES = 0.52, 0.6
"""At rank 256: for each 10,000 items, ranked for 8,000 users, and for each million pairs."""
SPECTRAL_GROWTH = 0.25
"""The power of the rank by which it takes longer."""
NEIGHBOUR_MINUTES = 0.3, 0.05
"""For each million pairs: to begin with, and for each evaluation beside its ranking."""
REGRESSION_MINUTES = 0.39
"""For each million pairs at rank 512: a decomposition and the sums over events."""
REGRESSION_GROWTH = 1.5
"""The power of the rank by which they take longer."""
NEIGHBOUR_EVALUATIONS = 16
"""After so many the search of the neighbours' numbers usually ends."""


def training_minutes(
    n_items: int,
    n_pairs: int,
    dim: int = 64,
    epochs: int = SOFTMAX_RECIPE["epochs"],
    n_negatives: int = SOFTMAX_RECIPE["n_negatives"],
) -> float:
    """About how many minutes training LT-OCF with the preset ``fast`` takes.

    With B pairs a batch and n negatives, or all items if they are fewer, a step takes ``(4e-9 n B + 2e-7 n_pairs)
    (dim / 64)^0.75`` seconds: scores of the batch against the negatives, and the sparse products. Measured values were
    within a factor of two. `ltocf.runs.memory` states the memory that it takes.

    Args:
        n_items: number of items.
        n_pairs: number of training pairs.
        dim: length of an embedding.
        epochs: how many, if not those of the preset.
        n_negatives: how many, if not those of the preset.

    Example:
        >>> round(training_minutes(40_981, 810_128)), round(training_minutes(40_981, 810_128, 128, 8, 2048))
        (12, 3)
    """
    batch, _ = TrainingSettings(batch_size=SOFTMAX_RECIPE["batch_size"]).steps_for(n_pairs, SOFTMAX_PIECE_SIZE)
    passes: float = FITS * epochs * SOFTMAX_RECIPE["epoch_share"]
    scores = batch * min(n_items, n_negatives)
    step: float = (scores * SECONDS_PER_SCORE + n_pairs * SECONDS_PER_EDGE) * (dim / 64) ** GROWTH
    return passes * ceil(n_pairs / batch) * step / 60


def ranking_minutes(n_users: int, n_items: int, n_validations: int) -> float:
    """About how many minutes a training takes beside its steps: validations, then choosing the numbers of the ranking.

    Args:
        n_users: number of users who are ranked in a validation.
        n_items: number of items.
        n_validations: how often.

    Example:
        >>> round(ranking_minutes(30_000, 41_000, 8), 1)
        0.6
    """
    n_ranked = n_validations * n_users + EXPECTED_RANKINGS * min(n_users, SEARCH_USERS)
    return n_ranked * n_items * SECONDS_PER_RANKED / 60


def drift_minutes(n_users: int, n_items: int) -> float:
    """About how many minutes measuring the drift of recency takes.

    Example:
        >>> round(drift_minutes(30_000, 41_000), 1)
        0.2
    """
    n_scores = min(n_users * n_items, MOST_SCORES)
    return 2 * len(POWERS) * n_scores * SECONDS_PER_RANKED / 60


def start_minutes(n_pairs: int, dim: int) -> float:
    """About how many minutes a start from the spectrum takes.

    Example:
        >>> round(start_minutes(1_000_000, 128), 1)
        0.2
    """
    return START_MINUTES * dim / 64 * n_pairs / 1e6


def spectral_minutes(n_users: int, n_items: int, n_pairs: int, rank: int) -> float:
    """About how many minutes `spectral` takes, with its search; ``n_users`` are those whom the search ranks.

    Example:
        >>> round(spectral_minutes(8_000, 41_000, 640_000, 256), 1)
        2.5
    """
    by_items, by_pairs = SPECTRAL_MINUTES
    at_256 = by_items * n_items / 1e4 * n_users / 8_000 + by_pairs * n_pairs / 1e6
    return at_256 * float((rank / 256) ** SPECTRAL_GROWTH)


def neighbour_minutes(n_users: int, n_items: int, n_pairs: int, epochs: int = NEIGHBOUR_EVALUATIONS) -> float:
    """About how many minutes `item-knn` or `sequence-knn` takes; ``n_users`` are those whom the search ranks.

    Example:
        >>> round(neighbour_minutes(8_000, 41_000, 640_000), 1)
        0.9
    """
    begun, evaluation = NEIGHBOUR_MINUTES
    rankings = epochs * n_users * n_items * SECONDS_PER_RANKED / 60
    return (begun + evaluation * epochs) * n_pairs / 1e6 + rankings


def regression_minutes(n_ranked: int, n_items: int, n_pairs: int, rank: int) -> float:
    """About how many minutes `history-regression` takes; ``n_ranked`` are the users of all its rankings.

    Example:
        >>> [round(regression_minutes(50_000, 41_000, 640_000, rank), 1) for rank in (256, 512, 1024)]
        [0.4, 0.9, 2.1]
    """
    fit = REGRESSION_MINUTES * n_pairs / 1e6 * float((rank / 512) ** REGRESSION_GROWTH)
    return FITS * fit + n_ranked * n_items * SECONDS_PER_RANKED * float((rank / 64) ** GROWTH) / 60

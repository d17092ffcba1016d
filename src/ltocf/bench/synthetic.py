"""Bipartite graphs of any size whose degrees follow a power law."""

from __future__ import annotations

import numpy as np

from ltocf.data.interactions import Interactions

PAIRS_PER_USER = 50
PAIRS_PER_ITEM = 100
FEWEST_PAIRS = 50_000
EXPONENT = 0.7
SHIFT = 10.0
"""Degrees fall with the rank as (rank + shift)^-exponent; the shift keeps the first from touching everything."""


def power_law(n_pairs: int, seed: int = 0) -> Interactions:
    """Exactly ``n_pairs`` different pairs, users and items in proportion, both drawn from a Zipf-like law.

    Raises:
        ValueError: fewer than 50,000 pairs: they would fill too much of so small a matrix.

    Example:
        >>> log = power_law(100_000)
        >>> len(log), log.n_users, log.n_items
        (100000, 2000, 1000)
    """
    if n_pairs < FEWEST_PAIRS:
        raise ValueError(f"a synthetic graph needs at least {FEWEST_PAIRS:,} pairs, got {n_pairs:,}")
    random = np.random.default_rng(seed)
    n_users, n_items = n_pairs // PAIRS_PER_USER, n_pairs // PAIRS_PER_ITEM
    # Shuffled: otherwise popular nodes would be neighbours in memory, unlike those of real data.
    user_of_rank, item_of_rank = random.permutation(n_users), random.permutation(n_items)
    keys = np.empty(0, np.int64)
    while len(keys) < n_pairs:
        size = int((n_pairs - len(keys)) * 1.2) + 16
        users, items = user_of_rank[_ranks(random, n_users, size)], item_of_rank[_ranks(random, n_items, size)]
        keys = np.unique(np.concatenate([keys, users * np.int64(n_items) + items]))
    surplus = len(keys) - n_pairs
    keys = np.delete(keys, random.choice(len(keys), surplus, replace=False))
    return Interactions(keys // n_items, keys % n_items, n_users, n_items)


def _ranks(random: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Random ranks in 0..n-1, in proportion to (rank + shift)^-exponent, by the inverse distribution function."""
    power = 1 - EXPONENT
    low, high = SHIFT**power, (n + SHIFT) ** power
    drawn = (low + random.random(size) * (high - low)) ** (1 / power) - SHIFT
    ranks: np.ndarray = np.minimum(drawn.astype(np.int64), n - 1)
    return ranks

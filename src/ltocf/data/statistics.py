"""What a dataset looks like in numbers."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from ltocf.data.dataset import Dataset
from ltocf.shapes import Counts

_EARLIEST_LAST, _LATEST = 100_000_000, 253_402_300_799
"""Timestamps that end before March 1973 are places, not seconds since 1970; no date is beyond the year 9999."""


def statistics(dataset: Dataset) -> dict[str, int | float]:
    """Counts, density and skew of a dataset, in the order in which to show them.

    Density and the counts per user and item are over train and test together and include users and items without
    a pair. ``popular_share`` is the share of pairs on the most popular 1 % of the items (at least one);
    ``item_gini`` is 0 if all items are equally popular and near 1 if one has all pairs. Cold users and items have
    test pairs and no training pairs.

    Raises:
        ValueError: no pairs at all.

    Example:
        >>> from ltocf.data import Interactions, Names
        >>> log = Interactions.from_pairs([0, 0, 1], [0, 1, 1])
        >>> figures = statistics(Dataset("tiny", log, Names.identity(2, 2)))
        >>> figures["users"], figures["density"], figures["mean_items_per_user"]
        (2, 0.75, 1.5)
    """
    train, test = dataset.interactions, dataset.test
    pairs = train if test is None else train.union(test)
    if not len(pairs):
        raise ValueError(f"{dataset.name} must hold at least one pair, got none")
    per_user, per_item = pairs.user_degrees, pairs.item_degrees
    ascending = np.sort(per_item)
    n_popular = -(-pairs.n_items // 100)
    return {
        "users": pairs.n_users,
        "items": pairs.n_items,
        "train_pairs": len(train),
        "test_pairs": 0 if test is None else len(test),
        "density": len(pairs) / (pairs.n_users * pairs.n_items),
        "mean_items_per_user": float(per_user.mean()),
        "min_items_per_user": int(per_user.min()),
        "median_items_per_user": float(np.median(per_user)),
        "max_items_per_user": int(per_user.max()),
        "users_with_one_item": int((per_user == 1).sum()),
        "mean_users_per_item": float(per_item.mean()),
        "min_users_per_item": int(per_item.min()),
        "median_users_per_item": float(np.median(per_item)),
        "max_users_per_item": int(per_item.max()),
        "popular_share": float(ascending[-n_popular:].sum() / len(pairs)),
        "item_gini": gini(per_item),
        "cold_users": 0 if test is None else int(((train.user_degrees == 0) & (test.user_degrees > 0)).sum()),
        "cold_items": 0 if test is None else int(((train.item_degrees == 0) & (test.item_degrees > 0)).sum()),
    }


def gini(counts: Counts) -> float:
    """How unevenly a total is spread: 0 if all have the same or the total is 0, near 1 if one has everything.

        G = Σ_{j=1..n} (2 j - n - 1) x_(j) / (n Σ_j x_j),   x_(1) <= ... <= x_(n)

    Source of the formula for sorted values: https://en.wikipedia.org/wiki/Gini_coefficient

    Example:
        >>> gini(np.array([2, 2, 2])), gini(np.array([0, 0, 0, 8])), gini(np.array([3, 1]))
        (0.0, 0.75, 0.25)
    """
    n, total = len(counts), int(counts.sum())
    if not total:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(((2 * ranks - n - 1) * np.sort(counts)).sum() / (n * total))


def time_range(dataset: Dataset) -> tuple[str, str] | None:
    """The first and the last moment of the interactions, ISO 8601 in UTC; None without a clock.

    Example:
        >>> from ltocf.data import Interactions, Names
        >>> log = Interactions.from_pairs([0, 0], [0, 1], timestamps=[1714521600, 1714608000])
        >>> time_range(Dataset("tiny", log, Names.identity(1, 2)))
        ('2024-05-01T00:00:00+00:00', '2024-05-02T00:00:00+00:00')
    """
    when = dataset.interactions.timestamps
    if when is None or not len(when) or not dataset.has_clock:
        return None
    if when.min() < 0 or not _EARLIEST_LAST <= when.max() <= _LATEST:
        return None
    first, last = (datetime.fromtimestamp(int(moment), UTC).isoformat() for moment in (when.min(), when.max()))
    return first, last

"""What a dataset looks like in numbers."""

from __future__ import annotations

import numpy as np

from ltocf.data.dataset import Dataset


def statistics(dataset: Dataset) -> dict[str, int | float]:
    """Counts, density and skew of a dataset, in the order in which to show them.

    Density and the counts per user and item are over train and test together and include users and items without
    a pair. ``popular_share`` is the share of pairs on the most popular 1 % of the items (at least one);
    ``item_gini`` is 0 if all items are equally popular and near 1 if one has all pairs. Cold users and items have
    test pairs and no training pairs.

    Raises:
        ValueError: no pairs at all.

    Source of the Gini formula for sorted values: https://en.wikipedia.org/wiki/Gini_coefficient

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
    ranks = np.arange(1, pairs.n_items + 1)
    return {
        "users": pairs.n_users,
        "items": pairs.n_items,
        "train_pairs": len(train),
        "test_pairs": 0 if test is None else len(test),
        "density": len(pairs) / (pairs.n_users * pairs.n_items),
        "mean_items_per_user": float(per_user.mean()),
        "median_items_per_user": float(np.median(per_user)),
        "mean_users_per_item": float(per_item.mean()),
        "median_users_per_item": float(np.median(per_item)),
        "popular_share": float(ascending[-n_popular:].sum() / len(pairs)),
        "item_gini": float(((2 * ranks - pairs.n_items - 1) * ascending).sum() / (pairs.n_items * len(pairs))),
        "cold_users": 0 if test is None else int(((train.user_degrees == 0) & (test.user_degrees > 0)).sum()),
        "cold_items": 0 if test is None else int(((train.item_degrees == 0) & (test.item_degrees > 0)).sum()),
    }

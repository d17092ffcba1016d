"""Assertions that two data sets are equal."""

from __future__ import annotations

import numpy as np

from ltocf.data import Dataset, Interactions


def same_pairs(one: Interactions | None, other: Interactions | None) -> None:
    """Assert that the pairs, timestamps and weights are equal."""
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    np.testing.assert_array_equal(one.keys, other.keys)
    assert (one.timestamps is None) == (other.timestamps is None)
    if one.timestamps is not None and other.timestamps is not None:
        np.testing.assert_array_equal(one.timestamps, other.timestamps)
    assert (one.weights is None) == (other.weights is None)
    if one.weights is not None and other.weights is not None:
        np.testing.assert_array_equal(one.weights, other.weights)


def same_datasets(stored: Dataset, read: Dataset) -> None:
    """Assert that the ids, the pairs and the pairs that only count as seen are equal."""
    assert stored.user_ids.ids.equals(read.user_ids.ids)
    assert stored.item_ids.ids.equals(read.item_ids.ids)
    same_pairs(stored.interactions, read.interactions)
    if read.also_seen is None or stored.also_seen is None:
        assert stored.also_seen is read.also_seen
    else:
        np.testing.assert_array_equal(stored.also_seen.keys, read.also_seen.keys)

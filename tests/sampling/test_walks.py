"""Random walks: every step is an edge, drawn in proportion to the degree of its end."""

from __future__ import annotations

import numpy as np
import pytest

from ltocf.data.interactions import Interactions
from ltocf.sampling.walks import WalkBatches
from samples import random_interactions


def test_a_walk_starts_at_an_item_of_the_user_and_an_epoch_has_a_walk_for_each_pair() -> None:
    log = random_interactions()
    batches = WalkBatches(log, 32, seed=0, n_orders=3)
    touched = log.matrix().toarray().astype(bool)
    drawn = list(batches.epoch(0))
    assert sum(len(batch.users) for batch in drawn) == len(log)
    for batch in drawn:
        assert touched[batch.users, batch.positives.view(-1, 3)[:, 0]].all()
        assert len(batch.negatives) == len(batch.positives) == 3 * len(batch.users)
    again = WalkBatches(log, 32, seed=0, n_orders=3)
    assert all(
        walk.positives.equal(other.positives) for walk, other in zip(again.epoch(5), batches.epoch(5), strict=True)
    )


def test_items_are_drawn_with_the_probabilities_of_the_markov_chain() -> None:
    log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 1, 2, 1], 4, 3)
    matrix = log.matrix().toarray().astype(float)
    to_items, to_users = (
        part / part.sum(1, keepdims=True) for part in (matrix[:3] * matrix.sum(0), (matrix * matrix.sum(1)[:, None]).T)
    )
    counts = np.zeros((2, 3, 3))
    batches = WalkBatches(log, 5, seed=0, n_orders=2)
    for epoch in range(2000):
        for batch in batches.epoch(epoch):
            for order in range(2):
                np.add.at(counts[order], (batch.users.numpy(), batch.positives.view(-1, 2)[:, order].numpy()), 1)
    expected = to_items, to_items @ to_users[:, :3] @ to_items
    for found, shares in zip(counts, expected, strict=True):
        n = found.sum(1, keepdims=True)
        assert np.all(np.abs(found - n * shares) <= 4 * np.sqrt(n * shares * (1 - shares)) + 1e-9)  # rounding of zeros
    assert abs(counts[0].sum(1) / counts[0].sum() - 1 / 3).max() < 0.02  # user 3 has no pairs


def test_wrong_arguments_are_refused_with_the_rule_and_the_value() -> None:
    with pytest.raises(ValueError, match="`n_orders` must be >= 1, got 0"):
        WalkBatches(random_interactions(), 8, seed=0, n_orders=0)
    with pytest.raises(ValueError, match="no training pairs"):
        WalkBatches(Interactions.from_pairs([], [], 2, 2), 8, seed=0, n_orders=1)

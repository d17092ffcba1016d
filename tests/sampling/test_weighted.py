"""Pairs with weights are drawn, or count in the loss, in proportion to their weights."""

from __future__ import annotations

import numpy as np
import torch

from ltocf.data import Interactions
from ltocf.sampling import PairwiseBatches, SharedNegativeBatches
from ltocf.sampling.weighted import CumulativeWeights

LOG = Interactions.from_pairs([0, 0, 0, 1], [0, 1, 2, 0], weights=[1.0, 2.0, 5.0, 2.0], n_items=4)
N_EPOCHS = 2_000


def shares_of_pairs(batches: PairwiseBatches) -> np.ndarray:
    counts = np.zeros((2, 4))
    for epoch in range(N_EPOCHS):
        for batch in batches.epoch(epoch):
            np.add.at(counts, (batch.users.numpy(), batch.positives.numpy()), 1)
    return counts / counts.sum()


def test_softmax_batches_have_every_pair_once_with_its_weight_relative_to_the_mean() -> None:
    found = np.zeros((2, 4))
    for batch in SharedNegativeBatches(LOG, 3, seed=0, n_negatives=1).epoch(0):
        assert batch.weights is not None
        found[batch.users.numpy(), batch.positives.numpy()] += batch.weights.numpy()
    assert np.allclose(found, np.array([[0.4, 0.8, 2.0, 0.0], [0.8, 0.0, 0.0, 0.0]]))


def test_bpr_draws_users_uniformly_and_their_items_by_weight() -> None:
    found = shares_of_pairs(PairwiseBatches(LOG, 4, seed=0))
    expected = np.array([[1 / 16, 2 / 16, 5 / 16, 0.0], [0.5, 0.0, 0.0, 0.0]])
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / (4 * N_EPOCHS))  # four standard deviations


def test_a_draw_stays_within_its_range_despite_rounding() -> None:
    weights = CumulativeWeights(np.array([1e-30, 1.0, 1e-30, 1e30], np.float32), "cpu")
    starts, lengths = torch.tensor([0, 0, 2]), torch.tensor([1, 3, 2])
    for seed in range(50):
        drawn = weights.draw(starts, lengths, torch.Generator().manual_seed(seed))
        assert bool(((drawn >= starts) & (drawn < starts + lengths)).all())

"""Sampled batches: what they contain and how often, and that an epoch depends only on the seed and its number."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import CMN, GCMC, GRMF, LRGCCF, MF, NGCF, LightGCN, PinSage
from ltocf.sampling import Batches, PairwiseBatches, PointwiseBatches, SharedNegativeBatches, UserBatches
from samples import random_interactions


def all_triples(batches: PairwiseBatches, n_epochs: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    drawn = [batch for epoch in range(n_epochs) for batch in batches.epoch(epoch)]
    users, positives, negatives = (torch.cat(part).numpy() for part in list(zip(*drawn, strict=True))[:3])
    return users, positives, negatives


def test_positives_are_items_of_the_user_and_negatives_are_not() -> None:
    log = random_interactions(density=0.6)
    touched = log.matrix().toarray().astype(bool)
    users, positives, negatives = all_triples(PairwiseBatches(log, 64, seed=0), 5)
    assert touched[users, positives].all()
    assert not touched[users, negatives].any()


def samplers(log: Interactions, batch_size: int, seed: int) -> list[Batches]:
    return [PairwiseBatches(log, batch_size, seed), SharedNegativeBatches(log, batch_size, seed, n_negatives=7)]


@pytest.mark.parametrize("sampler", [0, 1])
def test_an_epoch_has_as_many_examples_as_pairs(sampler: int) -> None:
    log = random_interactions()
    batches = samplers(log, 50, seed=0)[sampler]
    sizes = [len(batch.users) for batch in batches.epoch(0)]
    assert sum(sizes) == len(log)
    assert len(sizes) == len(batches)
    assert set(sizes[:-1]) == {50}


def test_users_positives_and_negatives_are_drawn_uniformly() -> None:
    log = Interactions.from_pairs([0, 0, 0, 1], [0, 1, 2, 0], 2, 6)
    users, positives, negatives = all_triples(PairwiseBatches(log, 4, seed=0), 1000)
    n = (users == 0).sum()
    deviation = 4 * np.sqrt(len(users) / 4)  # four standard deviations of the most variable count
    assert abs(n - len(users) / 2) < deviation
    for item in (0, 1, 2):
        assert abs(((users == 0) & (positives == item)).sum() - n / 3) < deviation
    for item in (3, 4, 5):
        assert abs(((users == 0) & (negatives == item)).sum() - n / 3) < deviation
    for item in range(1, 6):
        assert abs(((users == 1) & (negatives == item)).sum() - (len(users) - n) / 5) < deviation


def test_distinct_users_are_distinct_in_a_batch_and_uniform_overall() -> None:
    log = random_interactions(n_users=12)
    batches = PairwiseBatches(log, 4, seed=0, distinct_users=True)
    drawn = [batch for epoch in range(200) for batch in batches.epoch(epoch)]
    assert all(len(batch.users.unique()) == len(batch.users) for batch in drawn)
    assert sum(len(batch.users) for batch in batches.epoch(0)) == len(log)
    users = torch.cat([batch.users for batch in drawn])
    counts = torch.bincount(users, minlength=12).double()
    # Four standard deviations; without repeats in a batch of 4 of 12 users they are smaller than of independent draws.
    assert (counts - len(users) / 12).abs().max() < 4 * np.sqrt(len(users) / 12 * 8 / 12)
    touched = log.matrix().toarray().astype(bool)
    positives, negatives = (torch.cat([batch[place] for batch in drawn]) for place in (1, 2))
    assert touched[users, positives].all()
    assert not touched[users, negatives].any()


@pytest.mark.parametrize("build", [MF, NGCF, GCMC, PinSage, LightGCN, GRMF, LRGCCF, CMN])
def test_distinct_users_reach_the_batches_of_every_pairwise_model(build: Any) -> None:
    log = random_interactions()
    graph = BipartiteGraph.from_interactions(log)
    model = build(graph, dim=4, distinct_users=True)
    assert len(next(model.batches(log, 25, seed=0).epoch(0)).users.unique()) == 25
    assert len(next(build(graph, dim=4).batches(log, 25, seed=0).epoch(0)).users.unique()) < 25


def test_a_batch_with_more_examples_than_users_repeats_users() -> None:
    log = random_interactions(n_users=12)
    batch = next(PairwiseBatches(log, 20, seed=0, distinct_users=True).epoch(0))
    assert len(batch.users) == 20


@pytest.mark.parametrize("sampler", [0, 1])
def test_an_epoch_depends_only_on_the_seed_and_its_number(sampler: int) -> None:
    log = random_interactions()
    first, again, other = (samplers(log, 32, seed)[sampler] for seed in (1, 1, 2))
    list(first.epoch(0))
    for left, right in zip(first.epoch(3), again.epoch(3), strict=True):
        assert all(a.equal(b) for a, b in zip(left[:3], right[:3], strict=True))
    assert not next(first.epoch(3)).negatives.equal(next(first.epoch(4)).negatives)
    assert not next(first.epoch(3)).negatives.equal(next(other.epoch(3)).negatives)


def test_a_user_with_every_item_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    log = Interactions.from_pairs([0, 0, 1], [0, 1, 0])
    with caplog.at_level(logging.WARNING):
        users, _, _ = all_triples(PairwiseBatches(log, 4, seed=0), 10)
    assert set(users) == {1}
    assert "1 users touched every item" in caplog.text


def test_shared_negatives_come_with_every_pair_once_per_epoch() -> None:
    log = random_interactions()
    batches = list(SharedNegativeBatches(log, 32, seed=0, n_negatives=7).epoch(0))
    keys = torch.cat([batch.users * log.n_items + batch.positives for batch in batches])
    assert keys.sort().values.tolist() == log.keys.tolist()
    assert {len(batch.negatives) for batch in batches} == {7}


def test_shared_negatives_are_drawn_in_proportion_to_popularity() -> None:
    log = Interactions.from_pairs([0, 1, 2, 0], [0, 0, 0, 1], 3, 3)
    (batch,) = SharedNegativeBatches(log, 4, seed=0, n_negatives=10_000).epoch(0)
    counts = torch.bincount(batch.negatives, minlength=3)
    assert abs(int(counts[0]) - 7500) < 4 * np.sqrt(10_000 * 3 / 16)
    assert int(counts[2]) == 0


def test_pointwise_batches_have_every_pair_once_and_uniform_negatives() -> None:
    log = Interactions.from_pairs([0, 0, 0, 1], [0, 1, 4, 0], 2, 6)
    batches = PointwiseBatches(log, 3, seed=0, n_negatives=5)
    drawn = [batch for epoch in range(600) for batch in batches.epoch(epoch)]
    keys = torch.cat([batch.users * 6 + batch.positives for batch in drawn])
    assert torch.bincount(keys, minlength=12).tolist() == [600 * int(key in log.keys) for key in range(12)]
    users = torch.cat([batch.users.repeat_interleave(5) for batch in drawn])
    counts = torch.bincount(users * 6 + torch.cat([batch.negatives for batch in drawn]), minlength=12)
    for user, open_items, n in ((0, [2, 3, 5], 600 * 15), (1, [1, 2, 3, 4, 5], 600 * 5)):
        share = n / len(open_items)
        for item in range(6):
            expected = share if item in open_items else 0
            assert abs(int(counts[user * 6 + item]) - expected) <= 4 * np.sqrt(expected)  # four standard deviations


def test_user_batches_have_every_user_with_a_history_once() -> None:
    log = Interactions.from_pairs([0, 0, 2, 3], [0, 1, 1, 0], 5, 2)
    users = torch.cat([batch.users for batch in UserBatches(log, 2, seed=0).epoch(0)])
    assert sorted(users.tolist()) == [0, 2, 3]


def test_wrong_arguments_are_refused_with_the_rule_and_the_value() -> None:
    with pytest.raises(ValueError, match="`batch_size` must be >= 1, got 0"):
        PairwiseBatches(random_interactions(), 0, seed=0)
    with pytest.raises(ValueError, match="at least one user must have both an item and an untouched item"):
        PairwiseBatches(Interactions.from_pairs([0], [0]), 1, seed=0)
    with pytest.raises(ValueError, match="`n_negatives` must be >= 1, got 0"):
        SharedNegativeBatches(random_interactions(), 8, seed=0, n_negatives=0)
    with pytest.raises(ValueError, match="`n_negatives` must be >= 1, got 0"):
        PointwiseBatches(random_interactions(), 8, seed=0, n_negatives=0)
    with pytest.raises(ValueError, match="at least one user must have both an item and an untouched item"):
        PointwiseBatches(Interactions.from_pairs([0], [0]), 1, seed=0, n_negatives=1)
    with pytest.raises(ValueError, match="no training pairs"):
        UserBatches(Interactions.from_pairs([], [], 2, 2), 8, seed=0)
    with pytest.raises(ValueError, match="no training pairs"):
        SharedNegativeBatches(Interactions.from_pairs([], [], 2, 2), 8, seed=0, n_negatives=1)


def test_with_the_whole_catalogue_every_batch_has_all_items_with_a_pair_as_negatives() -> None:
    log = Interactions.from_pairs([0, 1, 2, 0], [0, 0, 0, 2], 3, 4)
    batches = list(SharedNegativeBatches(log, 2, seed=0, n_negatives=9, whole_catalogue=True).epoch(0))
    assert [batch.negatives.tolist() for batch in batches] == [[0, 2], [0, 2]]

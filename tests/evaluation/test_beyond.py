"""Metrics beyond accuracy, against fractions worked out by hand and against a second way to compute them."""

from __future__ import annotations

from itertools import pairwise
from math import log2

import numpy as np
import pytest
import torch

from ltocf.data.interactions import Interactions
from ltocf.data.statistics import gini
from ltocf.evaluation import PerUserMetrics, beyond_accuracy, evaluate_per_user
from ltocf.evaluation.beyond import BEYOND, exposure, history_popularity, mean_popularity, novelty, popularity_lift
from ltocf.evaluation.groups import by_activity
from ltocf.models import Popularity
from samples import random_interactions

# Item 0 has 3 users, items 1 and 2 have two, item 3 has one, item 4 none. User 3 has no history.
TRAIN = Interactions.from_pairs([0, 1, 2, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2, 2, 3], 4, 5)
TRUTH = Interactions.from_pairs([0, 0, 1, 2, 3], [2, 4, 3, 1, 0], 4, 5)
LISTS = torch.tensor([[2, 3], [3, 4], [4, -1], [0, 1]])


class Listed:
    """A scorer that ranks the lists above."""

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        scores = torch.full((len(users), 5), -torch.inf)
        for row, user in enumerate(users.tolist()):
            for place, item in enumerate(LISTS[user].tolist()):
                if item >= 0:
                    scores[row, item] = -place
        return scores


@pytest.fixture
def measured() -> PerUserMetrics:
    found = evaluate_per_user(Listed(), TRUTH, seen=TRAIN, ks=(1, 2))
    assert found.ranked.tolist() == LISTS.tolist()
    return found


def test_values_worked_out_by_hand(measured: PerUserMetrics) -> None:
    values = beyond_accuracy(measured, TRAIN, TRUTH).values
    # Three users have a history. Novelty is -log2 of the share of users: 0 bits for item 0, log2(3/2) for 1 and 2,
    # log2(3) for 3, and the same for item 4, which counts as if it had one user.
    bits = [0, log2(3 / 2), log2(3 / 2), log2(3), log2(3)]
    by_user = [(bits[2] + bits[3]) / 2, (bits[3] + bits[4]) / 2, bits[4], (bits[0] + bits[1]) / 2]
    # The mean popularity of a history: (3 + 2)/2, (3 + 2 + 2)/3, (3 + 2 + 1)/3. User 3 has none and is left out.
    histories = (5 / 2 + 7 / 3 + 6 / 3) / 3
    assert values == pytest.approx(
        {
            # Listed 1 0 1 1 1 times: Σ |x_i - x_j| over ordered pairs is 8, over 2 n Σ x = 2 * 5 * 4.
            "gini@1": 8 / 40,
            "novelty@1": (bits[2] + bits[3] + bits[4] + bits[0]) / 4,
            "mean_popularity@1": (2 + 1 + 0 + 3) / 4,
            "popularity_lift@1": ((2 + 1 + 0) / 3) / histories - 1,
            # Listed 1 1 1 2 2 times: Σ |x_i - x_j| is 12, over 2 * 5 * 7.
            "gini@2": 12 / 70,
            "novelty@2": sum(by_user) / 4,
            "mean_popularity@2": ((2 + 1) / 2 + (1 + 0) / 2 + 0 + (3 + 2) / 2) / 4,
            "popularity_lift@2": ((3 / 2 + 1 / 2 + 0) / 3) / histories - 1,
        },
        rel=1e-12,
    )
    assert {name.partition("@")[0] for name in values} == set(BEYOND)


def test_groups_of_users_worked_out_by_hand(measured: PerUserMetrics) -> None:
    # Histories of 0, 2, 3 and 3 items: half of the users have at most 2.
    groups = beyond_accuracy(measured, TRAIN, TRUTH).by_activity
    assert [(group.shortest, group.longest, group.n_users) for group in groups] == [(0, 0, 1), (2, 2, 1), (3, 3, 2)]
    # User 3 finds 0. User 0 finds 2 of 2 and 4. User 1 finds 3; user 2 misses 1.
    assert [group.values["recall@1"] for group in groups] == [1 / 1, 1 / 2, (1 / 1 + 0 / 1) / 2]
    assert groups[1].values["ndcg@2"] == pytest.approx(1 / (1 + 1 / log2(3)))
    assert set(groups[0].values) == {"recall@1", "ndcg@1", "recall@2", "ndcg@2"}


def test_groups_of_items_worked_out_by_hand(measured: PerUserMetrics) -> None:
    # 8 training pairs: item 0 has 3 of them, more than a fifth; items 3 and 4 have 1, less than a fifth.
    head, mid, tail = beyond_accuracy(measured, TRAIN, TRUTH).by_popularity
    assert [(group.least, group.most, group.n_items, group.n_pairs) for group in (head, mid, tail)] == [
        (3, 3, 1, 3),
        (2, 2, 2, 4),
        (0, 1, 2, 1),
    ]
    assert [(group.name, group.span) for group in (head, mid, tail)] == [("head", "3"), ("mid", "2"), ("tail", "0–1")]
    # Test items of the head: 0 of user 3; of the middle: 2 of user 0, 1 of user 2; of the tail: 4 of user 0, 3 of 1.
    assert [group.values["recall@2"] for group in (head, mid, tail)] == [
        1 / 1,
        (1 / 1 + 0 / 1) / 2,
        (0 / 1 + 1 / 1) / 2,
    ]
    assert [group.values["share@2"] for group in (head, mid, tail)] == [1 / 7, 2 / 7, 4 / 7]


def test_groups_by_activity_are_of_equal_size_where_lengths_differ() -> None:
    """User u has u + 1 items; user 8, with 9 items, is not measured."""
    pairs = [(user, item) for user in range(9) for item in range(user + 1)]
    train = Interactions.from_pairs(*zip(*pairs, strict=True))
    values = {"recall@1": torch.arange(8) / 8.0, "ndcg@1": torch.zeros(8)}
    measured = PerUserMetrics(torch.arange(8), torch.full((8, 1), -1), values)
    groups = by_activity(measured, train)
    assert [group.span for group in groups] == ["1–2", "3–4", "5–6", "7–8"]
    assert [group.values["recall@1"] for group in groups] == [1 / 16, 5 / 16, 9 / 16, 13 / 16]
    assert [group.n_users for group in by_activity(measured, train, 3)] == [3, 3, 2]
    assert [group.span for group in by_activity(measured, train, 1)] == ["1–8"]
    with pytest.raises(ValueError, match="`n_groups` must be >= 1, got 0"):
        by_activity(measured, train, 0)


def test_groups_contain_every_user_and_item_and_average_to_the_whole() -> None:
    pairs = random_interactions(60, 50, density=0.2)
    withheld = np.random.default_rng(1).random(len(pairs)) < 0.4
    train, truth = pairs.where(~withheld), pairs.where(withheld)
    scores = torch.randn(60, 50, generator=torch.Generator().manual_seed(0))
    model = type("Random", (), {"scores": lambda self, users: scores[users]})()
    measured = evaluate_per_user(model, truth, seen=train, ks=(5, 10))
    found = beyond_accuracy(measured, train, truth)
    sizes = [group.n_users for group in found.by_activity]
    assert len(sizes) == 4
    assert sum(sizes) == len(measured.users)
    for name in ("recall@5", "ndcg@10"):
        mean = sum(group.n_users * group.values[name] for group in found.by_activity) / sum(sizes)
        assert mean == pytest.approx(measured.values[name].mean().item())
    bounds = [(group.shortest, group.longest) for group in found.by_activity]
    assert all(longest < shortest for (_, longest), (shortest, _) in pairwise(bounds))
    assert sum(group.n_items for group in found.by_popularity) == 50
    assert sum(group.n_pairs for group in found.by_popularity) == len(train)
    assert sum(group.values["share@10"] for group in found.by_popularity) == pytest.approx(1)
    head, _, tail = found.by_popularity
    least_popular = train.item_degrees[train.item_degrees == head.least].sum()
    assert head.n_pairs - least_popular < len(train) / 5 <= head.n_pairs
    assert tail.n_pairs <= len(train) / 5


def test_gini_is_half_the_relative_mean_difference_of_two_items() -> None:
    counts = np.random.default_rng(0).integers(0, 9, 30)
    differences = np.abs(counts[:, None] - counts)
    assert gini(counts) == pytest.approx(differences.mean() / (2 * counts.mean()))
    assert gini(np.zeros(3, np.int64)) == 0
    lists = torch.tensor([[3, 1], [1, -1]])
    assert exposure(lists, 4).tolist() == [0, 2, 0, 1]


def test_an_empty_list_has_no_novelty_and_no_popularity() -> None:
    lists, counts = torch.tensor([[-1, -1], [0, -1]]), torch.tensor([2, 4])
    assert novelty(lists, counts, 4).tolist() == pytest.approx([np.nan, 1.0], nan_ok=True)
    assert mean_popularity(lists, counts).tolist() == pytest.approx([np.nan, 2.0], nan_ok=True)


def test_lists_as_popular_as_histories_have_no_lift() -> None:
    of_histories = history_popularity(torch.tensor([0, 1, 2, 3]), TRAIN)
    assert of_histories.tolist() == pytest.approx([5 / 2, 7 / 3, 6 / 3, np.nan], nan_ok=True)
    assert popularity_lift(of_histories, of_histories) == 0
    assert popularity_lift(2 * of_histories, of_histories) == 1


def test_popular_lists_are_less_novel_than_rare_ones_and_have_a_positive_lift() -> None:
    pairs = random_interactions(40, 30, density=0.2)
    withheld = np.random.default_rng(0).random(len(pairs)) < 0.3
    train, truth = pairs.where(~withheld), pairs.where(withheld)
    popular, rare = Popularity(train), Popularity(train)
    rare.counts = -rare.counts
    of_popular, of_rare = (
        beyond_accuracy(evaluate_per_user(model, truth, seen=train, ks=(5,)), train, truth).values
        for model in (popular, rare)
    )
    assert of_popular["popularity_lift@5"] > 0 > of_rare["popularity_lift@5"]
    assert of_popular["novelty@5"] < of_rare["novelty@5"]


def test_a_dict_of_the_result_has_the_values_by_name(measured: PerUserMetrics) -> None:
    found = beyond_accuracy(measured, TRAIN, TRUTH)
    content = found.as_dict()
    assert content["by_popularity"][0]["recall@2"] == 1.0
    assert set(content["by_activity"][0]) == {"shortest", "longest", "n_users"} | {
        f"{name}@{k}" for name in ("recall", "ndcg") for k in (1, 2)
    }
    assert repr(found).startswith("BeyondAccuracy(gini@1=0.2, novelty@1=")


def test_an_empty_training_set_and_other_sizes_are_refused(measured: PerUserMetrics) -> None:
    with pytest.raises(ValueError, match="`train` must have at least one pair, got none"):
        beyond_accuracy(measured, TRAIN.where(np.zeros(8, bool)), TRUTH)
    with pytest.raises(ValueError, match="must have the same users and items, got 4 x 5 and 4 x 6"):
        beyond_accuracy(measured, TRAIN, Interactions.from_pairs([0], [0], 4, 6))

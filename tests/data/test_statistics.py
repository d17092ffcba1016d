"""Statistics of a dataset, worked out by hand."""

from __future__ import annotations

import pytest

from ltocf.data import Dataset, Interactions, Names, load_named, statistics


def dataset(train: Interactions, test: Interactions | None = None) -> Dataset:
    return Dataset("d", train, Names.identity(train.n_users, train.n_items), test)


def test_statistics_worked_out_by_hand() -> None:
    train = Interactions.from_pairs([0, 0, 0, 1], [0, 1, 2, 0], 3, 5)
    test = Interactions.from_pairs([1, 2], [1, 3], 3, 5)
    assert statistics(dataset(train, test)) == {
        "users": 3,
        "items": 5,
        "train_pairs": 4,
        "test_pairs": 2,
        "density": 6 / 15,
        "mean_items_per_user": 2.0,
        "min_items_per_user": 1,
        "median_items_per_user": 2.0,
        "max_items_per_user": 3,
        "users_with_one_item": 1,
        "mean_users_per_item": 6 / 5,
        "min_users_per_item": 0,
        "median_users_per_item": 1.0,
        "max_users_per_item": 2,
        "popular_share": 2 / 6,
        # Degrees 0 1 1 2 2: the mean absolute difference over all ordered pairs is 22 / 25 - 2 / 25 = 20 / 25.
        "item_gini": pytest.approx((20 / 25) / (2 * 6 / 5)),
        "cold_users": 1,
        "cold_items": 1,
    }


def test_gini_of_equally_popular_items_and_of_a_single_popular_item() -> None:
    assert statistics(dataset(Interactions.from_pairs([0, 0], [0, 1])))["item_gini"] == 0.0
    single = statistics(dataset(Interactions.from_pairs([0], [0], 1, 100)))
    assert single["item_gini"] == pytest.approx(0.99)
    assert single["popular_share"] == 1.0


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(ValueError, match="d must hold at least one pair, got none"):
        statistics(dataset(Interactions.from_pairs([], [])))


def test_movielens_small_has_its_published_counts() -> None:
    figures = statistics(load_named("movielens-small"))
    assert (figures["users"], figures["items"], figures["train_pairs"], figures["test_pairs"]) == (671, 6993, 62106, 0)

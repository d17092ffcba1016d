"""Ids become indices and indices become frames: each step by itself, with planted values."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ltocf.data.histories import Histories
from ltocf.data.ids import IdMap
from ltocf.data.names import Names
from ltocf.evaluation.top_k import Ranked
from ltocf.models import Contributions
from ltocf.serving import Explanation, UnknownItemError
from ltocf.serving.choice import allowed_items
from ltocf.serving.lists import (
    Lists,
    as_list,
    first_few,
    histories_of,
    item_columns,
    known_items,
    merged,
    user_column,
)

NAMES = Names(IdMap(["ann", "bob"]), IdMap([10, 20, 30]), ("Ran", "Heat", "Up"))
UNTITLED = Names(NAMES.user_ids, NAMES.item_ids)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("42", ["42"]),
        (b"42", [b"42"]),
        (42, [42]),
        (np.int64(42), [42]),
        (None, [None]),
        (np.array([4, 2]), [4, 2]),
        (pl.Series([4, 2]), [4, 2]),
        (range(2), [0, 1]),
        ((name for name in "ab"), ["a", "b"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_id_is_a_list_of_one(given: Any, expected: list[Any]) -> None:
    found = as_list(given)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_at_most_five_values_are_named() -> None:
    assert first_few(["a", 2]) == "'a', 2"
    assert first_few(range(5)) == "0, 1, 2, 3, 4"
    assert first_few(range(6)) == "0, 1, 2, 3, 4, ..."
    assert first_few([]) == ""


def test_items_of_training_have_indices_and_others_are_named() -> None:
    assert known_items(NAMES, [30, 10]).tolist() == [2, 0]
    assert known_items(NAMES, []).dtype == np.int64
    with pytest.raises(UnknownItemError, match="2 of 3 items were not in training: 7, 'x'"):
        known_items(NAMES, [7, 10, "x"])


@pytest.mark.parametrize(
    ("only", "exclude", "expected"),
    [
        (10, None, [True, False, False]),
        ([10, 30, 7], None, [True, False, True]),
        (None, 20, [True, False, True]),
        (None, [20, 7], [True, False, True]),
        ([10, 20], [20, 30], [True, False, False]),
        ([10], [10], [False, False, False]),
        (None, [], [True, True, True]),
    ],
    ids=str,
)
def test_allowed_items_are_among_only_and_not_among_exclude(only: Any, exclude: Any, expected: list[bool]) -> None:
    allowed = allowed_items(NAMES, only, exclude)
    assert allowed is not None
    assert (allowed.tolist(), allowed.dtype) == (expected, torch.bool)


def test_without_conditions_every_item_is_allowed_and_an_unknown_only_is_an_error() -> None:
    assert allowed_items(NAMES, None, None) is None
    with pytest.raises(UnknownItemError, match="none of the items of `only` was in training: 7, 8"):
        allowed_items(NAMES, [7, 8], None)


def test_histories_are_rows_of_sorted_items_each_once() -> None:
    for given, users in (
        ([[30, 10, 30], [], [20]], [0, 1, 2]),
        ({"x": [30, 10, 30], "y": [], 5: np.array([20])}, ["x", "y", 5]),
        (([30, 10, 10], (), {20}), [0, 1, 2]),
    ):
        found, histories = histories_of(NAMES, given)
        assert found == users
        assert (histories.offsets.tolist(), histories.items.tolist()) == ([0, 2, 2, 3], [0, 2, 1])
        assert histories.n_items == 3
    users, empty = histories_of(NAMES, [])
    assert (users, len(empty), empty.n_items) == ([], 0, 3)
    users, same = histories_of(NAMES, histories)
    assert (users, same) == ([0, 1, 2], histories)


@pytest.mark.parametrize(
    "given", [10, [10], (10,), iter([10]), np.array([10]), pl.Series([10, 10])], ids=lambda value: type(value).__name__
)
def test_one_list_of_items_is_one_user(given: Any) -> None:
    users, histories = histories_of(NAMES, given)
    assert (users, histories.items.tolist(), histories.lengths.tolist()) == ([0], [0], [1])


def test_unknown_items_of_histories_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    users, histories = histories_of(NAMES, {"x": [30, "010", 7], "y": [7.5, True, None]})
    assert (users, histories.items.tolist(), histories.lengths.tolist()) == (["x", "y"], [2], [1, 0])
    assert "5 of 6 items of histories were not in training: ignored '010', 7, 7.5, True, None" in caplog.text


@pytest.mark.parametrize("given", [{"x": "ab"}, [[10], 20], [[10], "ab"]], ids=str)
def test_an_item_in_place_of_a_list_of_items_is_an_error(given: Any) -> None:
    with pytest.raises(ValueError, match="`histories` must have a list of items for each user, got"):
        histories_of(NAMES, given)


def test_histories_over_another_catalogue_are_refused() -> None:
    other = Histories(torch.tensor([0, 1]), torch.tensor([3], dtype=torch.int32), 4)
    with pytest.raises(ValueError, match="`histories` must be over the 3 items, got 4"):
        histories_of(NAMES, other)


@pytest.mark.parametrize(
    ("ids", "requested", "indices", "expected"),
    [
        ([7, 9], ["9", 7], [1, 0], [9, 7]),
        ([7, 9], ["9", "8"], [1, -1], [9, 8]),
        ([7, 9], [-3, "9"], [-1, 1], [-3, 9]),
        ([7, 9], ["x", "9"], [-1, 1], ["x", "9"]),
        ([7, 9], ["-3-", 7], [-1, 0], ["-3-", "7"]),
        ([7, 9], ["--3", 7], [-1, 0], ["--3", "7"]),
        ([7, 9], ["X3", 7.0], [-1, 0], ["X3", "7"]),
        ([7, 9], ["007", "7"], [-1, 0], ["007", "7"]),
        ([7, 9], [2**63, 9], [-1, 1], ["9223372036854775808", "9"]),
        ([7, 9], [2**63 - 1, 9], [-1, 1], [2**63 - 1, 9]),
        (["7", "a"], [8, "a"], [-1, 1], ["8", "a"]),
        (["7", "9"], [8, "9"], [-1, 1], ["8", "9"]),
    ],
    ids=str,
)
def test_users_have_the_type_of_the_data_where_all_of_them_can(
    ids: list[Any], requested: list[Any], indices: list[int], expected: list[Any]
) -> None:
    assert user_column(IdMap(ids), requested, np.array(indices)).to_list() == expected


def test_columns_of_items_with_and_without_titles() -> None:
    columns = item_columns(NAMES, np.array([2, 0]))
    assert {name: column.to_list() for name, column in columns.items()} == {"item": [30, 10], "title": ["Up", "Ran"]}
    assert item_columns(NAMES, np.array([], np.int64))["title"].dtype == pl.String
    assert list(item_columns(UNTITLED, np.array([2, 0]))) == ["item"]


def test_a_list_has_a_row_for_each_place_that_has_an_item() -> None:
    ranked = Ranked(torch.tensor([[2, 0], [1, -1]]), torch.tensor([[0.5, 0.25], [0.75, -torch.inf]]))
    frame = Lists(NAMES, pl.Series(["bob", "ann"]), ranked).frame()
    assert frame.to_dicts() == [
        {"user": "bob", "rank": 1, "item": 30, "score": 0.5, "title": "Up"},
        {"user": "bob", "rank": 2, "item": 10, "score": 0.25, "title": "Ran"},
        {"user": "ann", "rank": 1, "item": 20, "score": 0.75, "title": "Heat"},
    ]
    assert frame.columns == ["user", "rank", "item", "score", "title"]
    assert frame.schema["score"] == pl.Float32
    halves = Ranked(ranked.items, ranked.scores.to(torch.bfloat16))
    assert Lists(NAMES, pl.Series(["bob", "ann"]), halves).frame().equals(frame), "NumPy has no bfloat16"


def test_unknown_users_get_the_popular_list_in_their_own_place() -> None:
    ranked = Ranked(torch.tensor([[2, 0]]), torch.tensor([[0.5, 0.25]], dtype=torch.float64))
    popular = Ranked(torch.tensor([[1, 0], [1, 2]]), torch.tensor([[9.0, 8.0], [9.0, 7.0]]))
    both = merged(ranked, torch.tensor([False, True, False]), popular)
    assert both.items.tolist() == [[1, 0], [2, 0], [1, 2]]
    assert both.scores.tolist() == [[9, 8], [0.5, 0.25], [9, 7]]
    assert both.scores.dtype == torch.float64


def test_an_explanation_is_the_sum_that_it_shows() -> None:
    """Two parts over the items 10, 30, 20: (1, 2, 2) + (0.5, 1, 1), own 4, popularity 0.25."""
    history = torch.tensor([[1.0, 2.0, 2.0], [0.5, 1.0, 1.0]])
    contributions = Contributions(history, torch.tensor(4.0), torch.tensor(0.25))
    why = Explanation.of(NAMES, 1, 2, contributions, [0, 2, 1])
    assert (why.user, why.item, why.score, why.own, why.popularity) == ("bob", 30, 11.75, 4, 0.25)
    assert why.history.to_dicts() == [
        {"item": 30, "contribution": 3.0, "title": "Up", "part_1": 2.0, "part_2": 1.0},
        {"item": 20, "contribution": 3.0, "title": "Heat", "part_1": 2.0, "part_2": 1.0},
        {"item": 10, "contribution": 1.5, "title": "Ran", "part_1": 1.0, "part_2": 0.5},
    ]
    whole = Explanation.of(
        UNTITLED, 0, 1, Contributions(history[:1], torch.tensor(1 / 3), torch.tensor(0.0)), [0, 2, 1]
    )
    assert whole.history.columns == ["item", "contribution"]
    assert whole.facts() == {"user": "ann", "item": 20, "score": 5.3333, "own": 0.3333, "popularity": 0.0}
    nobody = Contributions(torch.empty(1, 0), torch.tensor(0.5), torch.tensor(0.25))
    why = Explanation.of(NAMES, 0, 1, nobody, [])
    assert (why.score, why.history.rows(), why.history.schema["item"]) == (0.75, [], pl.Int64)

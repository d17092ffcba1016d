"""Conditions on attributes, and what each user may get."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from ltocf.data.ids import IdMap
from ltocf.data.names import Names
from ltocf.serving.choice import allowed_items, candidate_rows

FILMS = pl.DataFrame({"price": [10, 30, None, 5], "genre": ["Drama", "Drama", "War", None]})
NAMES = Names(IdMap(["ann", "bob", "7"]), IdMap([10, 20, 30, 40]), None, FILMS)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("price < 20", [True, False, False, True]),
        ("price < 20 AND genre = 'Drama'", [True, False, False, False]),
        (pl.col("genre").is_in(["War"]), [False, False, True, False]),
        ("genre IS NULL", [False, False, False, True]),
        (pl.lit(True), [True] * 4),
    ],
    ids=str,
)
def test_where_is_true_or_false_for_each_item(where: Any, expected: list[bool]) -> None:
    allowed = allowed_items(NAMES, where=where)
    assert allowed is not None
    assert allowed.tolist() == expected


def test_all_conditions_apply_together() -> None:
    allowed = allowed_items(NAMES, only=[10, 20, 40], exclude=[40], where="price < 20")
    assert allowed is not None
    assert allowed.tolist() == [True, False, False, False]


COLUMNS = r"; the columns are price \(Int64\), genre \(String\)$"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("prize < 20", f'`where` cannot be answered: unable to find column "prize".*{COLUMNS}'),
        ("price <", f"`where` cannot be answered: .*{COLUMNS}"),
        ("price < 'x'", f"`where` cannot be answered: .*{COLUMNS}"),
        ("price + 1", f"`where` must be true or false for each item, got Int64{COLUMNS}"),
        ("price > 99", f"`where` holds for none of the 4 items{COLUMNS}"),
        (pl.col("price").drop_nulls() > 1, f"`where` cannot be answered: .*{COLUMNS}"),
    ],
    ids=str,
)
def test_a_condition_that_cannot_be_answered_lists_the_columns(where: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        allowed_items(NAMES, where=where)


def test_a_condition_without_an_item_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`where` needs attributes of the items, .* without an item table"):
        allowed_items(Names.identity(2, 2), where="price < 20")


def test_candidates_are_rows_in_the_order_of_the_users() -> None:
    users: list[Any] = [7, "bob", "new"]
    indices = NAMES.user_ids.encode(users)
    rows = candidate_rows(NAMES, {"bob": [40, 10, 99], "7": [20], "new": [30, 30], "ann": []}, users, indices)
    assert (rows.items.tolist(), rows.lengths.tolist()) == ([1, 0, 3, 2], [1, 2, 1])
    with pytest.raises(ValueError, match=r"list of items for each requested user, 2 of 3 have none: 7, 'new'"):
        candidate_rows(NAMES, {"bob": [40]}, users, indices)
    assert candidate_rows(NAMES, {}, [], np.array([], np.int64)).n_items == 4

"""Ids against a plain comparison: each finds the one id it equals, and nobody else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data import UNKNOWN, IdMap, Names
from ltocf.data.ids import _LONG_COLUMN

INTEGERS = IdMap([7, 42, 2, 1, -3, 0])
STRINGS = IdMap(["007", "7", "ann", "42", "", "True"])


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (42, 1),
        (np.int32(42), 1),
        (np.uint64(42), 1),
        ("42", 1),
        (np.str_("42"), 1),
        ("-3", 4),
        ("0", 5),
        (2.0, 2),
        (np.float32(2), 2),
        (-0.0, 5),
    ],
)
def test_an_integer_is_found_by_its_value_and_its_usual_text(asked: object, index: int) -> None:
    assert INTEGERS.encode_one(asked) == index
    assert INTEGERS.encode([asked]).tolist() == [index]


@pytest.mark.parametrize(
    "asked",
    [
        *[1.5, np.float64(1.5), float("nan"), float("inf"), -float("inf"), 2.0**60],
        *[True, np.True_, None, pd.NA, b"7", (7,), [7], {}, Decimal("1.5")],
        *["007", "+7", " 7", "7 ", "7\n", "7.0", "1e0", "-0", "", "٧", "seven", "9" * 5000],
        *[8, 2**70, -(2**70)],
    ],
)
def test_what_equals_no_integer_finds_nobody(asked: object) -> None:
    assert INTEGERS.encode_one(asked) == UNKNOWN
    assert INTEGERS.encode([asked]).tolist() == [UNKNOWN]


@pytest.mark.parametrize(
    ("asked", "index"),
    [("007", 0), ("7", 1), (7, 1), (np.int64(7), 1), (42.0, 3), ("", 4), ("True", 5)]
    + [(wrong, UNKNOWN) for wrong in (True, None, "ANN", "42.0", " 42", 42.5, b"ann", float("nan"))],
)
def test_a_string_is_found_by_itself_and_by_the_integer_it_is(asked: object, index: int) -> None:
    assert STRINGS.encode_one(asked) == index


def test_decimals_find_an_integer_as_long_as_they_are_one() -> None:
    largest = 2**53 - 1
    id_map = IdMap([largest, 2**53, -(2**60)])
    assert id_map.encode([float(largest), 2.0**53, -(2.0**60), -(2**60)]).tolist() == [0, UNKNOWN, UNKNOWN, 2]


def test_mixed_lists_go_one_by_one() -> None:
    assert INTEGERS.encode([7, "42", 1.5, "ann", None, 2.0, True]).tolist() == [0, 1, -1, -1, -1, 2, -1]
    assert INTEGERS.encode(iter(["42", 7])).tolist() == [1, 0]
    assert INTEGERS.encode([]).tolist() == []


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([42, None, 7], dtype=pl.UInt8),
        pl.Series([42.0, 1.5, 7.0]),
        pl.Series(["42", "007", "7"]),
        pl.Series(["42", "x", "7"], dtype=pl.Categorical),
        pd.Series([42, None, 7]),
        pd.Series([42, None, 7], dtype="Int64"),
        np.array([42, 8, 7]),
    ],
)
def test_columns_of_other_libraries(column: Any) -> None:
    assert INTEGERS.encode(column).tolist() == [1, UNKNOWN, 0]


@pytest.mark.parametrize("ids", [range(0, 40_000, 2), [f"u{n}" for n in range(20_000)]])
def test_a_long_column_is_looked_up_like_a_list(ids: list[Any]) -> None:
    id_map, asked = IdMap(ids), [*ids[::-3], *range(100), *map(str, range(100)), None]
    kind = type(ids[0])
    column = [one if isinstance(one, kind) else None for one in asked]
    assert len(column) < _LONG_COLUMN < 2 * len(column)
    found = id_map.encode(pl.Series(column * 2)).tolist()
    assert found == id_map.encode(column * 2).tolist() == [id_map.encode_one(one) for one in column] * 2
    assert found[:3] == [len(ids) - 1, len(ids) - 4, len(ids) - 7]


@given(
    ids=st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=20),
    others=st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.none()), max_size=20),
)
def test_found_is_what_prints_the_same(ids: list[int], others: list[object]) -> None:
    id_map, asked = IdMap(ids), [*ids, *map(str, ids), *others]
    for one, index in zip(asked, id_map.encode(asked).tolist(), strict=True):
        whole = isinstance(one, float) and one.is_integer() and abs(one) < 2**53
        text = str(int(one)) if whole and isinstance(one, float) else str(one)  # str(True) is no number
        assert index == next((place for place, id in enumerate(ids) if str(id) == text), UNKNOWN)


@pytest.mark.parametrize("one", ["42", 42, b"42", np.int64(42), 4.2])
def test_one_id_is_not_taken_for_many(one: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a list of ids, got .*4\.?2|Type-check error|parameter"):
        INTEGERS.encode(one)


def test_a_string_is_not_taken_apart_into_letters() -> None:
    for many in (IdMap(["4", "2"]).encode, IdMap):
        with pytest.raises(TypeError, match=r"must be a list of ids, got '42'; pass \['42'\] for one"):
            many("42")


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([1, "a"], "got int, str"),
        ([2, True], "got bool, int"),
        ([True], "got bool"),
        (pl.Series([1.0, 2.0]), "got Float64"),
        ([1, 2**63], f"must fit 64 bits, got {2**63}"),
        (pl.Series(["a", None]), "1 missing of 2"),
        (["a", "b", "a"], "must appear once, got 'a'"),
    ],
)
def test_ids_that_are_no_map(ids: Any, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        IdMap(ids)


def test_ids_come_out_in_the_type_they_came_in() -> None:
    names = Names(INTEGERS, STRINGS)
    assert [type(one) for one in names.user_ids.decode(names.user_ids.encode(["42", 7.0]))] == [int, int]
    assert names.item_ids.decode(names.item_ids.encode([7, 42.0])) == ["7", "42"]


def test_a_few_ids_cost_the_same_in_any_map() -> None:
    """After the first call nothing is asked of the column of all ids."""
    id_map = IdMap(range(1000))
    assert id_map.encode_one(999) == 999
    id_map.ids = pl.Series("id", [], dtype=pl.Int64)
    assert (id_map.encode_one(5), id_map.encode([6, "7"]).tolist()) == (5, [6, 7])

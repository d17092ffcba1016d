"""An id map against a plain comparison: an id finds the one id that equals it, and no other."""

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
    ("id", "index"),
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
def test_an_integer_is_found_by_its_value_and_its_usual_text(id: object, index: int) -> None:
    assert INTEGERS.encode_one(id) == index
    assert INTEGERS.encode([id]).tolist() == [index]


@pytest.mark.parametrize(
    "id",
    [
        *[1.5, np.float64(1.5), float("nan"), float("inf"), -float("inf"), 2.0**60],
        *[True, np.True_, None, pd.NA, b"7", (7,), [7], {}, Decimal("1.5")],
        *["007", "+7", " 7", "7 ", "7\n", "7.0", "1e0", "-0", "", "٧", "seven", "9" * 5000],
        *[8, 2**70, -(2**70)],
    ],
)
def test_a_value_that_equals_no_integer_is_unknown(id: object) -> None:
    assert INTEGERS.encode_one(id) == UNKNOWN
    assert INTEGERS.encode([id]).tolist() == [UNKNOWN]


@pytest.mark.parametrize(
    ("id", "index"),
    [("007", 0), ("7", 1), (7, 1), (np.int64(7), 1), (42.0, 3), ("", 4), ("True", 5)]
    + [(other, UNKNOWN) for other in (True, None, "ANN", "42.0", " 42", 42.5, b"ann", float("nan"))],
)
def test_a_string_is_found_by_itself_and_by_the_integer_it_spells(id: object, index: int) -> None:
    assert STRINGS.encode_one(id) == index


def test_floats_find_an_integer_only_where_floats_are_exact() -> None:
    largest = 2**53 - 1
    id_map = IdMap([largest, 2**53, -(2**60)])
    assert id_map.encode([float(largest), 2.0**53, -(2.0**60), -(2**60)]).tolist() == [0, UNKNOWN, UNKNOWN, 2]


def test_each_id_of_a_mixed_list_is_looked_up_by_its_own_type() -> None:
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
def test_columns_of_polars_pandas_and_numpy_are_looked_up(column: Any) -> None:
    assert INTEGERS.encode(column).tolist() == [1, UNKNOWN, 0]


@pytest.mark.parametrize("ids", [range(0, 40_000, 2), [f"u{n}" for n in range(20_000)]])
def test_a_long_column_is_looked_up_like_a_list(ids: list[Any]) -> None:
    id_map, values = IdMap(ids), [*ids[::-3], *range(100), *map(str, range(100)), None]
    id_type = type(ids[0])
    column = [value if isinstance(value, id_type) else None for value in values]
    assert len(column) < _LONG_COLUMN < 2 * len(column)
    found = id_map.encode(pl.Series(column * 2)).tolist()
    assert found == id_map.encode(column * 2).tolist() == [id_map.encode_one(value) for value in column] * 2
    assert found[:3] == [len(ids) - 1, len(ids) - 4, len(ids) - 7]


@given(
    ids=st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=20),
    others=st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.none()), max_size=20),
)
def test_a_value_finds_the_id_with_the_same_text(ids: list[int], others: list[object]) -> None:
    id_map, values = IdMap(ids), [*ids, *map(str, ids), *others]
    for value, index in zip(values, id_map.encode(values).tolist(), strict=True):
        whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
        text = str(int(value)) if whole and isinstance(value, float) else str(value)  # str(True) is no number
        assert index == next((place for place, id in enumerate(ids) if str(id) == text), UNKNOWN)


@pytest.mark.parametrize("id", ["42", 42, b"42", np.int64(42), 4.2])
def test_a_single_id_is_not_taken_for_a_list_of_ids(id: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a list of ids, got .*4\.?2|Type-check error"):
        INTEGERS.encode(id)


def test_a_string_is_not_taken_for_a_list_of_letters() -> None:
    for takes_ids in (IdMap(["4", "2"]).encode, IdMap):
        with pytest.raises(TypeError, match=r"must be a list of ids, got '42'; pass \['42'\] for one"):
            takes_ids("42")


@pytest.mark.parametrize(
    ("ids", "message"),
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
def test_ids_that_cannot_be_a_map_are_refused(ids: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IdMap(ids)


def test_decoded_ids_have_the_type_of_the_map() -> None:
    names = Names(INTEGERS, STRINGS)
    assert [type(id) for id in names.user_ids.decode(names.user_ids.encode(["42", 7.0]))] == [int, int]
    assert names.item_ids.decode(names.item_ids.encode([7, 42.0])) == ["7", "42"]


def test_after_the_first_lookup_the_column_of_all_ids_is_not_read_again() -> None:
    """So a few ids cost the same in a map of any size."""
    id_map = IdMap(range(1000))
    assert id_map.encode_one(999) == 999
    id_map.ids = pl.Series("id", [], dtype=pl.Int64)
    assert (id_map.encode_one(5), id_map.encode([6, "7"]).tolist()) == (5, [6, 7])

"""Interactions from objects in memory: the same pairs from every kind of object."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from ltocf.data import to_dataset

COLUMNS: dict[str, list[Any]] = {"user": ["b", "a", "b"], "item": [7, 7, 9], "timestamp": [3, 2, 1]}


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table, lambda c: list(zip(*c.values(), strict=True))]
)
def test_every_kind_of_table_gives_the_same_log(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    dataset = to_dataset(make(COLUMNS), name="visits")
    log = dataset.interactions
    assert dataset.name == "visits"
    assert dataset.user_ids.decode(log.users) == ["a", "b", "b"]
    assert dataset.item_ids.decode(log.items) == [7, 7, 9]
    assert log.timestamps is not None
    assert log.timestamps.tolist() == [2, 3, 1]


def test_pandas_categories_and_whole_floats_are_ids() -> None:
    table = pd.DataFrame({"user": pd.Categorical(["b", "a"]), "item": [1.0, 2.0], "other": [None, "x"]})
    dataset = to_dataset(table)
    assert (dataset.user_ids.decode([0, 1]), dataset.item_ids.decode([0, 1])) == (["a", "b"], [1, 2])


def test_a_pandas_column_of_mixed_types_is_refused() -> None:
    with pytest.raises(ValueError, match="memory: columns must have different names and values of one type each"):
        to_dataset(pd.DataFrame({"user": ["a", 1], "item": [1, 2]}))


def test_a_table_with_two_columns_of_one_name_is_refused() -> None:
    columns, names = [[1, 2], [3, 4], [5, 6], [5, 6]], ["user", "item", "price", "price"]
    tables = (pd.DataFrame(zip(*columns, strict=True), columns=names), pa.Table.from_arrays(columns, names=names))
    for table in tables:
        with pytest.raises(ValueError, match=r"memory: columns must have different names .*(price|unique)"):
            to_dataset(table)


def test_column_options_apply_to_tables_in_memory() -> None:
    table = pl.DataFrame({"who": ["a", "b"], "what": ["x", "y"], "liked": [1, 5], "label": ["X", "Y"]})
    dataset = to_dataset(
        table, user_column="who", item_column="what", rating_column="liked", title_column="label", min_rating=3
    )
    assert (dataset.user_ids.decode([0]), dataset.titles) == (["b"], ("Y",))


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.coo_array, sp.csc_matrix])
def test_sparse_matrices_have_their_indices_as_ids(kind: Callable[[np.ndarray], Any]) -> None:
    dataset = to_dataset(kind(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 5.0, 0.0]])))
    assert dataset.interactions.matrix().toarray().tolist() == [[0, 1, 0], [0, 0, 0], [1, 1, 0]]
    assert dataset.item_ids.decode([2]) == [2]


def test_stored_zeros_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    matrix = sp.csr_array((np.array([0.0, 3.0]), (np.array([0, 1]), np.array([0, 1]))), shape=(2, 2))
    assert to_dataset(matrix).interactions.users.tolist() == [1]
    assert "1 stored zero of 2 values: no interactions" in caplog.text


def test_min_rating_applies_to_the_values_of_a_matrix() -> None:
    matrix = sp.csr_array(np.array([[1.0, 5.0]]))
    assert to_dataset(matrix, min_rating=4.0).interactions.items.tolist() == [1]
    with pytest.raises(ValueError, match="other than 0 of at least `min_rating` = 6, got none in 2"):
        to_dataset(matrix, min_rating=6.0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (sp.csr_array((2, 2)), "a matrix must hold a value other than 0, got none in 0"),
        (sp.csr_array(np.array([[np.nan]])), "must hold numbers, got nan"),
        ([], r"need \(user, item\) or \(user, item, timestamp\) tuples of one length, got 0 of lengths \[\]"),
        ([(1, 2), (1, 2, 3)], r"got 2 of lengths \[2, 3\]"),
        ([(1,)], r"got 1 of lengths \[1\]"),
        ([("a", 1), (2, 1)], "users, items and timestamps must each be of one type"),
    ],
)
def test_unusable_sources_are_refused(source: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_dataset(source)


def test_column_names_need_a_table() -> None:
    with pytest.raises(ValueError, match="user_column need a table with named columns, got list"):
        to_dataset([(1, 2)], user_column="x")


class Visit(NamedTuple):
    item: int
    user: str


ANN_3_BOB_5 = [("ann", 3), ("bob", 5)]


@pytest.mark.parametrize(
    "source",
    [
        [{"user": "ann", "item": 3}, {"item": 5, "user": "bob"}],
        ({"user": user, "item": item} for user, item in ANN_3_BOB_5),
        [Visit(3, "ann"), Visit(5, "bob")],
        iter(ANN_3_BOB_5),
        set(ANN_3_BOB_5),
        [list(pair) for pair in ANN_3_BOB_5],
        {"ann": [3], "bob": {5}},
        {"item": [3, 5], "user_id": ["ann", "bob"]},
        {"ann": np.array([3]), "bob": (5,)},
        np.array(ANN_3_BOB_5, dtype=[("user", "U3"), ("item", "i8")]),
        pl.DataFrame(ANN_3_BOB_5, schema=["user", "item"], orient="row").lazy(),
    ],
    ids=range(11),
)
def test_every_kind_of_rows_gives_the_same_pairs(source: Any) -> None:
    dataset = to_dataset(source)
    log = dataset.interactions
    assert dataset.user_ids.decode(log.users) == ["ann", "bob"]
    assert dataset.item_ids.decode(log.items) == [3, 5]


def test_records_may_lack_fields_or_have_others() -> None:
    dataset = to_dataset([{"who": "a", "item": 1}, {"item": 2}, {"who": "b", "item": 1, "at": 5}], user_column="who")
    assert dataset.user_ids.ids.to_list() == ["a", "b"]
    assert dataset.report is not None
    assert (dataset.report.n_dropped, dataset.report.unused) == (1, ("at",))


@pytest.mark.parametrize(
    "source",
    [
        {1: 2},
        {"ann": "abc"},
        ["ab", "cd"],
        "visits.csv",
        7,
        [("a", 1), "bc"],
        [{"user": 1, "item": 2}, (1, 2)],
        np.array([[1, 2], [3, 4]]),
    ],
    ids=range(8),
)
def test_other_types_are_refused_with_the_list_of_possible_types(source: Any) -> None:
    with pytest.raises(
        TypeError, match=r"records \(dicts or named tuples\)|scipy.sparse.csr_array|type hint|Type-check"
    ):
        to_dataset(source)


def test_a_named_index_of_pandas_is_read_and_an_unnamed_one_reported() -> None:
    table = pd.DataFrame({"user": ["a", "b"], "item": [1, 2]})
    indexed = to_dataset(table.set_index("user"))
    assert indexed.user_ids.ids.to_list() == ["a", "b"]
    assert indexed.report is not None
    assert "the index of the table was read as 'user'" in indexed.report.text()
    multi_index = to_dataset(table.set_index(["item", "user"]))
    assert multi_index.item_ids.ids.to_list() == [1, 2]
    series = to_dataset(table.assign(stars=5).set_index(["user", "item"])["stars"])
    assert (series.user_ids.ids.to_list(), series.item_ids.ids.to_list()) == (["a", "b"], [1, 2])
    unnamed = to_dataset(table.set_axis(["u1", "u2"])).report
    assert unnamed is not None
    assert "the index of the table was not read" in unnamed.text()
    for with_row_numbers in (table, table[table["item"] == 2]):
        report = to_dataset(with_row_numbers).report
        assert report is not None
        assert "index" not in report.text()


def test_repeated_entries_of_a_matrix_add_up() -> None:
    indices = ([0, 0, 0, 1, 1], [0, 0, 0, 1, 1])
    matrix = sp.coo_array(([1, 1, 1, 1, -1], indices), shape=(2, 2))
    for options in ({}, {"min_rating": 2}, {"min_rating": 3}):
        log = to_dataset(matrix, **options).interactions
        assert (log.users.tolist(), log.items.tolist()) == ([0], [0])
    assert len(matrix.data) == 5  # the caller's matrix is unchanged
    int8_matrix = sp.coo_array((np.array([100, 100, 1], np.int8), ([0, 0, 0], [0, 0, 1])), shape=(1, 2))
    weights = to_dataset(int8_matrix).interactions.weights
    assert weights is not None
    assert weights.tolist() == [200.0, 1.0]  # 200 does not fit int8
    bool_matrix = sp.coo_array((np.array([True, True, True]), ([0, 0, 0], [0, 0, 1])), shape=(1, 2))
    assert to_dataset(bool_matrix).interactions.weights is None


def test_negative_values_need_min_rating() -> None:
    matrix = sp.csr_array(np.array([[5.0, -1.0, 0.0], [-2.0, 0.0, 4.0]]))
    with pytest.raises(ValueError, match=r"got -1 at \(0, 1\), one of 2; pass `min_rating`"):
        to_dataset(matrix)
    dataset = to_dataset(matrix, min_rating=0.5)
    assert dataset.interactions.matrix().toarray().tolist() == [[1, 0, 0], [0, 0, 1]]
    assert dataset.also_seen is not None
    assert dataset.also_seen.matrix().toarray().tolist() == [[0, 1, 0], [1, 0, 0]]
    assert dataset.interactions.weights is None


def test_values_of_a_matrix_are_weights_unless_they_are_all_the_same() -> None:
    dataset = to_dataset(sp.csr_array(np.array([[2.0, 0.5], [0.0, 4.0]])))
    assert dataset.interactions.weights is not None
    assert dataset.interactions.weights.tolist() == [2.0, 0.5, 4.0]
    assert dataset.report is not None
    assert "the values of the matrix, from 0.5 to 4, are the weights of its pairs" in dataset.report.text()
    assert to_dataset(sp.csr_array(np.array([[3, 0], [0, 3]]))).interactions.weights is None


def test_a_core_of_a_matrix_keeps_the_indices_as_ids() -> None:
    matrix = sp.csr_array(np.array([[0, 1, 1], [0, 0, 0], [0, 1, 1], [1, 0, 0]]))
    dataset = to_dataset(matrix, min_user_interactions=2)
    assert (dataset.user_ids.ids.to_list(), dataset.item_ids.ids.to_list()) == ([0, 2], [1, 2])
    assert len(to_dataset(matrix).user_ids) == 4
    with pytest.raises(ValueError, match="only need a table with named columns, got csr_array"):
        to_dataset(matrix, only={"user": 1})


def test_pandas_and_pyarrow_are_imported_only_when_needed() -> None:
    program = (
        "import sys, ltocf.data as d; d.to_dataset([(1, 2)]); d.load_dataset('movielens-small');"
        "print([m for m in ('pandas', 'pyarrow') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

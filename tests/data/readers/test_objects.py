"""Interactions from objects in memory: the same pairs, whatever holds them."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

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
def test_every_kind_of_table(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    dataset = to_dataset(make(COLUMNS), name="mine")
    log = dataset.interactions
    assert dataset.name == "mine"
    assert dataset.user_ids.decode(log.users) == ["a", "b", "b"]
    assert dataset.item_ids.decode(log.items) == [7, 7, 9]
    assert log.timestamps is not None
    assert log.timestamps.tolist() == [2, 3, 1]


def test_pandas_integers_with_a_gap_and_categories() -> None:
    table = pd.DataFrame({"user": pd.Categorical(["b", "a"]), "item": [1.0, 2.0], "other": [None, "x"]})
    dataset = to_dataset(table)
    assert (dataset.user_ids.decode([0, 1]), dataset.item_ids.decode([0, 1])) == (["a", "b"], [1, 2])


def test_pandas_column_of_mixed_types() -> None:
    with pytest.raises(ValueError, match="memory: each column must hold values of one type"):
        to_dataset(pd.DataFrame({"user": ["a", 1], "item": [1, 2]}))


def test_options_reach_the_table() -> None:
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


def test_min_rating_of_a_matrix() -> None:
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
def test_sources_that_will_not_do(source: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_dataset(source)


def test_column_names_need_a_table() -> None:
    with pytest.raises(ValueError, match="user_column need a table with named columns, got list"):
        to_dataset([(1, 2)], user_column="x")


def test_another_type() -> None:
    with pytest.raises(TypeError):
        to_dataset({1: 2})  # type: ignore[arg-type]


def test_pandas_and_pyarrow_are_not_imported_unasked() -> None:
    program = (
        "import sys, ltocf.data as d; d.to_dataset([(1, 2)]); d.load_dataset('movielens-small');"
        "print([m for m in ('pandas', 'pyarrow') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

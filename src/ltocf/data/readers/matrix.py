"""A sparse matrix, users x items, becomes a Dataset: its indices are the ids."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import polars as pl
import scipy.sparse as sp

from ltocf.data.dataset import Dataset
from ltocf.data.readers.frame import describe, with_report
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.pairs import dataset_of
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.rows import Rows
from ltocf.data.report import counted

ACCEPTED_OPTIONS = (
    "min_rating",
    "min_user_interactions",
    "min_item_interactions",
    "items",
    "item_id_column",
    "title_column",
)


def dataset_from_matrix(matrix: sp.spmatrix | sp.sparray, name: str, options: ReadOptions) -> Dataset:
    """A Dataset from the values of a sparse matrix, users x items.

    Repeated entries add up first, as everywhere in scipy; an entry that is then 0 is no interaction. With
    ``min_rating`` the values are ratings: those below count as seen. Without it they say how much each pair counts, as
    in `implicit`, and none may be negative: they become `Interactions.weights`, unless all are the same.

    Raises:
        ValueError: NaN or infinite values, negative ones without ``min_rating``, no interaction, or an option that
            needs a table.

    Example:
        >>> counts = sp.coo_array(([1, 2, 5], ([0, 0, 1], [0, 0, 2])), shape=(2, 3))
        >>> log = dataset_from_matrix(counts, "counts", ReadOptions()).interactions
        >>> log.items.tolist(), log.weights.tolist()
        ([0, 2], [3.0, 5.0])
    """
    if refused := sorted(option for option in options.given() if option not in ACCEPTED_OPTIONS):
        raise ValueError(f"{name}: {', '.join(refused)} need a table with named columns, got {type(matrix).__name__}")
    entries = sp.coo_array(cast(Any, matrix))  # the type stubs give the two base classes no methods
    # Sums of small integer types would overflow; a sum of truth values is true if any of them is.
    stored = entries.data if entries.dtype == bool else entries.data.astype(np.float64)
    summed = sp.coo_array((stored, entries.coords), shape=entries.shape, copy=True)
    summed.sum_duplicates()
    users, items = (indices.astype(np.int64) for indices in summed.coords)
    values = summed.data.astype(np.float64)
    _check_values(values, users, items, name, options.min_rating)

    positive = values != 0
    if options.min_rating is not None:
        positive &= values >= options.min_rating
    if not positive.any():
        limit = "" if options.min_rating is None else f" of at least `min_rating` = {options.min_rating:g}"
        raise ValueError(f"{name}: a matrix must hold a value other than 0{limit}, got none in {len(values)}")
    frame = pl.DataFrame({"user": users, "item": items, "positive": positive, "value": values})
    rows = Rows(
        RawTable(name, pl.DataFrame(), format="sparse matrix"), frame.filter(pl.col("value") != 0), n_rows=len(values)
    )
    if len(entries.data) > len(values):
        rows.notes.append(
            f"repeated places of the matrix added up: {len(entries.data):,} stored values are {len(values):,}"
        )
    if n_zeros := len(frame) - len(rows.frame):
        rows.notes.append(f"{counted(n_zeros, 'stored zero')} of {len(values):,} values: no interactions")
    _note_values(rows, options.min_rating)
    n_users, n_items = entries.shape
    ids = {"user": pl.int_range(n_users, eager=True), "item": pl.int_range(n_items, eager=True)}
    dataset = describe(dataset_of(rows, ids, options, keep_all=True), rows, options)
    return with_report(dataset, rows, {})


def _check_values(
    values: np.ndarray, users: np.ndarray, items: np.ndarray, name: str, min_rating: float | int | None
) -> None:
    if (wrong := ~np.isfinite(values)).any():
        raise ValueError(f"{name}: a matrix of interactions must hold numbers, got {values[wrong][0]}")
    if min_rating is None and (negative := values < 0).any():
        first = int(np.flatnonzero(negative)[0])
        raise ValueError(
            f"{name}: a matrix of interactions must hold no negative values unless `min_rating` says which are "
            f"interactions, got {values[first]:g} at {(int(users[first]), int(items[first]))}, one of "
            f"{int(negative.sum())}; pass `min_rating`, so that those below count as seen, or remove them"
        )


def _note_values(rows: Rows, min_rating: float | int | None) -> None:
    """Note what the values of the matrix mean: ratings, weights, or nothing if all are the same."""
    values = rows.frame["value"].to_numpy()
    low, high = values.min(), values.max()
    if min_rating is not None:
        n_positive = int(rows.frame["positive"].sum())
        rows.notes.append(
            f"`min_rating` = {min_rating:g}: {n_positive:,} of {counted(len(values), 'value')} are interactions; "
            "the others count as seen"
        )
    elif low != high:
        rows.frame = rows.frame.with_columns(weights=pl.col("value"))
        rows.notes.append(f"the values of the matrix, from {low:g} to {high:g}, are the weights of its pairs")

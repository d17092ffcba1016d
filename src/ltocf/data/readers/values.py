"""Ratings and weights: which rows are interactions, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from ltocf.data.readers.filters import event_weight
from ltocf.data.readers.numbers import read_numbers
from ltocf.data.readers.rows import Rows, refuse
from ltocf.data.report import ChosenColumn, counted


def mark_positive(
    rows: Rows, chosen: dict[str, ChosenColumn], min_rating: float | int | None, *, partial: bool = False
) -> None:
    """Add ``positive`` to the frame of the rows: rated at least ``min_rating``, or every row without it.

    Raises:
        ValueError: a rating that is no number, or none that is high enough, unless the rows are ``partial``.
    """
    if min_rating is None:
        rows.frame = rows.frame.with_columns(positive=True)
        if "rating" in chosen:
            rows.notes.append("every row is an interaction, whatever its rating; `min_rating` would choose")
        return
    label = f"{rows.name}: ratings (column {chosen['rating'].name!r})"
    ratings, notes = read_numbers(rows.frame["rating"], label, rows.place)
    positive = (ratings >= min_rating).fill_null(False)
    if not (partial or positive.any()):
        known = ratings.drop_nulls().to_numpy()
        found = f"ratings from {known.min():g} to {known.max():g}" if len(known) else "no ratings"
        raise ValueError(f"{rows.name}: `min_rating` must leave at least one row, got {min_rating} and {found}")
    rows.frame = rows.frame.with_columns(positive=positive)
    n_positive, n_missing = int(positive.sum()), ratings.null_count()
    without = f", {counted(n_missing, 'row')} without a rating among them" if n_missing else ""
    rows.note(notes)
    rows.notes.append(
        f"`min_rating` = {min_rating:g}: {n_positive:,} of {counted(len(ratings), 'row')} are interactions; "
        f"the others count as seen{without}"
    )


def weigh(rows: Rows, chosen: dict[str, ChosenColumn], by_event: Mapping[str, object] | None) -> None:
    """Add ``weights`` to the frame of the rows, if there are any: those of events times those of a column.

    Rows with a weight of 0, below 0, or without one are left out.

    Raises:
        ValueError: a weight that is no number, or a value of an event that has no weight.
    """
    if "weight" in chosen:
        label = f"{rows.name}: weights (column {chosen['weight'].name!r})"
        weights, notes = read_numbers(rows.frame["weight"], label, rows.place)
        rows.note(notes)
        rows.frame = rows.frame.with_columns(weights=weights)
        rows.drop(rows.frame["weights"].is_null(), "no weight", rows.frame["weight"])
        rows.drop(rows.frame["weights"] <= 0, "a weight that is not above 0", rows.frame["weight"])
        rows.refuse_nothing_left()
    factors = [rows.frame[event_weight(column)] for column in by_event or {}]
    if "weights" in rows.frame.columns:
        factors.append(rows.frame["weights"])
    if not factors:
        return
    product = np.prod([factor.to_numpy() for factor in factors], axis=0)
    rows.frame = rows.frame.with_columns(weights=pl.Series(product))
    refuse(
        ~rows.frame["weights"].is_finite(),
        rows.frame["weights"],
        f"{rows.name}: weights must be finite",
        "make them smaller",
        rows.place,
    )

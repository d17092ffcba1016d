"""Which rows are read, and how much each counts, by the value of a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from ltocf.data.readers.rows import BLANKS, Rows, is_missing
from ltocf.data.report import counted

MAX_SHOWN = 10


def keep_rows(
    rows: Rows, only: Mapping[str, Any] | None, drop: Mapping[str, Any] | None, *, partial: bool = False
) -> None:
    """Leave out the rows that have no value of ``only``, and those that have a value of ``drop``.

    Values are compared as text and as numbers: 1 is ``"1"``, ``"1.0"`` and 1.0; ``""`` is a missing value.

    Raises:
        ValueError: a value occurs nowhere, unless the rows are ``partial``, or no row is left.
    """
    matches = [
        (option, column, values, Values(rows, column).rows_with(values, f"`{option}`", partial))
        for option, wanted in (("only", only), ("drop", drop))
        for column, values in values_by_column(wanted)
    ]
    left_out = [
        (f"`{option}` {column} = {', '.join(map(str, values))}", ~found if option == "only" else found, column)
        for option, column, values, found in matches
    ]
    for place, (reason, bad, column) in enumerate(left_out):
        kept = (~bad).arg_true()
        rows.drop(bad, reason, rows.frame[source(column)], asked=True)
        left_out[place + 1 :] = [(why, other.gather(kept), name) for why, other, name in left_out[place + 1 :]]
    rows.refuse_nothing_left()


def weigh_events(rows: Rows, weights: Mapping[str, Mapping[str, float | int]] | None, *, partial: bool = False) -> None:
    """Add to the frame how much each row counts by the value of each column; null for a value without a weight.

    Called before any row is left out, so that values which only occur in such rows may have a weight.

    Raises:
        ValueError: a weight is for a value that occurs nowhere, unless the rows are ``partial``, or is not positive.
    """
    for column, by_value in (weights or {}).items():
        option = f"`event_weights` of {column!r}"
        values = Values(rows, column)
        found = np.full(len(rows.frame), np.nan)
        for value, weight in by_value.items():
            if not (weight > 0 and np.isfinite(weight)):
                remedy = "leave such rows out with `drop`"
                raise ValueError(f"{option} must be positive numbers, got {weight} for {value!r}; {remedy}")
            found[values.rows_with([value], option, partial).to_numpy()] = weight
        rows.frame = rows.frame.with_columns(pl.Series(event_weight(column), found, nan_to_null=True))


def refuse_unweighted_events(rows: Rows, weights: Mapping[str, Any] | None) -> None:
    """Raise if a remaining row has a value without a weight.

    Raises:
        ValueError: a value has no weight.
    """
    for column in weights or {}:
        without = rows.frame.filter(pl.col(event_weight(column)).is_null())[source(column)]
        if len(without):
            rule = f"{rows.name}: `event_weights` of {column!r} must have a weight for every value"
            raise ValueError(f"{rule}, got none for {_most_common(without)}; or `drop` these rows")


def event_weight(column: str) -> str:
    """The column, in the frame of rows, of the weights that rows have by the value of a column of the source."""
    return f"weight by {column}"


def source(column: str) -> str:
    """The column, in the frame of rows, of a column of the source that has no role."""
    return f"source column {column}"


class Values:
    """The values of a column, which are looked up as text and as numbers."""

    def __init__(self, rows: Rows, column: str) -> None:
        self.name, self.label = rows.name, column
        self.column = rows.frame[source(column)]
        if self.column.dtype == pl.Boolean or isinstance(self.column.dtype, (pl.Categorical, pl.Enum)):
            self.column = self.column.cast(pl.String)
        self.distinct = self.column.unique()
        self.texts = self.distinct.cast(pl.String).str.strip_chars(BLANKS)
        self.numbers = self.texts.cast(pl.Float64, strict=False)
        self.missing = is_missing(self.distinct, rows.table.from_text)

    def rows_with(self, values: Iterable[Any], option: str, partial: bool = False) -> pl.Series:
        """A mask of the rows that have one of the values.

        Raises:
            ValueError: a value that occurs nowhere, unless the rows are ``partial``.
        """
        wanted = pl.repeat(False, len(self.distinct), dtype=pl.Boolean, eager=True)
        for value in values:
            matching = self._matching(value)
            if not (partial or matching.any()):
                shown = _most_common(self.column)
                raise ValueError(
                    f"{self.name}: {option} must be a value that occurs in column {self.label!r}, got {value!r}; "
                    f"there are {shown}"
                )
            wanted |= matching
        found = self.distinct.filter(wanted)
        return self.column.is_in(found.implode(), nulls_equal=True)

    def _matching(self, value: Any) -> pl.Series:
        text = "" if value is None else str(value).strip(BLANKS)
        if not text:
            return self.missing
        same = (self.texts == (text.lower() if isinstance(value, bool) else text)).fill_null(False)
        try:
            return same | (self.numbers == float(text)).fill_null(False)
        except ValueError:
            return same


def _most_common(column: pl.Series) -> str:
    counts = column.alias("value").value_counts(sort=True).sort(["count", "value"], descending=[True, False])
    shown = ", ".join(map(repr, counts["value"].head(MAX_SHOWN).to_list()))
    return shown if len(counts) <= MAX_SHOWN else f"{shown} and {counted(len(counts) - MAX_SHOWN, 'other')}"


def values_by_column(wanted: Mapping[str, Any] | None) -> list[tuple[str, list[Any]]]:
    """Each column with the list of its values; a single value becomes a list of one."""
    lists = (list, tuple, set, frozenset)
    columns = (wanted or {}).items()
    return [(column, sorted(values, key=str) if isinstance(values, lists) else [values]) for column, values in columns]

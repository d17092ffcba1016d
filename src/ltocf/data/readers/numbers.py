"""Columns of numbers: ratings and weights, as numbers or as text with a decimal point or comma."""

from __future__ import annotations

import polars as pl

from ltocf.data.readers.rows import BLANKS, Place, is_missing, refuse
from ltocf.data.report import counted

_COMMA = r"^[+-]?\d+,\d+$"


def read_numbers(column: pl.Series, label: str, place: Place) -> tuple[pl.Series, list[str]]:
    """A column as 64-bit floats, null where there is no value, and notes on how it was read.

    Raises:
        ValueError: a value that is no finite number.
    """
    notes: list[str] = []
    missing = is_missing(column, from_text=True)
    if column.dtype == pl.String:
        text = column.str.strip_chars(BLANKS)
        numbers = text.cast(pl.Float64, strict=False)
        with_comma = numbers.is_null() & text.str.contains(_COMMA).fill_null(False)
        if n_commas := int(with_comma.sum()):
            numbers = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
            example = column[int(with_comma.arg_true()[0])]
            notes.append(f"{label}: {counted(n_commas, 'value')} like {example!r} read with a decimal comma")
    elif column.dtype.is_numeric():
        numbers = column.cast(pl.Float64, strict=False)
    else:
        raise ValueError(f"{label} must be numbers, got {column.dtype}")
    wrong = ~missing & ~numbers.is_finite().fill_null(False)
    refuse(wrong, column, f"{label} must be numbers", "correct or remove the rows", place)
    null = pl.Series([None], dtype=pl.Float64)
    return (numbers.zip_with(~missing, null) if missing.any() else numbers), notes

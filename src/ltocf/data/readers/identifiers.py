"""Ids as sources have them: text with blanks, integers written as decimals, numbers, categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ltocf.data.ids import EXACT_BELOW, USUAL_INTEGER
from ltocf.data.readers.rows import BLANKS, Place, is_missing, refuse
from ltocf.data.report import counted
from ltocf.shapes import PairIndices

MISSING = -1

_WHOLE_DECIMAL = r"^(0|-?[1-9][0-9]{0,15})(\.0+)?$"
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$"

TRUTHS = ("true", "false", "True", "False", "TRUE", "FALSE")
"""Truth values as programs write them into text."""


@dataclass(frozen=True)
class Identified:
    """A column of ids.

    Args:
        ids: the distinct ids, sorted, strings or 64-bit integers.
        codes: the place of each row's id in ``ids``; -1 where there is no id.
        notes: how they were read.
        warnings: what deserves a look.
    """

    ids: pl.Series
    codes: PairIndices
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def identify(column: pl.Series, label: str, from_text: bool, place: Place) -> Identified:
    """The distinct ids of a column, and which of them each row has.

    Blanks around ids are removed. In a text file ids are integers if all of them are written the way integers are
    printed, perhaps with ``.0`` behind, as programs write integers once a value is missing: ``"007"`` makes a column
    of strings.

    Raises:
        ValueError: values that are no ids: dates, truth values, lists, decimals, integers of more than 64 bits.
    """
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        column = column.cast(pl.String)
    if column.dtype.is_numeric():
        return _of_numbers(column, label, place)
    if column.dtype != pl.String:
        hint = "; is it the right column?" if column.dtype.is_temporal() or column.dtype == pl.Boolean else ""
        raise ValueError(f"{label} must be strings or integers, got {column.dtype}{hint}")
    return _of_text(column, label, from_text, place)


def clean_ids(texts: pl.Series, label: str, from_text: bool) -> tuple[pl.Series, tuple[str, ...]]:
    """Distinct ids without blanks around them, missing ones null, as integers if all are; and notes on that."""
    stripped = texts.str.strip_chars(BLANKS)
    missing = is_missing(stripped, from_text)
    if missing.any():
        stripped = stripped.zip_with(~missing, pl.Series([None], dtype=pl.String))
    return _as_integers(stripped, label) if from_text else (stripped, ())


def _as_integers(ids: pl.Series, label: str) -> tuple[pl.Series, tuple[str, ...]]:
    """Distinct ids of a text file as integers, if all of them are."""
    known = ids.drop_nulls()
    if not len(known):
        return ids, ()
    if known.str.contains(_DATE).all() or known.is_in(TRUTHS).all():
        kind = "dates" if known.str.contains(_DATE).all() else "truth values"
        raise ValueError(f"{label} must be ids, got {kind} like {known[0]!r}; is it the right column?")
    if known.str.contains(USUAL_INTEGER).all():
        integers = ids.cast(pl.Int64, strict=False)
        return (integers if integers.null_count() == ids.null_count() else ids), ()
    if known.str.contains(_WHOLE_DECIMAL).all():
        integers = ids.str.replace(r"\.0+$", "").cast(pl.Int64)
        if (integers.drop_nulls().abs() < EXACT_BELOW).all():
            example = known.filter(known.str.contains(".", literal=True))[0]
            return integers, (f"{label}: written as decimals like {example!r}, read as integers",)
    decimal = known.str.contains(_WHOLE_DECIMAL) & known.str.contains(".", literal=True)
    if decimal.all() or not decimal.any():
        return ids, ()
    n_decimals, other = counted(int(decimal.sum()), "id"), known.filter(~decimal)[0]
    example = known.filter(decimal)[0]
    return ids, (f"{label}: {n_decimals} like {example!r} kept as text: others, like {other!r}, are not whole numbers",)


def _of_text(column: pl.Series, label: str, from_text: bool, place: Place) -> Identified:
    # A set of categories of its own: codes of the process-wide one would depend on what was read before.
    coded = column.cast(pl.Categorical(pl.Categories.random())).to_physical()
    n_codes = int(coded.fill_null(0).to_numpy().max(initial=0)) + 1
    codes = coded.fill_null(n_codes).to_numpy()
    row_of_code = np.full(n_codes + 1, MISSING, np.int64)
    row_of_code[codes] = np.arange(len(codes))
    positions = np.flatnonzero(row_of_code[:-1] != MISSING)
    texts = column.gather(row_of_code[positions])
    cleaned, notes = clean_ids(texts, label, from_text)
    ids = cleaned.drop_nulls().unique().sort().rename("id")

    # One entry more than there are codes, for null.
    index_of_code = np.full(n_codes + 1, MISSING, np.int64)
    index_of_code[positions] = _joined_places(cleaned, ids)
    found = index_of_code[codes]
    with_blanks = (texts != texts.str.strip_chars(BLANKS)).to_numpy() & (index_of_code[positions] != MISSING)
    if with_blanks.any():
        rows = np.flatnonzero(np.isin(codes, positions[with_blanks]))
        first = int(rows[0])
        n_rows = counted(len(rows), "row")
        notes = (
            *notes,
            f"{label}: blanks around the id removed in {n_rows} (first: {place(first)}: {column[first]!r})",
        )
    return Identified(ids, found, notes, _nearly_equal(ids, label))


def _nearly_equal(ids: pl.Series, label: str) -> tuple[str, ...]:
    """A warning if ids differ only in case or in how Unicode composes their letters."""
    if ids.dtype != pl.String:
        return ()
    plain = ids.str.normalize("NFC").str.to_lowercase()
    if not (n_close := len(ids) - plain.n_unique()):
        return ()
    close = plain.is_duplicated()
    alike = ids.filter(plain == plain.filter(close)[0])
    examples = " and ".join(map(ascii, alike[:2].to_list()))
    verb = "differs" if n_close == 1 else "differ"
    return (f"{label}: {n_close:,} {verb} from another only in case or Unicode form, like {examples}; not merged",)


def _of_numbers(column: pl.Series, label: str, place: Place) -> Identified:
    missing = is_missing(column, False)
    if not column.dtype.is_integer():  # pandas makes decimals of integers once a value is missing
        decimals = column.cast(pl.Float64)
        fractional = decimals.is_finite() & (decimals != decimals.floor()) & ~missing
        refuse(fractional, column, f"{label} must be strings or integers", "store them as such", place)
    if column.dtype.is_float():
        inexact = column.is_finite() & (column.abs() >= EXACT_BELOW)
        rule = f"{label} must be below 2^53 where they are decimals"
        refuse(inexact, column, rule, "store them as integers", place)
    integers = column.cast(pl.Int64, strict=False)
    too_large = integers.is_null() & ~missing
    refuse(too_large, column, f"{label} must fit 64-bit integers", "store them as strings", place)
    ids = integers.drop_nulls().unique().sort().rename("id")
    return Identified(ids, _places(integers, ids))


def _places(integers: pl.Series, ids: pl.Series) -> np.ndarray:
    """The place in ``ids``, which are sorted, of each integer; -1 for null."""
    if not len(ids):
        return np.full(len(integers), MISSING, np.int64)
    low, high = int(ids[0]), int(ids[-1])
    if high - low >= 4 * len(integers) + 1024:
        return _joined_places(integers, ids)
    index_of_value = np.full(high - low + 2, MISSING, np.int64)
    index_of_value[ids.to_numpy() - low] = np.arange(len(ids))
    # -1 looks up the last entry, which belongs to no id.
    places: np.ndarray = index_of_value[(integers - low).fill_null(-1).to_numpy()]
    return places


def _joined_places(column: pl.Series, ids: pl.Series) -> np.ndarray:
    """The place in ``ids`` of each value of a column; -1 for null."""
    table = pl.DataFrame({"id": ids, "index": np.arange(len(ids))})
    found = column.rename("id").to_frame().join(table, on="id", how="left", maintain_order="left")["index"]
    return found.fill_null(MISSING).to_numpy()

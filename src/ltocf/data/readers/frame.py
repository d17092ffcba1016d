"""A table with one row per interaction becomes a Dataset, whatever file or library it came from."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.ids import EXACT_BELOW, USUAL_INTEGER, IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.data.readers.options import ReadOptions

logger = logging.getLogger(__name__)

# Compared without case, `_`, `-` and blanks; the first that is there is taken.
USUAL_NAMES = {
    "user": ("userid", "user", "uid", "customerid", "reviewerid", "visitorid", "accountid", "memberid"),
    "item": (
        *("itemid", "item", "iid", "movieid", "productid", "parentasin", "asin", "bookid", "isbn"),
        *("trackid", "songid", "artistid", "articleid", "businessid", "gameid", "locationid"),
    ),
    "timestamp": ("timestamp", "unixreviewtime", "datetime", "date", "time", "createdat"),
    "rating": ("rating", "ratings", "stars", "overall", "score"),
}

_ROLES = ("user", "item", "timestamp", "rating", "title")
_KINDS = {"user": "user ids", "item": "item ids", "timestamp": "timestamps", "rating": "ratings"}

# What programs write for "no value" when they write text.
_MISSING_TEXTS = ("", "nan", "NaN", "null", "NULL", "None", "<NA>")


def dataset_from_frame(
    frame: pl.DataFrame | pl.LazyFrame, name: str, *, from_text: bool = False, **columns: Any
) -> Dataset:
    """Turn a polars frame into a Dataset; ``columns`` are those of `ReadOptions`.

    Ids keep their type, strings or integers, and are sorted, so the indices do not depend on the order of rows.
    ``from_text`` says that all columns were read as strings: then ids are stored as integers if every one of them
    is written the way an integer is printed, so ``"007"`` makes a column of strings. Integer timestamps are kept,
    others (decimals, dates, ISO 8601 text, UTC where no zone is given) become whole seconds since 1970. Repeated
    pairs are merged, the earliest timestamp stays.

    Raises:
        ValueError: a column that is missing or not recognised, no rows, a missing id, rating or timestamp, a value
            that is not of its kind, or ``min_rating`` that leaves nothing.

    Example:
        >>> frame = pl.DataFrame({"user_id": ["bob", "ann", "ann"], "movieId": [7, 7, 3], "stars": [5, 4, 2]})
        >>> dataset = dataset_from_frame(frame, "films", min_rating=4)
        >>> dataset.user_ids.decode([0, 1]), dataset.item_ids.decode([0]), len(dataset.interactions)
        (['ann', 'bob'], [7], 2)
    """
    options = ReadOptions(**columns)
    chosen = choose_columns(frame.collect_schema().names(), name, options)
    table = frame.lazy().select(**{role: pl.col(column) for role, column in chosen.items()}).collect()
    if not len(table):
        raise ValueError(f"{name} must hold at least one row besides the header, got none")
    labels = {role: f"{name}: {kind} (column {chosen[role]!r})" for role, kind in _KINDS.items() if role in chosen}
    for role in ("user", "item"):
        table = table.with_columns(_ids(table[role], labels[role], from_text).alias(role))
    rows = None
    if options.min_rating is not None:
        rows = _rated(_numbers(table["rating"], labels["rating"]), options.min_rating, name)
        table = table[rows]
    elif "rating" in chosen:
        logger.info("%s: every row is an interaction, whatever its rating; `min_rating` would choose", name)
    when = None
    if "timestamp" in chosen:
        when = _epoch_seconds(table["timestamp"], labels["timestamp"], rows).to_numpy()

    user_ids, item_ids = IdMap.of(table["user"]), IdMap.of(table["item"])
    users, items = user_ids.encode(table["user"]), item_ids.encode(table["item"])
    pairs = Interactions.from_pairs(users, items, len(user_ids), len(item_ids), when)
    dataset = Dataset(name, pairs, Names(user_ids, item_ids))
    return with_titles(dataset, table["item"], table["title"]) if "title" in chosen else dataset


def with_titles(dataset: Dataset, ids: pl.Series, titles: pl.Series) -> Dataset:
    """The dataset with a title for each item: its first one that is not empty, else its id as text."""
    table = pl.DataFrame({"item": dataset.item_ids.encode(ids), "title": titles.cast(pl.String)})
    known = table.filter((pl.col("item") >= 0) & (pl.col("title").str.strip_chars() != ""))
    known = known.unique("item", keep="first")
    names = [str(item) for item in dataset.item_ids.decode(np.arange(len(dataset.item_ids)))]
    for item, title in known.iter_rows():
        names[item] = title
    logger.debug("%s: %d of %d items have no title", dataset.name, len(names) - len(known), len(names))
    return replace(dataset, names=replace(dataset.names, titles=tuple(names)))


def choose_columns(available: Iterable[str], name: str, options: ReadOptions) -> dict[str, str]:
    """Role -> column: the one asked for, else the usual name that is there; see `ReadOptions`."""
    available = list(available)
    plain = {column.lower().translate(str.maketrans("", "", "_- ")): column for column in reversed(available)}
    chosen: dict[str, str] = {}
    for role in _ROLES:
        column = getattr(options, f"{role}_column")
        if column is None:
            usual = USUAL_NAMES.get(role, ())
            column = next((plain[usual_name] for usual_name in usual if usual_name in plain), "")
        elif column and column not in available:
            raise ValueError(f"{name}: `{role}_column` must be one of its columns {available}, got {column!r}")
        if column:
            chosen[role] = column
        elif role in ("user", "item") or (role == "rating" and options.min_rating is not None):
            reason = "`min_rating` needs one: " if role == "rating" else ""
            raise ValueError(
                f"{name}: no column is named like a {role}; {reason}pass `{role}_column` as one of {available}"
            )
    if chosen["user"] == chosen["item"]:
        raise ValueError(f"{name}: users and items must be two columns, got {chosen['user']!r} for both")
    return chosen


def _ids(column: pl.Series, label: str, from_text: bool) -> pl.Series:
    """Ids as strings or 64-bit integers, none missing."""
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        column = column.cast(pl.String)
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(False)
    elif column.dtype == pl.String:
        texts = _MISSING_TEXTS if from_text else ("",)
        missing = missing | column.str.strip_chars().is_in(texts).fill_null(False)
    _refuse(missing, column, f"{label} must not be missing", "give them an id or remove the rows")

    if column.dtype.is_numeric():
        if not column.dtype.is_integer():  # pandas makes decimals of integers once a value is missing
            decimals = column.cast(pl.Float64)
            broken = decimals != decimals.floor()
            _refuse(broken, column, f"{label} must be strings or integers", "store them as such")
        if column.dtype.is_float():
            blurred = column.is_finite() & (column.abs() >= EXACT_BELOW)
            _refuse(blurred, column, f"{label} must be below 2^53 where they are decimals", "store them as integers")
        integers = column.cast(pl.Int64, strict=False)
        _refuse(integers.is_null(), column, f"{label} must fit 64-bit integers", "store them as strings")
        return integers
    if column.dtype != pl.String:
        raise ValueError(f"{label} must be strings or integers, got {column.dtype}")
    if not from_text:
        return column
    distinct = column.unique()
    integers = distinct.cast(pl.Int64, strict=False)
    is_integer = distinct.str.contains(USUAL_INTEGER) & integers.is_not_null()
    return column.cast(pl.Int64) if is_integer.all() else column


def _numbers(column: pl.Series, label: str) -> pl.Series:
    """Finite numbers as 64-bit floats, none missing."""
    if not (column.dtype.is_numeric() or column.dtype == pl.String):
        raise ValueError(f"{label} must be numbers, got {column.dtype}")
    numbers = column.cast(pl.Float64, strict=False)
    _refuse(~numbers.is_finite().fill_null(False), column, f"{label} must be numbers", "correct or remove the rows")
    return numbers


def _rated(ratings: pl.Series, min_rating: float | int, name: str) -> pl.Series:
    """The rows that are rated at least that."""
    rows = (ratings >= min_rating).arg_true()
    if not len(rows):
        values = ratings.to_numpy()
        raise ValueError(
            f"{name}: `min_rating` must leave at least one row, got {min_rating} and ratings from {values.min():g} "
            f"to {values.max():g}"
        )
    logger.info("%s: %d of %d rows are rated at least %g", name, len(rows), len(ratings), min_rating)
    return rows


def _epoch_seconds(column: pl.Series, label: str, rows: pl.Series | None) -> pl.Series:
    """Integers as they are; decimals, dates and ISO 8601 text as whole seconds since 1970."""
    remedy = 'correct the rows, or pass `timestamp_column=""` to read no timestamps'
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        seconds = column.dt.epoch("s")
    elif column.dtype == pl.String:
        seconds = column.cast(pl.Int64, strict=False)
        if seconds.null_count():
            decimals = column.cast(pl.Float64, strict=False).floor()
            seconds = seconds.fill_null(decimals.cast(pl.Int64, strict=False))
        if seconds.null_count():
            # Other orders of day and month are ambiguous, and polars would guess.
            dates = column.set(~column.str.contains(r"^\d{4}-\d{2}-\d{2}").fill_null(False), None)
            moments = dates.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
            seconds = seconds.fill_null(moments.dt.epoch("s"))
    elif column.dtype.is_numeric():
        whole = column.floor() if column.dtype.is_float() else column
        seconds = whole.cast(pl.Int64, strict=False)
    else:
        raise ValueError(f"{label} must be numbers, dates or ISO 8601 text, got {column.dtype}; {remedy}")
    _refuse(seconds.is_null(), column, f"{label} must be numbers, dates or ISO 8601 text", remedy, rows)
    return seconds


def _refuse(bad: pl.Series, column: pl.Series, rule: str, remedy: str, rows: pl.Series | None = None) -> None:
    """Raise if any value is bad, with their number and the first of them; ``rows`` is where the values were read."""
    if n_bad := int(bad.sum()):
        place = int(bad.arg_true()[0])
        row = place if rows is None else rows[place]
        raise ValueError(
            f"{rule}, got {column[place]!r} in row {row + 1} (from 1, without the header), one of {n_bad} such rows "
            f"of {len(column)}; {remedy}"
        )

"""A table with one row per interaction becomes a Dataset, whatever file or library it came from."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import TypedDict

import numpy as np
import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names

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

# What programs write for "no value" when they write text.
_MISSING_TEXTS = ("", "nan", "NaN", "null", "NULL", "None", "<NA>")


class ColumnOptions(TypedDict, total=False):
    """Which columns to read; one that is not given is guessed from the usual names, ``""`` ignores an optional one.

    ``title_column`` is never guessed: in review data ``title`` is that of the review. With ``min_rating`` only rows
    rated at least that much are interactions; without it every row is one.
    """

    user_column: str | None
    item_column: str | None
    timestamp_column: str | None
    rating_column: str | None
    title_column: str | None
    min_rating: float | int | None


def dataset_from_frame(
    frame: pl.DataFrame | pl.LazyFrame,
    name: str,
    *,
    user_column: str | None = None,
    item_column: str | None = None,
    timestamp_column: str | None = None,
    rating_column: str | None = None,
    title_column: str | None = None,
    min_rating: float | int | None = None,
    from_text: bool = False,
) -> Dataset:
    """Turn a polars frame into a Dataset; see `ColumnOptions` for the columns.

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
    asked = {"user": user_column, "item": item_column, "timestamp": timestamp_column, "rating": rating_column}
    columns = choose_columns(frame.collect_schema().names(), name, {**asked, "title": title_column}, min_rating)
    table = frame.lazy().select(**{role: pl.col(column) for role, column in columns.items()}).collect()
    if not len(table):
        raise ValueError(f"{name} must hold at least one row besides the header, got none")
    for role in ("user", "item"):
        ids = _ids(table[role], f"{name}: {role} ids (column {columns[role]!r})", from_text)
        table = table.with_columns(ids.alias(role))
    if min_rating is not None:
        ratings = _numbers(table["rating"], f"{name}: ratings (column {columns['rating']!r})")
        table = _keep_rated(table, ratings, min_rating, name)
    elif "rating" in columns:
        logger.info("%s: every row is an interaction, whatever its rating; `min_rating` would choose", name)
    when = None
    if "timestamp" in columns:
        when = _epoch_seconds(table["timestamp"], f"{name}: timestamps (column {columns['timestamp']!r})").to_numpy()

    user_ids, item_ids = IdMap.of(table["user"]), IdMap.of(table["item"])
    users, items = user_ids.encode(table["user"]), item_ids.encode(table["item"])
    pairs = Interactions.from_pairs(users, items, len(user_ids), len(item_ids), when)
    dataset = Dataset(name, pairs, Names(user_ids, item_ids))
    return with_titles(dataset, table["item"], table["title"]) if "title" in columns else dataset


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


def choose_columns(
    available: Iterable[str], name: str, asked: dict[str, str | None], min_rating: float | int | None = None
) -> dict[str, str]:
    """Role -> column: the one asked for, else the usual name that is there; see `ColumnOptions`."""
    available = list(available)
    plain = {column.lower().translate(str.maketrans("", "", "_- ")): column for column in reversed(available)}
    chosen: dict[str, str] = {}
    for role, column in asked.items():
        if column is None:
            usual = USUAL_NAMES.get(role, ())
            column = next((plain[usual_name] for usual_name in usual if usual_name in plain), "")
        elif column and column not in available:
            raise ValueError(f"{name}: `{role}_column` must be one of its columns {available}, got {column!r}")
        if column:
            chosen[role] = column
        elif role in ("user", "item") or (role == "rating" and min_rating is not None):
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
        integers = column.cast(pl.Int64, strict=False)
        _refuse(integers.is_null(), column, f"{label} must fit 64-bit integers", "store them as strings")
        return integers
    if column.dtype != pl.String:
        raise ValueError(f"{label} must be strings or integers, got {column.dtype}")
    if not from_text:
        return column
    distinct = column.unique()
    integers = distinct.cast(pl.Int64, strict=False)
    is_integer = distinct.str.contains(r"^(0|-?[1-9][0-9]*)$") & integers.is_not_null()
    return column.cast(pl.Int64) if is_integer.all() else column


def _numbers(column: pl.Series, label: str) -> pl.Series:
    """Finite numbers as 64-bit floats, none missing."""
    if not (column.dtype.is_numeric() or column.dtype == pl.String):
        raise ValueError(f"{label} must be numbers, got {column.dtype}")
    numbers = column.cast(pl.Float64, strict=False)
    _refuse(~numbers.is_finite().fill_null(False), column, f"{label} must be numbers", "correct or remove the rows")
    return numbers


def _keep_rated(table: pl.DataFrame, ratings: pl.Series, min_rating: float | int, name: str) -> pl.DataFrame:
    kept = table.filter(ratings >= min_rating)
    if not len(kept):
        values = ratings.to_numpy()
        raise ValueError(
            f"{name}: `min_rating` must leave at least one row, got {min_rating} and ratings from {values.min():g} "
            f"to {values.max():g}"
        )
    logger.info("%s: %d of %d rows are rated at least %g", name, len(kept), len(table), min_rating)
    return kept


def _epoch_seconds(column: pl.Series, label: str) -> pl.Series:
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
    _refuse(seconds.is_null(), column, f"{label} must be numbers, dates or ISO 8601 text", remedy)
    return seconds


def _refuse(bad: pl.Series, column: pl.Series, rule: str, remedy: str) -> None:
    """Raise if any value is bad, with their number and the first of them."""
    if n_bad := int(bad.sum()):
        row = int(bad.arg_true()[0])
        raise ValueError(
            f"{rule}, got {column[row]!r} in row {row + 1} (from 1, without the header), one of {n_bad} such rows "
            f"of {len(column)}; {remedy}"
        )

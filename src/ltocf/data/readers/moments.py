"""Timestamps in the ways that people write them become whole seconds since 1970, row by row."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from ltocf.data.readers.rows import BLANKS, is_missing

YEAR_2100 = 4_102_444_800
"""In seconds since 1970."""

_PLAUSIBLE_FROM = 100_000_000
"""Numbers below this, which is March 1973 in seconds, are taken for something else: places, hours of play."""

_UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
_DIGITS = {"%Y%m%d": (19_700_101, 21_001_231), "%Y%m%d%H%M%S": (19_700_101_000_000, 21_001_231_235_959)}

# The first value decides which one is tried on the whole column; the values it does not fit are parsed more slowly.
_FAST = (
    (r"\d{4}-\d\d-\d\d", "%Y-%m-%d"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "%Y-%m-%d %H:%M:%S"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "%Y-%m-%dT%H:%M:%S"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "%Y-%m-%dT%H:%M:%SZ"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "%Y-%m-%d %H:%M:%S UTC"),
)
# 2024-05-01T10:30:00.5+02:00, 2024/5/1 10:30, 2019-10-01 00:00:00 UTC, 2024-05-01 10:30:00 +0000 UTC
_ISO = (
    r"(?i)^(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})"
    r"(?:(?:T|[ ]+)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d*)?)?"
    r"[ ]*(?:UTC|GMT|Z)?[ ]*(?:(?P<sign>[+-])(?P<zone_hour>\d\d):?(?P<zone_minute>\d\d)?)?(?:[ ]+(?:UTC|GMT))?)?"
    r"(?:\[[A-Za-z_/+-]+\])?$"
)
_TIME_OF_DAY = r"^\d{1,2}:\d\d(:\d\d(\.\d*)?)?$"
_DATE = r"^\d{4}-\d{1,2}-\d{1,2}$"


@dataclass(frozen=True)
class Moments:
    """A column of timestamps.

    Args:
        seconds: whole seconds since 1970, or other whole numbers unchanged; null where there is none.
        missing: where there is no value.
        notes: how they were read.
        doubt: why these may not be moments at all, or "".
        whole: there is doubt, but they are whole numbers, which may be places in an order.
    """

    seconds: pl.Series
    missing: pl.Series
    notes: tuple[str, ...] = ()
    doubt: str = ""
    whole: bool = False

    @property
    def unreadable(self) -> pl.Series:
        """Where there is a value that is no timestamp."""
        return self.seconds.is_null() & ~self.missing


def read_moments(column: pl.Series, timestamp_format: str | None) -> Moments:
    """Timestamps of any kind as whole seconds since 1970, UTC where no zone is given; fractions are cut off.

    Text may mix ISO 8601 (``T`` or a blank, any offset, ``Z``, the words UTC and GMT), dates and numbers, unless
    ``timestamp_format`` says how it is written. Numbers are seconds, milliseconds, microseconds or nanoseconds, or
    dates written 20240501, whichever fits the size of all of them; if none does, they are kept unchanged.

    Example:
        >>> texts = pl.Series(["2019-10-01 00:00:00 UTC", "2019-10-01T02:00:01+02:00", "2019-10-01", "NA"])
        >>> read_moments(texts, None).seconds.to_list()
        [1569888000, 1569888001, 1569888000, None]
    """
    if column.dtype == pl.String:
        if timestamp_format is None:
            return _of_text(column)
        seconds = _by_format(column.str.strip_chars(BLANKS), timestamp_format)
        return Moments(seconds, _missing_among(column, seconds.is_null()))
    missing = is_missing(column, from_text=True)
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return Moments(column.dt.epoch("s").cast(pl.Int64), missing)
    if column.dtype.is_numeric():
        return _of_numbers(column, missing)
    return Moments(pl.repeat(None, len(column), dtype=pl.Int64, eager=True), missing)


def join_time_of_day(dates: pl.Series, times: pl.Series) -> pl.Series | None:
    """Dates and the time of day beside them as one text; None if any of them is something else."""
    dates, times = (column.cast(pl.String).str.strip_chars(BLANKS) for column in (dates, times))
    missing = is_missing(dates, from_text=True) | is_missing(times, from_text=True)
    fitting = dates.str.contains(_DATE) & times.str.contains(_TIME_OF_DAY)
    if missing.all() or not (fitting | missing).all():
        return None
    return (dates + " " + times).zip_with(~missing, pl.Series([None], dtype=pl.String))


def _of_text(column: pl.Series) -> Moments:
    """The whole column by the format of its first value, the rest as numbers or by the pattern of ISO 8601."""
    seconds = _by_first_value(column)
    missing = _missing_among(column, seconds.is_null())
    places = (seconds.is_null() & ~missing).arg_true()
    if not len(places):
        return Moments(seconds, missing)
    text = column.gather(places).str.strip_chars(BLANKS)
    numbers = text.cast(pl.Int64, strict=False)
    if numbers.null_count():
        decimals = text.cast(pl.Float64, strict=False)
        numbers = _whole(decimals) if _are_whole(decimals) else decimals
    found = numbers.is_finite().fill_null(False) if numbers.dtype.is_float() else numbers.is_not_null()
    notes: tuple[str, ...] = ()
    doubt, whole = "", False
    if found.any():
        read = _of_numbers(numbers, ~found)
        seconds, notes, doubt, whole = seconds.scatter(places, read.seconds), read.notes, read.doubt, read.whole
    if not found.all():
        seconds = seconds.scatter(places.filter(~found), _iso(text.filter(~found)))
    return Moments(seconds, missing, notes, doubt, whole)


def _missing_among(column: pl.Series, unread: pl.Series) -> pl.Series:
    """Which of the unread rows have no value; to check every row would take long."""
    missing = pl.repeat(False, len(column), dtype=pl.Boolean, eager=True)
    places = unread.arg_true()
    return missing.scatter(places, is_missing(column.gather(places), from_text=True)) if len(places) else missing


def _by_first_value(column: pl.Series) -> pl.Series:
    sample = column.drop_nulls().head(100)
    first = next((value for value in sample.filter(~is_missing(sample, from_text=True))), "")
    for pattern, timestamp_format in _FAST:
        if re.fullmatch(pattern, first):
            return _by_format(column, timestamp_format)
    return pl.repeat(None, len(column), dtype=pl.Int64, eager=True)


def _by_format(text: pl.Series, timestamp_format: str) -> pl.Series:
    # Without the cache, which costs more than it saves if most values differ.
    moments = text.str.to_datetime(timestamp_format, time_unit="us", strict=False, cache=False)
    return moments.dt.epoch("s").cast(pl.Int64)


def _iso(text: pl.Series) -> pl.Series:
    """Text by the pattern of ISO 8601 and its variants; null where it does not match."""
    fields = text.str.extract_groups(_ISO).struct.unnest()
    number = {name: pl.col(name).cast(pl.Int32).fill_null(0) for name in fields.columns if name != "sign"}
    date = {name: pl.col(name).cast(pl.Int32) for name in ("year", "month", "day")}
    offset = number["zone_hour"] * 3600 + number["zone_minute"] * 60
    valid = (number["hour"] < 24) & (number["minute"] < 60) & (number["second"] <= 60) & (number["month"] <= 12)
    valid &= (number["zone_hour"] < 24) & (number["zone_minute"] < 60)
    # Month and day as text: `pl.date` refuses the 30th of February with an error.
    written = pl.format("{}-{}-{}", pl.col("year"), pl.col("month").str.zfill(2), pl.col("day").str.zfill(2))
    day = written.str.to_date("%Y-%m-%d", strict=False).dt.epoch("s").cast(pl.Int64)
    clock = number["hour"] * 3600 + number["minute"] * 60 + number["second"]
    ahead = pl.when(pl.col("sign") == "-").then(-offset).otherwise(offset)
    seconds = pl.when(valid & date["year"].is_not_null()).then(day + clock - ahead)
    return fields.select(seconds=seconds)["seconds"].cast(pl.Int64)


def _are_whole(numbers: pl.Series) -> bool:
    known = numbers.filter(numbers.is_finite())
    return bool((known == known.floor()).all())


def _whole(numbers: pl.Series) -> pl.Series:
    return numbers.floor().cast(pl.Int64, strict=False)


def _of_numbers(column: pl.Series, missing: pl.Series) -> Moments:
    """Numbers in the unit that fits the size of all of them; unchanged if none fits."""
    whole = column.cast(pl.Int64, strict=False) if column.dtype.is_integer() else _whole(column.cast(pl.Float64))
    known = whole.filter(~missing).drop_nulls()
    if not len(known):
        return Moments(whole, missing)
    sizes = known.to_numpy()
    low, high = int(sizes.min()), int(sizes.max())
    for unit, factor in _UNITS.items():
        if _PLAUSIBLE_FROM * factor <= low and high < YEAR_2100 * factor:
            return Moments(whole // factor, missing, (f"read as {unit} since 1970",))
    for written, (least, greatest) in _DIGITS.items():
        if least <= low and high <= greatest:
            seconds = _by_format(whole.cast(pl.String), written)
            if seconds.null_count() == whole.null_count():
                return Moments(seconds, missing, (f"read as dates written {written}",))
    kept = f"from {low} to {high} are not times since 1970 in one unit"
    decimals = column.filter(~missing).cast(pl.Float64)
    if column.dtype.is_integer() or _are_whole(decimals):
        return Moments(whole, missing, (f"numbers {kept}; kept as they are",), f"numbers {kept}", whole=True)
    extent = f"{decimals.min()!r} to {decimals.max()!r}"
    doubt = f"decimals from {extent} are not times since 1970; are they hours or minutes?"
    return Moments(whole, missing, (f"decimals from {extent} are not times since 1970; rounded down",), doubt)


def seconds_of(moment: str, option: str) -> int:
    """A moment given as an option, in seconds since 1970.

    Raises:
        ValueError: it is not ISO 8601.

    Example:
        >>> seconds_of("1970-01-02T00:00+01:00", "since")
        82800
    """
    seconds = _iso(pl.Series([moment.strip()]))[0]
    if seconds is None:
        raise ValueError(f"`{option}` must be a moment like 2024-05-01 or 2024-05-01T10:30, got {moment!r}")
    return int(seconds)

"""When each row happened: the column of timestamps, what to do without it, and the limits of time."""

from __future__ import annotations

from dataclasses import replace

from ltocf.data.readers.columns import USUAL_TIMES_OF_DAY, plain
from ltocf.data.readers.moments import Moments, join_time_of_day, read_moments, seconds_of
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.rows import Rows, refuse
from ltocf.data.report import ChosenColumn, counted

TIME_OF_DAY = "time of day"
NO_TIMESTAMP = "no timestamp"
UNTIMED = "no value in the column of timestamps"

NAMES_OF_PLACES = ("timestamp", "ts")
"""Columns with these names may hold 1, 2, 3 as an order; in one named `time` or `date` these are minutes, or years."""

MISSING_SHARE = 0.01
"""Up to this share of all rows, those without a time are left out; if there are more, the column is not used."""

_RULE = "must be times: ISO 8601, dates or numbers"
_REMEDY = "say how they are written with `timestamp_format`, like '%d.%m.%Y %H:%M', or read none of them"


def time_of_day_beside(chosen: dict[str, ChosenColumn], available: list[str]) -> str | None:
    """The column with the time of day for a column of dates that was recognised by its name, if there is one."""
    when = chosen.get("timestamp")
    if when is None or when.why == "given" or not plain(when.name).endswith("date"):
        return None
    taken = {column.name for column in chosen.values()}
    usual = [column for column in available if plain(column) in USUAL_TIMES_OF_DAY and column not in taken]
    return usual[0] if usual else None


def moments_of(rows: Rows, chosen: dict[str, ChosenColumn], options: ReadOptions) -> Moments | None:
    """The moments of the column of timestamps, joined with the column of the time of day if it has one per date."""
    if "timestamp" not in chosen:
        return None
    column = rows.frame["timestamp"]
    if TIME_OF_DAY not in chosen:
        return read_moments(column, options.timestamp_format)
    joined = None if options.timestamp_format else join_time_of_day(column, rows.frame[TIME_OF_DAY])
    if joined is not None:
        return read_moments(joined, None)
    beside = chosen.pop(TIME_OF_DAY).name
    read = read_moments(column, options.timestamp_format)
    return replace(read, notes=(*read.notes, f"column {beside!r} is left out: it is not a time of day for each date"))


def use_timestamps(rows: Rows, chosen: dict[str, ChosenColumn], moments: Moments | None, options: ReadOptions) -> None:
    """Keep ``seconds`` in the frame of the rows if they are usable, and leave out rows beyond ``since`` and ``until``.

    Either all interactions have a timestamp or none has. So rows without one are left out if they are few (up to 1 %
    of the rows, and always one row). If there are more, or a value cannot be read, this is an error for a requested
    column; one that was only recognised by its name is not used, with a warning. Rows that are no interactions, such
    as those rated low, need no timestamp.

    Raises:
        ValueError: a requested column cannot be read, or ``since`` or ``until`` is given without timestamps.
    """
    when = chosen.get("timestamp")
    if when is not None and moments is not None:
        label = f"timestamps (column {when.name!r})"
        if _usable(rows, moments, when, label):
            rows.note(f"{label}: {note}" for note in moments.notes)
            rows.drop(rows.frame[UNTIMED] & rows.frame["positive"], NO_TIMESTAMP, rows.frame["timestamp"])
        else:
            chosen.pop("timestamp")
            chosen.pop(TIME_OF_DAY, None)
            rows.frame = rows.frame.drop("seconds")
    limits = {name: value for name in ("since", "until") if (value := getattr(options, name)) is not None}
    if limits and "timestamp" not in chosen:
        raise ValueError(f"{rows.name}: `{next(iter(limits))}` needs timestamps; pass `timestamp_column`")
    for name, moment in limits.items():
        limit, seconds = seconds_of(str(moment), name), rows.frame["seconds"]
        outside = seconds < limit if name == "since" else seconds >= limit
        reason = f"before `since` = {moment}" if name == "since" else f"not before `until` = {moment}"
        rows.drop(outside, reason, rows.frame["timestamp"], asked=True)
    rows.refuse_nothing_left()


def _usable(rows: Rows, moments: Moments, when: ChosenColumn, label: str) -> bool:
    """Whether timestamps can be used; if not, an error if the column was requested, else a warning."""
    column, needed, untimed = rows.frame["timestamp"], rows.frame["positive"], rows.frame[UNTIMED]
    try:
        unreadable, missing = rows.frame["seconds"].is_null() & ~untimed & needed, untimed & needed
        refuse(unreadable, column, f"{rows.name}: {label} {_RULE}", _REMEDY, rows.place)
        if (n_missing := int(missing.sum())) > max(1, MISSING_SHARE * int(needed.sum())):
            rule = f"{rows.name}: {label} must not be missing in more than 1 % of the rows"
            remedy = f'give them a time, or pass `timestamp_column=""` ({counted(n_missing, "row")} without one)'
            refuse(missing, column, rule, remedy, rows.place)
    except ValueError as error:
        if when.why == "given":
            raise
        reason = str(error).removeprefix(f"{rows.name}: ")
        rows.warnings.append(f"column {when.name!r}, named like a timestamp, is not used: {reason}")
        return False
    may_be_places = moments.whole and any(word in plain(when.name) for word in NAMES_OF_PLACES)
    if moments.doubt and when.why != "given" and not may_be_places:
        remedy = f"pass `timestamp_column={when.name!r}` if they say when it happened"
        rows.warnings.append(f"column {when.name!r}, named like a timestamp, is not used: {moments.doubt}; {remedy}")
        return False
    return True

"""What many users touched, over all time or in a window of it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

import torch

from ltocf.data.histories import Histories
from ltocf.models.user_map import ItemNumbers
from ltocf.shapes import PairTimestamps

Moment: TypeAlias = int | float | str | date
"""Seconds since 1970, a date, a time, or either as ISO text; without a zone it is UTC."""

SECONDS_PER_DAY = timedelta(days=1).total_seconds()


def seconds_of(moment: Moment) -> float:
    """A moment as seconds since 1970.

    Raises:
        ValueError: a text that is not an ISO date or time.

    Example:
        >>> seconds_of("1970-01-02"), seconds_of("1970-01-01T01:00:00+01:00"), seconds_of(90)
        (86400.0, 0.0, 90.0)
    """
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError as error:
            rule = "a moment must be seconds since 1970 or a date or time like 2024-05-31 or 2024-05-31T18:00+02:00"
            raise ValueError(f"{rule}, got {moment!r}") from error
    if isinstance(moment, date):
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment)


def counts_between(
    histories: Histories,
    timestamps: PairTimestamps | None,
    days: float | int | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> ItemNumbers:
    """How many users first touched each item at a time t with since <= t < until.

    Args:
        histories: the items of all users.
        timestamps: when each entry of ``histories`` happened, seconds since 1970.
        days: instead of ``since``: this many days up to ``until`` or, without it, up to and including the last event.
        since: the first moment.
        until: the moment after the last one.

    Raises:
        ValueError: there are no timestamps, both ``days`` and ``since`` are given, or the window is empty.
    """
    if timestamps is None:
        raise ValueError("a time window needs timestamps, but this model was trained without any")
    if days is not None and since is not None:
        raise ValueError("give `days` or `since`, not both")
    if days is not None and not days > 0:
        raise ValueError(f"`days` must be > 0, got {days}")
    last = int(timestamps.max(initial=0))
    end = math.inf if until is None else seconds_of(until)
    start = -math.inf if since is None else seconds_of(since)
    if days is not None:
        start = min(end, last + 1) - days * SECONDS_PER_DAY
    if not start < end:
        raise ValueError(f"`since` must be before `until`, got {since!r} and {until!r}")
    inside = torch.from_numpy((timestamps >= start) & (timestamps < end))
    return torch.bincount(histories.items[inside], minlength=histories.n_items).float()

"""The order of histories: how many of a user's items came after each, and how long before the last one it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ltocf.data.interactions import Interactions
from ltocf.shapes import PairAges, PairDays

SECONDS_PER_DAY = 86_400
PAIRS_AT_A_TIME = 2**20
"""Sorting takes about eighty bytes for each pair; a user with more has a block of their own."""


class Ages(NamedTuple):
    """How old each pair is within its user's history; comparable between users as a rank, not as a moment.

    Args:
        later: number of the user's items that came after it.
        days: days before the user's last item; None without a clock.
    """

    later: PairAges
    days: PairDays | None = None


def ages_of(pairs: Interactions) -> Ages | None:
    """The age of each pair, from its timestamp or else its place; None if histories have no order.

    Items of the same moment have the same age, whatever their indices.

    Example:
        >>> log = Interactions.from_pairs([0, 0, 0, 1], [5, 6, 7, 5], timestamps=[0, 86_400, 86_400, 9])
        >>> ages = ages_of(log)
        >>> ages.later.tolist(), ages.days.tolist()
        ([2, 0, 0, 0], [1.0, 0.0, 0.0, 0.0])
        >>> ages_of(Interactions.from_pairs([0, 0], [1, 2])) is None
        True
    """
    when = pairs.timestamps if pairs.timestamps is not None else pairs.places
    if when is None:
        return None
    later = np.empty(len(pairs), np.int32)
    days = None if pairs.timestamps is None else np.empty(len(pairs), np.float32)
    for block in _blocks_of_users(pairs):
        later[block], seconds = _ages_in(pairs.users[block], when[block])
        if days is not None:
            days[block] = seconds / SECONDS_PER_DAY
    return Ages(later, days)


def _blocks_of_users(pairs: Interactions) -> Iterator[slice]:
    """Pairs of a few users at a time, which lie together."""
    ends = np.cumsum(pairs.user_degrees)
    start = 0
    while start < len(pairs):
        first = np.searchsorted(ends, start, "right")  # whose pairs begin at `start`
        last = max(first, np.searchsorted(ends, start + PAIRS_AT_A_TIME, "right") - 1)
        yield slice(start, int(ends[last]))
        start = int(ends[last])


def _ages_in(users: np.ndarray, when: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For the pairs of some users: how many of the user's came later, and how long before the last it was."""
    order = np.lexsort((when, users))
    moments = when[order]
    # Items of the same moment all have as many after them as the last of them.
    ends_user = np.append(users[1:] != users[:-1], True)
    ends_moment = ends_user | np.append(moments[1:] != moments[:-1], True)
    ends = np.flatnonzero(ends_user)[np.cumsum(ends_user) - ends_user]
    later, before = np.empty_like(order), np.empty_like(moments)
    later[order] = ends - np.flatnonzero(ends_moment)[np.cumsum(ends_moment) - ends_moment]
    before[order] = moments[ends] - moments
    return later, before

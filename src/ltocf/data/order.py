"""The order of histories: how many of a user's items came after each, and how long before the last one it was."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ltocf.data.interactions import Interactions
from ltocf.shapes import PairAges, PairDays

SECONDS_PER_DAY = 86_400


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
    ends = np.cumsum(pairs.user_degrees)[pairs.users]
    order = np.lexsort((when, pairs.users))
    users, moments = pairs.users[order], when[order]
    # Items of the same moment all have as many after them as the last of them.
    is_last = np.ones(len(order), bool)
    is_last[:-1] = (users[1:] != users[:-1]) | (moments[1:] != moments[:-1])
    last = np.flatnonzero(is_last)[np.cumsum(is_last) - is_last]
    later = np.empty(len(order), np.int32)
    later[order] = ends[order] - 1 - last
    if pairs.timestamps is None:
        return Ages(later)
    newest = np.full(pairs.n_users, np.iinfo(np.int64).min)
    np.maximum.at(newest, pairs.users, when)
    return Ages(later, ((newest[pairs.users] - when) / SECONDS_PER_DAY).astype(np.float32))

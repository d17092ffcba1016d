"""New events are added to existing pairs: known ids keep their indices, new users and items come after them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.ids import UNKNOWN, USUAL_INTEGER, IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names

NOTHING = ""
"""The name of a placeholder column, which gives items without attributes a row."""


@dataclass(frozen=True)
class Joined:
    """Old and new pairs together.

    Args:
        names: the old names, and the new ones after them.
        interactions: all pairs.
        also_seen: pairs that are no interactions but count as seen, or None.
        n_new_pairs: number of pairs that were not there before.
    """

    names: Names
    interactions: Interactions
    also_seen: Interactions | None
    n_new_pairs: int


def join_events(names: Names, pairs: Interactions, also_seen: Interactions | None, events: Dataset) -> Joined:
    """All old and new pairs, over the old and new users and items.

    If only one side has weights, pairs of the other get the weight 1. Timestamps stay only if both have them.

    Raises:
        ValueError: ids are strings that come after integers, or integers like 7 that come after strings like ``007``.

    Example:
        >>> from ltocf.data import to_dataset
        >>> before = to_dataset([("ann", 7), ("cid", 7)])
        >>> joined = join_events(before.names, before.interactions, None, to_dataset([("bob", 7), ("ann", 9)]))
        >>> joined.names.user_ids.ids.to_list(), joined.interactions.keys.tolist(), joined.n_new_pairs
        (['ann', 'cid', 'bob'], [0, 1, 2, 4], 2)
    """
    new = events.interactions if events.test is None else events.interactions.union(events.test)
    user_ids = _joined_ids(names.user_ids, events.user_ids, new.user_degrees > 0, "user")
    item_ids = _joined_ids(names.item_ids, events.item_ids, new.item_degrees > 0, "item")
    sizes = (len(user_ids), len(item_ids))
    old, new = _resized(pairs, *sizes), _renamed(new, events.names, user_ids, item_ids)
    if (old.weights is None) != (new.weights is None):
        old, new = _with_weights(old), _with_weights(new)
    together = old.union(_placed_after(old, new))
    seen = [_resized(also_seen, *sizes)] if also_seen is not None else []
    if events.also_seen is not None:
        seen.append(_renamed(events.also_seen, events.names, user_ids, item_ids))
    hidden = None
    for part in seen:
        part = replace(part, timestamps=None, weights=None, places=None)
        hidden = part if hidden is None else hidden.union(part)
    if hidden is not None:
        hidden = hidden.where(~np.isin(hidden.keys, together.keys, assume_unique=True))
    return Joined(_joined_names(names, events.names, user_ids, item_ids), together, hidden, len(together) - len(old))


def _joined_ids(before: IdMap, new: IdMap, active: np.ndarray, kind: str) -> IdMap:
    """The old ids, then new ones with an interaction, sorted; if the old ids are strings, integers become strings."""
    if before.ids.dtype == pl.Int64 and new.ids.dtype != pl.Int64:
        raise ValueError(
            f"{kind} ids of new events must be integers as they were before, got the text {new.ids[-1]!r}; "
            "correct the new events, or train again on all events"
        )
    if before.ids.dtype == pl.String and new.ids.dtype == pl.Int64:
        _refuse_lost_zeros(before.ids, new.ids, kind)
    unknown = new.ids.filter(pl.Series((before.encode(new.ids) == UNKNOWN) & active)).cast(before.ids.dtype)
    return IdMap(pl.concat([before.ids, unknown.sort()]))


def _refuse_lost_zeros(before: pl.Series, new: pl.Series, kind: str) -> None:
    """Raise if a new integer is the value of an old string such as ``007``: as an integer, it has lost its zeros."""
    unusual = before.filter(~before.str.contains(USUAL_INTEGER))
    numbers = unusual.cast(pl.Int64, strict=False)
    lost = numbers.is_in(new.implode()).fill_null(False)
    if lost.any():
        raise ValueError(
            f"{kind} ids of new events must be texts as they were before, got the integer {numbers.filter(lost)[0]} "
            f"where {unusual.filter(lost)[0]!r} is known; read the events as the first log was read"
        )


def _joined_names(before: Names, new: Names, user_ids: IdMap, item_ids: IdMap) -> Names:
    """The old titles and attributes, then those of new items."""
    added = new.item_ids.encode(item_ids.ids[len(before.item_ids) :])
    titles = None
    if before.titles is not None or new.titles is not None:
        first, second = (
            names.titles or tuple(map(str, names.item_ids.decode(np.arange(len(names.item_ids)))))
            for names in (before, new)
        )
        titles = (*first, *(second[item] for item in added))
    attributes = None
    if before.attributes is not None or new.attributes is not None:
        tables = [_attributes(before), _attributes(new)[added]]
        attributes = pl.concat(tables, how="diagonal_relaxed").drop(NOTHING, strict=False)
    return Names(user_ids, item_ids, titles, attributes)


def _attributes(names: Names) -> pl.DataFrame:
    """A row for each item, even if no attributes are known."""
    if names.attributes is not None:
        return names.attributes
    return pl.DataFrame({NOTHING: [None] * len(names.item_ids)})


def _renamed(pairs: Interactions, names: Names, user_ids: IdMap, item_ids: IdMap) -> Interactions:
    """The same pairs by the indices of ``user_ids`` and ``item_ids``, without pairs whose ids are not among them."""
    users, items = user_ids.encode(names.user_ids.ids), item_ids.encode(names.item_ids.ids)
    pairs = pairs.where((users[pairs.users] != UNKNOWN) & (items[pairs.items] != UNKNOWN))
    users, items = users[pairs.users], items[pairs.items]
    return Interactions.from_pairs(
        users, items, len(user_ids), len(item_ids), pairs.timestamps, pairs.weights, pairs.places
    )


def _placed_after(old: Interactions, new: Interactions) -> Interactions:
    """If old pairs have places and no timestamps, give new ones places after them, in order of their timestamps.

    New pairs without timestamps all get the same place.
    """
    if old.places is None or old.timestamps is not None:
        return new
    moments = np.zeros(len(new), np.int64) if new.timestamps is None else new.timestamps
    ranks = np.unique(moments, return_inverse=True)[1].astype(np.int64)
    return replace(new, timestamps=None, places=int(old.places.max(initial=-1)) + 1 + ranks)


def _resized(pairs: Interactions, n_users: int, n_items: int) -> Interactions:
    return replace(pairs, n_users=n_users, n_items=n_items)


def _with_weights(pairs: Interactions) -> Interactions:
    return pairs if pairs.weights is not None else replace(pairs, weights=np.ones(len(pairs), np.float32))

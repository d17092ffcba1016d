"""Rows with codes instead of ids become distinct pairs, and codes become the indices of what is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.rows import Rows
from ltocf.data.report import counted


def dataset_of(rows: Rows, ids: dict[str, pl.Series], options: ReadOptions, *, keep_all: bool = False) -> Dataset:
    """The dataset of rows whose ``user`` and ``item`` are places in ``ids``.

    Rows that are not ``positive`` become `Dataset.also_seen`. Users and items without an interaction get no index,
    unless all are kept, as in a matrix, or the source is only a part of a log and they are seen in it.

    Raises:
        NothingLeftError: no interaction is left.
    """
    sizes = (len(ids["user"]), len(ids["item"]))
    frame = rows.frame
    positive = frame if frame["positive"].all() else frame.filter("positive")
    if not len(positive):
        reasons = "; ".join([*map(str, rows.dropped), *(note for note in rows.notes if "min_rating" in note)])
        seen_ids = pl.DataFrame({side: ids[side].gather(frame[side]) for side in ("user", "item")}).unique()
        raise rows.nothing_left(f"at least one interaction must be left, got none: {reasons}", seen_ids)
    pairs = _pairs(positive, sizes)
    rows.n_merged = len(positive) - len(pairs)
    seen = None
    if len(positive) < len(frame):
        others = frame.filter(~pl.col("positive"))
        seen = _pairs(others.select("user", "item"), sizes)
        seen = seen.where(~np.isin(seen.keys, pairs.keys, assume_unique=True))
    left = _core(rows, pairs, options)
    if keep_all and left is pairs:
        return Dataset(rows.name, pairs, Names.identity(*sizes), also_seen=seen)
    # What is seen in a part of a log may have its interactions in another part.
    kept = left if seen is None or not options.partial else left.union(replace(seen, timestamps=None, weights=None))
    users, items = np.flatnonzero(kept.user_degrees), np.flatnonzero(kept.item_degrees)
    names = Names(IdMap(ids["user"].gather(users)), IdMap(ids["item"].gather(items)))
    also_seen = None if seen is None else _renumbered(rows, seen, users, items)
    return Dataset(rows.name, _among(left, users, items), names, also_seen=also_seen)


def _pairs(frame: pl.DataFrame, sizes: tuple[int, int]) -> Interactions:
    users, items = frame["user"].to_numpy(), frame["item"].to_numpy()
    when = frame["seconds"].to_numpy() if "seconds" in frame.columns else None
    weights = frame["weights"].to_numpy() if "weights" in frame.columns else None
    return Interactions.from_pairs(users, items, *sizes, when, weights)


def _core(rows: Rows, pairs: Interactions, options: ReadOptions) -> Interactions:
    """The pairs of users and items that have enough interactions."""
    least_user, least_item = options.min_user_interactions or 1, options.min_item_interactions or 1
    if least_user == least_item == 1:
        return pairs
    left = pairs.core(least_user, least_item)
    minimums = (
        ("`min_user_interactions`", options.min_user_interactions),
        ("`min_item_interactions`", options.min_item_interactions),
    )
    rule = " and ".join(f"{option} = {minimum}" for option, minimum in minimums if minimum is not None)
    if not len(left):
        raise ValueError(f"{rows.name}: {rule} must leave an interaction, got none of {counted(len(pairs), 'pair')}")
    n_users, n_items = (int((degrees > 0).sum()) for degrees in (pairs.user_degrees, pairs.item_degrees))
    n_users -= int((left.user_degrees > 0).sum())
    n_items -= int((left.item_degrees > 0).sum())
    lost = f"{counted(len(pairs) - len(left), 'pair')}, {counted(n_users, 'user')} and {counted(n_items, 'item')}"
    rows.notes.append(f"{rule}: {lost} left out")
    return left


def _renumbered(rows: Rows, seen: Interactions, users: np.ndarray, items: np.ndarray) -> Interactions | None:
    """The seen pairs of these users and items, by their new indices."""
    known = np.isin(seen.users, users) & np.isin(seen.items, items)
    if n_unknown := len(seen) - int(known.sum()):
        rows.notes.append(f"{counted(n_unknown, 'seen pair')} of users or items without an interaction left out")
    return _among(seen.where(known), users, items)


def _among(pairs: Interactions, users: np.ndarray, items: np.ndarray) -> Interactions:
    """The pairs over only these users and items, which must include all of theirs, numbered in this order."""
    if len(users) == pairs.n_users and len(items) == pairs.n_items:
        return pairs
    places = []
    for size, kept in ((pairs.n_users, users), (pairs.n_items, items)):
        place = np.zeros(size, np.int64)
        place[kept] = np.arange(len(kept))
        places.append(place)
    renumbered = places[0][pairs.users], places[1][pairs.items]
    return Interactions(*renumbered, len(users), len(items), pairs.timestamps, pairs.weights)

"""Joining new events to a log: known ids keep their indices, and nothing of either side is lost."""

from __future__ import annotations

import polars as pl
import pytest

from ltocf.data import Dataset, IdMap, Interactions, Names, to_dataset
from ltocf.data.events import Joined, join_events

BEFORE = to_dataset([("ann", "x", 10), ("cid", "y", 20)])


def joined(events: Dataset, before: Dataset = BEFORE) -> Joined:
    return join_events(before.names, before.interactions, before.also_seen, events)


def pairs(result: Joined) -> list[tuple[object, object]]:
    log = result.interactions
    users, items = result.names.user_ids.decode(log.users), result.names.item_ids.decode(log.items)
    return sorted(zip(users, items, strict=True))


def test_known_ids_keep_their_indices_and_new_ids_follow() -> None:
    result = joined(to_dataset([("bob", "a", 30), ("ann", "y", 5), ("ann", "x", 3)]))
    assert result.names.user_ids.ids.to_list() == ["ann", "cid", "bob"]
    assert result.names.item_ids.ids.to_list() == ["x", "y", "a"]
    assert pairs(result) == [("ann", "x"), ("ann", "y"), ("bob", "a"), ("cid", "y")]
    assert result.interactions.timestamps is not None
    assert result.interactions.timestamps.tolist() == [3, 5, 20, 30]  # the earliest of a repeated pair
    assert result.n_new_pairs == 2


def test_pairs_without_weights_have_weight_one_when_the_events_have_weights() -> None:
    events = to_dataset(pl.DataFrame({"user": ["ann"], "item": ["x"], "w": [0.5]}), weight_column="w")
    result = joined(events)
    assert result.interactions.weights is not None
    assert result.interactions.weights.tolist() == [1.5, 1.0]
    assert result.interactions.timestamps is None  # the events have none


def test_a_seen_pair_stays_seen_until_it_becomes_an_interaction() -> None:
    names = BEFORE.names
    seen = Interactions.from_pairs([0], [1], 2, 2)
    events = to_dataset(
        pl.DataFrame({"user": ["bob", "bob", "ann", "eve"], "item": ["x", "y", "x", "x"], "rating": [5, 1, 5, 1]}),
        min_rating=4,
        partial=True,
    )
    result = join_events(names, BEFORE.interactions, seen, events)
    assert result.also_seen is not None
    assert result.names.user_ids.ids.to_list() == ["ann", "cid", "bob"]  # eve has no interaction
    assert result.also_seen.keys.tolist() == [1, 5]  # ann has seen y, bob has seen y
    liked = to_dataset([("ann", "y"), ("bob", "y")])
    seen_after = join_events(result.names, result.interactions, result.also_seen, liked).also_seen
    assert seen_after is not None
    assert len(seen_after) == 0


def test_titles_and_attributes_of_both_sides_are_kept() -> None:
    films = pl.DataFrame({"price": [1.0, 2.0]})
    before = Dataset("log", BEFORE.interactions, Names(BEFORE.user_ids, BEFORE.item_ids, ("Heat", "Ran"), films))
    events = Dataset(
        "day",
        Interactions.from_pairs([0, 0], [0, 1]),
        Names(IdMap(["ann"]), IdMap(["a", "x"]), None, pl.DataFrame({"stock": [3, 4]})),
    )
    result = joined(events, before)
    assert result.names.titles == ("Heat", "Ran", "a")
    assert result.names.attributes is not None
    assert result.names.attributes.to_dicts() == [
        {"price": 1.0, "stock": None},
        {"price": 2.0, "stock": None},
        {"price": None, "stock": 3},
    ]


def test_ids_of_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match="user ids of new events must be integers as they were before, got the text"):
        joined(BEFORE, to_dataset([(1, "x"), (2, "y")]))

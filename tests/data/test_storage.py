"""Named arrays and back: whatever the ids and titles are."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.data.storage import (
    pack_interactions,
    pack_names,
    pack_text,
    unpack_interactions,
    unpack_names,
    unpack_text,
)

texts = st.text(st.characters(codec="utf-8"), max_size=8)


@given(st.lists(texts, max_size=10))
def test_text_survives(titles: list[str]) -> None:
    assert unpack_text("titles", pack_text("titles", titles)) == titles


@given(st.lists(texts, unique=True, max_size=8), st.lists(st.integers(-(2**62), 2**62), unique=True, max_size=8))
def test_ids_keep_their_type_and_order(strings: list[str], integers: list[int]) -> None:
    users, items = IdMap(pl.Series(strings, dtype=pl.String)), IdMap(pl.Series(integers, dtype=pl.Int64))
    again = unpack_names(pack_names(Names(users, items)))
    assert again.user_ids.ids.equals(users.ids)
    assert again.item_ids.ids.equals(items.ids)
    assert again.titles is None


def test_timestamps_weights_and_attributes_survive() -> None:
    log = Interactions.from_pairs([0, 1], [1, 0], timestamps=[5, 6], weights=[0.5, 2.0])
    again = unpack_interactions("train", pack_interactions("train", log))
    assert again.timestamps is not None
    assert again.weights is not None
    assert (again.timestamps.tolist(), again.weights.tolist()) == ([5, 6], [0.5, 2.0])
    attributes = pl.DataFrame({"genre": ["drama", None], "price": [1.5, 2.0]})
    names = Names(IdMap(["a", "b"]), IdMap([7, 9]), attributes=attributes)
    assert unpack_names(pack_names(names)).attributes.equals(attributes)

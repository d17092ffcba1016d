"""Packing into named arrays and unpacking give the same values, whatever the ids and titles."""

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
def test_text_comes_back_unchanged(titles: list[str]) -> None:
    assert unpack_text("titles", pack_text("titles", titles)) == titles


@given(st.lists(texts, unique=True, max_size=8), st.lists(st.integers(-(2**62), 2**62), unique=True, max_size=8))
def test_ids_keep_their_type_and_order(strings: list[str], integers: list[int]) -> None:
    users, items = IdMap(pl.Series(strings, dtype=pl.String)), IdMap(pl.Series(integers, dtype=pl.Int64))
    unpacked = unpack_names(pack_names(Names(users, items)))
    assert unpacked.user_ids.ids.equals(users.ids)
    assert unpacked.item_ids.ids.equals(items.ids)
    assert unpacked.titles is None


def test_timestamps_weights_and_attributes_come_back_unchanged() -> None:
    log = Interactions.from_pairs([0, 1], [1, 0], timestamps=[5, 6], weights=[0.5, 2.0])
    unpacked = unpack_interactions("train", pack_interactions("train", log))
    assert unpacked.timestamps is not None
    assert unpacked.weights is not None
    assert (unpacked.timestamps.tolist(), unpacked.weights.tolist()) == ([5, 6], [0.5, 2.0])
    attributes = pl.DataFrame({"genre": ["drama", None], "price": [1.5, 2.0]})
    names = Names(IdMap(["a", "b"]), IdMap([7, 9]), attributes=attributes)
    assert unpack_names(pack_names(names)).attributes.equals(attributes)

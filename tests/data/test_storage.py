"""Named arrays and back: whatever the ids and titles are."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data.ids import IdMap
from ltocf.data.names import Names
from ltocf.data.storage import pack_names, pack_text, unpack_names, unpack_text

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

"""The address of the page holds its whole state: it can be read, changed and written again."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.service.pages.query import AddressError, PageQuery

IDS = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=4).map(tuple)


def round_trip(query: PageQuery) -> PageQuery:
    return PageQuery.of(parse_qsl(urlsplit(query.address()).query))


@given(IDS, st.integers(1, 60))
def test_an_address_is_read_as_it_was_written(added: tuple[str, ...], k: int) -> None:
    query = PageQuery(run="shop", added=added, search="a & b", similar="x#y", k=k)
    assert round_trip(query) == query


def test_adding_and_removing_an_item_restores_the_address() -> None:
    query = PageQuery(user="7", added=("1",))
    assert query.with_item("2").without_item("2") == query
    assert query.without_item("9").with_item("9") == query
    assert query.with_item("1") == query


def test_only_items_of_a_user_can_be_removed() -> None:
    assert PageQuery(added=("1",)).without_item("2") == PageQuery(added=("1",))
    assert PageQuery.of([("without", "2"), ("item", "1")]).removed == ()
    assert PageQuery.of([("user", "7"), ("without", "2")]).removed == ("2",)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ([("k", "0")], "`k` must be in 1..60, got 0"),
        ([("k", "61")], "`k` must be in 1..60, got 61"),
        ([("k", "ten")], "`k` must be a whole number in 1..60, got 'ten'"),
        ([("k", "٣")], "`k` must be a whole number"),
        ([("q", "x" * 201)], "`q` must have at most 200 letters, got 201"),
        ([("item", str(item)) for item in range(501)], "at most 500 items, got 501"),
    ],
    ids=["too few", "too many", "a word", "other digits", "a long search", "a long history"],
)
def test_an_address_with_a_wrong_value_is_refused(fields: list[tuple[str, str]], rule: str) -> None:
    with pytest.raises(AddressError, match=rule.replace(".", r"\.")):
        PageQuery.of(fields)

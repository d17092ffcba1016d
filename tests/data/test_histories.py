"""Histories against the pairs that they were made from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data import Histories, Interactions

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=30)


@given(pairs=PAIRS, requested=st.lists(st.integers(0, 6), max_size=8))
def test_a_row_has_the_items_of_its_user(pairs: list[tuple[int, int]], requested: list[int]) -> None:
    users, items = map(list, zip(*pairs, strict=True))
    histories = Histories.of(Interactions.from_pairs(users, items, 7, 10))
    rows = histories.rows(torch.tensor(requested, dtype=torch.int64))
    found = [row.tolist() for row in rows.items.split(rows.lengths.tolist())]
    assert found == [sorted({item for user, item in pairs if user == row}) for row in requested]
    assert (len(rows), rows.n_items, len(histories)) == (len(requested), 10, 7)


@pytest.mark.parametrize("user", [-1, 2])
def test_rows_out_of_range_are_refused(user: int) -> None:
    histories = Histories.of(Interactions.from_pairs([0, 1], [0, 0]))
    with pytest.raises(ValueError, match=rf"must be in \[0, 2\), got {user}"):
        histories.rows(torch.tensor([0, user]))


@pytest.mark.parametrize("offsets", [[], [0, 1], [1, 2], [0, 3, 2]])
def test_offsets_must_fit_the_entries(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="must ascend from 0 to the 2 entries"):
        Histories(torch.tensor(offsets, dtype=torch.int64), torch.zeros(2, dtype=torch.int32), 5)

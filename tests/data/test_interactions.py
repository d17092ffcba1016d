"""Pairs: what is kept, what is refused, and that the caller's arrays stay the caller's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data import Histories, Interactions
from ltocf.data.storage import pack_interactions


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([0, 0, 2]), np.array([1, 3, 0]), np.array([30, 10, 20])


def test_the_callers_arrays_stay_writable_and_apart() -> None:
    users, items, when = arrays()
    log = Interactions(users, items, 3, 4, when)
    users[:], items[:], when[:] = 9, 9, 9
    assert (log.users.tolist(), log.items.tolist(), log.timestamps.tolist()) == ([0, 0, 2], [1, 3, 0], [30, 10, 20])  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["users", "items", "timestamps"])
def test_the_pairs_cannot_be_written_to(name: str) -> None:
    users, items, when = arrays()
    for log in (Interactions(users, items, 3, 4, when), Interactions.from_pairs(users, items, timestamps=when)):
        for part in (log, log.where(np.array([True, False, True])), log.union(log)):
            with pytest.raises(ValueError, match="read-only"):
                getattr(part, name)[0] = 1


def test_what_is_read_only_already_is_not_copied() -> None:
    users, items, _ = arrays()
    users.flags.writeable = items.flags.writeable = False
    log = Interactions(users, items, 3, 4)
    assert log.users is users
    assert log.items is items


def test_raw_pairs_stay_as_they_were() -> None:
    users, items, when = np.array([2, 0, 2]), np.array([0.0, 3.0, 0.0]), np.array([3.5, 1.5, 2.5])
    log = Interactions.from_pairs(users, items, timestamps=when)
    assert (log.users.tolist(), log.items.tolist(), log.timestamps.tolist()) == ([0, 2], [3, 0], [1, 2])  # type: ignore[union-attr]
    assert (users.tolist(), items.tolist(), when.tolist()) == ([2, 0, 2], [0, 3, 0], [3.5, 1.5, 2.5])
    users[0] = items[0] = 7


@pytest.mark.parametrize(
    "pair",
    [
        ((0, 1), (1, 0)),
        ([0, 1], [1, 0]),
        (range(2), [1.0, 0.0]),
        (np.array([0, 1], np.uint64), np.array([1, 0], np.int8)),
        (np.float32([0, 1]), [[1], [0]]),
        (pd.Series([0, 1]), pd.Series([1, 0], dtype="Int64")),
    ],
)
def test_whole_numbers_of_any_form(pair: tuple[Any, Any]) -> None:
    assert Interactions.from_pairs(*pair).keys.tolist() == [1, 2]


def test_no_pairs() -> None:
    for nothing in ([], (), np.empty(0), np.empty(0, np.int32)):
        log = Interactions.from_pairs(nothing, nothing, 2, 3)
        assert (len(log), log.matrix().shape) == (0, (2, 3))


@pytest.mark.parametrize(
    ("indices", "found"),
    [
        ([0, 1.9], "must be whole numbers below 2\\^63, got 1.9"),
        ([0, float("nan")], ".* got nan"),
        ([0, float("inf")], ".* got inf"),
        ([0, 1e300], ".* got 1e\\+300"),
        ([2**63, 2**64 - 1], f".* got {2**63}"),
        ([0, None], "must be integers, got values of type object"),
        (["0", "1"], "must be integers, got values of type <U1"),
        ([True, False], "must be integers, got values of type bool"),
        ([0, 1j], "must be integers, got values of type complex128"),
    ],
)
def test_other_numbers_are_refused_not_cut(indices: list[Any], found: str) -> None:
    with pytest.raises(ValueError, match=f"user indices {found}"):
        Interactions.from_pairs(indices, [0, 1])
    with pytest.raises(ValueError, match=f"item indices {found}"):
        Interactions.from_pairs([0, 1], indices)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ([1.9, -0.5], [1, -1]),
        ([1.7e18, 0.0], [17 * 10**17, 0]),
        (np.array(["1970-01-02", "1970-01-01"], "datetime64[s]"), [86400, 0]),
    ],
)
def test_timestamps_are_rounded_down(when: Any, expected: list[int]) -> None:
    log = Interactions.from_pairs([0, 1], [0, 0], timestamps=when)
    assert log.timestamps is not None
    assert log.timestamps.tolist() == expected


@pytest.mark.parametrize("when", [[float("nan"), 1], [None, 1], ["soon", "late"], np.array(["NaT", "NaT"], "M8[s]")])
def test_timestamps_that_are_none(when: Any) -> None:
    with pytest.raises(ValueError, match="timestamps must be"):
        Interactions.from_pairs([0, 1], [0, 0], timestamps=when)


@pytest.mark.parametrize(("n_users", "n_items"), [(2**32, 2**31), (2**62, 1), (-1, 3), (3, -1)])
def test_sizes_whose_keys_overflow_are_refused(n_users: int, n_items: int) -> None:
    nothing = np.empty(0, np.int64)
    for build in (Interactions, Interactions.from_pairs):
        with pytest.raises(ValueError, match=r"must be in \[0, 2\^63\), got"):
            build(nothing, nothing, n_users, n_items)


def test_the_largest_key_is_kept() -> None:
    n_users, n_items = 2**32, 2**31 - 2
    log = Interactions.from_pairs([n_users - 1, 0], [n_items - 1, 0], n_users, n_items)
    assert log.keys.tolist() == [0, n_users * n_items - 1]


def test_what_32_bits_cannot_count_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Interactions.from_pairs([0], [0], 1, 2**31)
    for use in (wide.matrix, lambda: Histories.of(wide), lambda: pack_interactions("train", wide)):
        with pytest.raises(ValueError, match=r"the number of items must be below 2\^31 .* got 2,147,483,648"):
            use()
    log = Interactions.from_pairs([0], [0])
    monkeypatch.setattr(Interactions, "__len__", lambda _: 2**31)
    with pytest.raises(ValueError, match=r"the number of pairs must be below 2\^31"):
        log.matrix()


@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 9)), max_size=30))
def test_pairs_are_merged_at_their_earliest(pairs: list[tuple[int, int, int]]) -> None:
    users, items, when = (list(side) for side in zip(*pairs, strict=True)) if pairs else ([], [], [])
    log = Interactions.from_pairs(users, items, 6, 8, when)
    earliest = {pair: min(t for *other, t in pairs if tuple(other) == pair) for pair in sorted({p[:2] for p in pairs})}
    assert log.timestamps is not None
    assert list(zip(log.users.tolist(), log.items.tolist(), strict=True)) == list(earliest)
    assert log.timestamps.tolist() == list(earliest.values())
    matrix = sp.csr_matrix(([1.0] * len(earliest), tuple(zip(*earliest, strict=True)) or ([], [])), shape=(6, 8))
    assert (log.matrix() != matrix).nnz == 0


def test_weights_of_a_repeated_pair_add_up_and_follow_their_pairs() -> None:
    log = Interactions.from_pairs([1, 0, 1, 0], [0, 1, 0, 0], weights=[0.5, 2.0, 0.25, 1.0])
    assert log.weights is not None
    assert log.weights.tolist() == [1.0, 2.0, 0.75]
    part = log.where(log.users == 0)
    assert part.weights is not None
    assert part.weights.tolist() == [1.0, 2.0]
    both = part.union(log.where(log.users == 1))
    assert both.weights is not None
    assert both.weights.tolist() == log.weights.tolist()


@pytest.mark.parametrize("weights", [[0.0, 1.0], [-1.0, 1.0], [float("nan"), 1.0], [1.0]])
def test_weights_must_be_positive_one_for_each_pair(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        Interactions.from_pairs([0, 1], [0, 1], weights=weights)

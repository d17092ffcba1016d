"""Interactions: what is kept, what is refused, and that the caller's arrays are not changed or shared."""

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


def test_the_callers_arrays_stay_writable_and_are_not_shared() -> None:
    users, items, timestamps = arrays()
    log = Interactions(users, items, 3, 4, timestamps)
    users[:], items[:], timestamps[:] = 9, 9, 9
    assert (log.users.tolist(), log.items.tolist(), log.timestamps.tolist()) == ([0, 0, 2], [1, 3, 0], [30, 10, 20])  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["users", "items", "timestamps"])
def test_the_pairs_are_read_only(name: str) -> None:
    users, items, timestamps = arrays()
    for log in (
        Interactions(users, items, 3, 4, timestamps),
        Interactions.from_pairs(users, items, timestamps=timestamps),
    ):
        for part in (log, log.where(np.array([True, False, True])), log.union(log)):
            with pytest.raises(ValueError, match="read-only"):
                getattr(part, name)[0] = 1


def test_read_only_arrays_are_not_copied() -> None:
    users, items, _ = arrays()
    users.flags.writeable = items.flags.writeable = False
    log = Interactions(users, items, 3, 4)
    assert log.users is users
    assert log.items is items


def test_from_pairs_does_not_change_the_callers_arrays() -> None:
    users, items, timestamps = np.array([2, 0, 2]), np.array([0.0, 3.0, 0.0]), np.array([3.5, 1.5, 2.5])
    log = Interactions.from_pairs(users, items, timestamps=timestamps)
    assert (log.users.tolist(), log.items.tolist(), log.timestamps.tolist()) == ([0, 2], [3, 0], [1, 2])  # type: ignore[union-attr]
    assert (users.tolist(), items.tolist(), timestamps.tolist()) == ([2, 0, 2], [0, 3, 0], [3.5, 1.5, 2.5])
    users[0] = items[0] = 7  # they are still writable, and not shared
    assert (log.users.tolist(), log.items.tolist()) == ([0, 2], [3, 0])


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
def test_whole_numbers_of_any_type_are_indices(pair: tuple[Any, Any]) -> None:
    assert Interactions.from_pairs(*pair).keys.tolist() == [1, 2]


def test_a_log_may_have_no_pairs() -> None:
    for empty in ([], (), np.empty(0), np.empty(0, np.int32)):
        log = Interactions.from_pairs(empty, empty, 2, 3)
        assert (len(log), log.matrix().shape) == (0, (2, 3))


@pytest.mark.parametrize(
    ("indices", "message"),
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
def test_other_numbers_are_refused_and_not_truncated(indices: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"user indices {message}"):
        Interactions.from_pairs(indices, [0, 1])
    with pytest.raises(ValueError, match=f"item indices {message}"):
        Interactions.from_pairs([0, 1], indices)


@pytest.mark.parametrize(
    ("timestamps", "expected"),
    [
        ([1.9, -0.5], [1, -1]),
        ([1.7e18, 0.0], [17 * 10**17, 0]),
        (np.array(["1970-01-02", "1970-01-01"], "datetime64[s]"), [86400, 0]),
    ],
)
def test_timestamps_are_rounded_down_to_seconds(timestamps: Any, expected: list[int]) -> None:
    log = Interactions.from_pairs([0, 1], [0, 0], timestamps=timestamps)
    assert log.timestamps is not None
    assert log.timestamps.tolist() == expected


@pytest.mark.parametrize(
    "timestamps", [[float("nan"), 1], [None, 1], ["soon", "late"], np.array(["NaT", "NaT"], "M8[s]")]
)
def test_values_that_are_no_timestamps_are_refused(timestamps: Any) -> None:
    with pytest.raises(ValueError, match="timestamps must be"):
        Interactions.from_pairs([0, 1], [0, 0], timestamps=timestamps)


@pytest.mark.parametrize(("n_users", "n_items"), [(2**32, 2**31), (2**62, 1), (-1, 3), (3, -1)])
def test_sizes_whose_keys_overflow_are_refused(n_users: int, n_items: int) -> None:
    empty = np.empty(0, np.int64)
    for build in (Interactions, Interactions.from_pairs):
        with pytest.raises(ValueError, match=r"must be in \[0, 2\^63\), got"):
            build(empty, empty, n_users, n_items)


def test_the_largest_key_is_kept() -> None:
    n_users, n_items = 2**32, 2**31 - 2
    log = Interactions.from_pairs([n_users - 1, 0], [n_items - 1, 0], n_users, n_items)
    assert log.keys.tolist() == [0, n_users * n_items - 1]


def test_sizes_beyond_32_bits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Interactions.from_pairs([0], [0], 1, 2**31)
    for use in (wide.matrix, lambda: Histories.of(wide), lambda: pack_interactions("train", wide)):
        with pytest.raises(ValueError, match=r"the number of items must be below 2\^31 .* got 2,147,483,648"):
            use()
    log = Interactions.from_pairs([0], [0])
    monkeypatch.setattr(Interactions, "__len__", lambda _: 2**31)
    with pytest.raises(ValueError, match=r"the number of pairs must be below 2\^31"):
        log.matrix()


@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 9)), max_size=30))
def test_repeated_pairs_are_merged_with_their_earliest_timestamp(pairs: list[tuple[int, int, int]]) -> None:
    users, items, timestamps = (list(side) for side in zip(*pairs, strict=True)) if pairs else ([], [], [])
    log = Interactions.from_pairs(users, items, 6, 8, timestamps)
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

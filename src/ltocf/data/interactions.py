"""Who touched what: the one frozen, validated form every reader produces and every model consumes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from ltocf.data.display import Shown
from ltocf.shapes import PairIndices, PairTimestamps, PairWeights

logger = logging.getLogger(__name__)

Indices: TypeAlias = ArrayLike | Sequence[Any]
"""Whole numbers in any form that NumPy takes; sequences are added because NumPy's alias has no tuples at run time."""


@dataclass(frozen=True, eq=False, repr=False)
class Interactions(Shown):
    """A set of (user, item) pairs over ``n_users`` x ``n_items``, sorted by user then item, each pair once.

    Args:
        users: user index of each pair, 0 <= user < n_users.
        items: item index of each pair, 0 <= item < n_items.
        n_users: number of users, those without a pair included.
        n_items: number of items, those without a pair included.
        timestamps: when each pair happened, seconds since 1970 or any order-preserving integer; optional.
        weights: how much each pair counts, > 0; optional, without them every pair counts 1.
        places: place of each pair in its user's history, ascending in time, if there are no timestamps; optional.
            Places of different users cannot be compared.

    Arrays that can be written to are copied, so that nobody changes the pairs afterwards; read-only ones are kept.

    Raises:
        ValueError: indices out of range, unsorted or repeated, weights that are not positive numbers, or more than
            2^63 possible pairs. Use `from_pairs` for raw pairs.

    Example:
        >>> log = Interactions.from_pairs([1, 0, 1], [2, 0, 0])
        >>> log.users.tolist(), log.items.tolist(), (log.n_users, log.n_items)
        ([0, 1, 1], [0, 0, 2], (2, 3))
        >>> log.matrix().toarray().astype(int).tolist()
        [[1, 0, 0], [1, 0, 1]]
    """

    users: PairIndices
    items: PairIndices
    n_users: int
    n_items: int
    timestamps: PairTimestamps | None = None
    weights: PairWeights | None = None
    places: PairIndices | None = None

    def __post_init__(self) -> None:
        _check_sizes(self.n_users, self.n_items)
        _check_range("user", self.users, self.n_users)
        _check_range("item", self.items, self.n_items)
        if self.users.shape != self.items.shape:
            raise ValueError(f"users and items must pair up, got {len(self.users)} and {len(self.items)} values")
        if self.timestamps is not None:
            _one_each("timestamp", self.timestamps, len(self.users))
        if self.weights is not None:
            _positive(self.weights, len(self.users))
        if self.places is not None:
            _one_each("place", self.places, len(self.users))
        if np.any(np.diff(self.keys) <= 0):
            raise ValueError("pairs must be sorted and unique; build them with Interactions.from_pairs")
        for name in ("users", "items", "timestamps", "weights", "places"):
            array = getattr(self, name)
            if array is not None and array.flags.writeable:
                object.__setattr__(self, name, read_only(array.copy()))

    @classmethod
    def from_pairs(
        cls,
        users: Indices,
        items: Indices,
        n_users: int | None = None,
        n_items: int | None = None,
        timestamps: Indices | None = None,
        weights: ArrayLike | None = None,
        places: Indices | None = None,
    ) -> Interactions:
        """Sort raw pairs and merge repeated ones: the earliest timestamp and place stay, weights add up.

        The earliest is kept because a recommender of unseen items predicts the first touch. Decimals are accepted if
        they are whole numbers; timestamps are rounded down.

        Raises:
            ValueError: indices or timestamps that are not numbers of these kinds, indices out of range, or lengths that
                differ.
        """
        user_indices, item_indices = _whole("user indices", users), _whole("item indices", items)
        n_users = n_users if n_users is not None else int(user_indices.max(initial=-1)) + 1
        n_items = n_items if n_items is not None else int(item_indices.max(initial=-1)) + 1
        _check_sizes(n_users, n_items)
        _check_range("user", user_indices, n_users)
        _check_range("item", item_indices, n_items)
        if user_indices.shape != item_indices.shape:
            raise ValueError(f"users and items must pair up, got {len(user_indices)} and {len(item_indices)} values")
        extra: dict[str, np.ndarray] = {}
        if timestamps is not None:
            extra["when"] = _one_each("timestamp", _moments(timestamps), len(user_indices))
        if weights is not None:
            given = _positive(np.asarray(weights).reshape(-1), len(user_indices))
            extra["weight"] = given.astype(np.float64)
        if places is not None:
            extra["place"] = _one_each("place", _moments(places), len(user_indices))
        user_indices, item_indices, extra = _sorted_by_pair(user_indices, item_indices, n_users, n_items, extra)
        first = np.ones(len(user_indices), bool)
        first[1:] = (user_indices[1:] != user_indices[:-1]) | (item_indices[1:] != item_indices[:-1])
        if not first.all():
            starts = np.flatnonzero(first)
            logger.debug("merged %d repeated pairs of %d", len(first) - len(starts), len(first))
            user_indices, item_indices = user_indices[starts], item_indices[starts]
            reduce = {"when": np.minimum, "place": np.minimum, "weight": np.add}
            extra = {name: reduce[name].reduceat(values, starts) for name, values in extra.items()}
        earliest = read_only(extra["when"]) if "when" in extra else None
        summed = read_only(extra["weight"].astype(np.float32)) if "weight" in extra else None
        place = read_only(extra["place"]) if "place" in extra else None
        return cls(read_only(user_indices), read_only(item_indices), n_users, n_items, earliest, summed, place)

    def __len__(self) -> int:
        return len(self.users)

    def facts(self) -> dict[str, object]:
        sizes: dict[str, object] = {"n_users": self.n_users, "n_items": self.n_items, "n_pairs": len(self)}
        weighted: dict[str, object] = {} if self.weights is None else {"weights": True}
        weighted |= {} if self.places is None else {"places": True}
        return sizes | {"timestamps": self.timestamps is not None} | weighted

    @property
    def keys(self) -> PairIndices:
        """``user * n_items + item``: one sorted number per pair, for set operations on pairs."""
        keys: PairIndices = self.users * np.int64(self.n_items) + self.items
        return keys

    @property
    def user_degrees(self) -> PairIndices:
        """Number of items of each user, shape (n_users,)."""
        return np.bincount(self.users, minlength=self.n_users).astype(np.int64)

    @property
    def item_degrees(self) -> PairIndices:
        """Number of users of each item, shape (n_items,)."""
        return np.bincount(self.items, minlength=self.n_items).astype(np.int64)

    def matrix(self) -> sp.csr_matrix:
        """The 0/1 interaction matrix R, (n_users, n_items), float32 CSR with sorted int32 indices.

        Raises:
            ValueError: 2^31 pairs or items, or more.
        """
        check_32_bits(pairs=len(self), items=self.n_items)
        indptr = np.zeros(self.n_users + 1, np.int32)
        np.cumsum(self.user_degrees, out=indptr[1:])
        ones = np.ones(len(self), np.float32)
        return sp.csr_matrix((ones, self.items.astype(np.int32), indptr), shape=(self.n_users, self.n_items))

    def where(self, mask: np.ndarray) -> Interactions:
        """The pairs for which ``mask`` holds, over the same users and items."""
        when = None if self.timestamps is None else read_only(self.timestamps[mask])
        weights = None if self.weights is None else read_only(self.weights[mask])
        places = None if self.places is None else read_only(self.places[mask])
        users, items = read_only(self.users[mask]), read_only(self.items[mask])
        return Interactions(users, items, self.n_users, self.n_items, when, weights, places)

    def core(self, min_user_degree: int, min_item_degree: int | None = None) -> Interactions:
        """The largest set of pairs in which users have ``min_user_degree`` pairs or more, items ``min_item_degree``.

        A single number holds for both. The set is what remains when users and items below their number are removed
        until there are none.

        Example:
            >>> log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 0, 1, 2])
            >>> log.core(2).keys.tolist(), log.core(1, 2).keys.tolist()
            ([0, 1, 3, 4], [0, 1, 3, 4])
        """
        if min_item_degree is None:
            min_item_degree = min_user_degree
        pairs, n_before = self, len(self) + 1
        while len(pairs) < n_before:
            n_before = len(pairs)
            enough = pairs.user_degrees[pairs.users] >= min_user_degree
            pairs = pairs.where(enough & (pairs.item_degrees[pairs.items] >= min_item_degree))
        return pairs

    def union(self, other: Interactions) -> Interactions:
        """All pairs of both; the sizes must agree. Timestamps, weights and places are kept if both sides have them."""
        if (self.n_users, self.n_items) != (other.n_users, other.n_items):
            raise ValueError(
                f"cannot unite {self.n_users} x {self.n_items} with {other.n_users} x {other.n_items} interactions"
            )
        when = weights = places = None
        if self.timestamps is not None and other.timestamps is not None:
            when = np.concatenate([self.timestamps, other.timestamps])
        if self.weights is not None and other.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        if self.places is not None and other.places is not None:
            places = np.concatenate([self.places, other.places])
        users = np.concatenate([self.users, other.users])
        items = np.concatenate([self.items, other.items])
        return Interactions.from_pairs(users, items, self.n_users, self.n_items, when, weights, places)


def _sorted_by_pair(
    users: PairIndices, items: PairIndices, n_users: int, n_items: int, extra: dict[str, np.ndarray]
) -> tuple[PairIndices, PairIndices, dict[str, np.ndarray]]:
    """New arrays, sorted by user, then item; equal pairs keep their order."""
    n_pairs = len(users)
    if max(n_users, n_items) > 4 * n_pairs or n_pairs >= 2**31:
        order = np.argsort(users * np.int64(n_items) + items, kind="stable")
        return users[order], items[order], {name: values[order] for name, values in extra.items()}
    # Two transpositions of a sparse matrix are two counting sorts: a fifth of the time that comparisons take. They
    # carry a single column of values along, or the order of the rows if there are several.
    carried = next(iter(extra.values())) if len(extra) == 1 else np.arange(n_pairs, dtype=np.int32)
    row_starts = np.arange(n_pairs + 1, dtype=np.int32)
    by_item = sp.csr_array((carried, items.astype(np.int32), row_starts), shape=(n_pairs, n_items)).tocsc()
    users_by_item = users[by_item.indices].astype(np.int32)
    by_user = sp.csr_array((by_item.data, users_by_item, by_item.indptr), shape=(n_items, n_users)).tocsc()
    if len(extra) == 1:
        extra = dict.fromkeys(extra, by_user.data)
    else:
        extra = {name: values[by_user.data] for name, values in extra.items()}
    sorted_users: PairIndices = np.repeat(np.arange(n_users), np.diff(by_user.indptr))
    return sorted_users, by_user.indices.astype(np.int64), extra


def read_only(array: np.ndarray) -> np.ndarray:
    """Make an array that nobody else holds read-only and return it: `Interactions` takes it without a copy."""
    array.flags.writeable = False
    return array


def check_32_bits(**counts: int) -> None:
    """Refuse what 32-bit indices cannot count: they would wrap around without an error.

    Example:
        >>> check_32_bits(pairs=2**31)
        Traceback (most recent call last):
        ValueError: the number of pairs must be below 2^31 = 2,147,483,648 (indices have 32 bits), got 2,147,483,648
    """
    for name, count in counts.items():
        if count >= 2**31:
            raise ValueError(
                f"the number of {name} must be below 2^31 = {2**31:,} (indices have 32 bits), got {count:,}"
            )


def _whole(name: str, values: Indices) -> PairIndices:
    """Integers, or decimals that are whole numbers, as 64-bit integers; perhaps the caller's own array."""
    array = np.asarray(values).reshape(-1)
    if array.dtype == object:  # as pandas gives columns that may have missing values
        array = np.array(array.tolist())
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be integers, got values of type {array.dtype}; an IdMap makes them from ids")
    with np.errstate(invalid="ignore"):
        integers = array.astype(np.int64, copy=False)
    if array.dtype.kind != "i" and (wrong := (integers != array) | (np.abs(array) >= 2.0**63)).any():
        raise ValueError(f"{name} must be whole numbers below 2^63, got {array[wrong][0]!s}")
    return integers


def _moments(timestamps: Indices) -> PairTimestamps:
    """Integers as they are, decimals rounded down, dates as integers of their own unit."""
    array = np.asarray(timestamps).reshape(-1)
    if array.dtype.kind == "M" and not np.isnat(array).any():
        return array.astype(np.int64)
    return _whole("timestamps", np.floor(array) if array.dtype.kind == "f" else array)


def _one_each(kind: str, values: np.ndarray, n_pairs: int) -> np.ndarray:
    if values.shape != (n_pairs,):
        raise ValueError(f"need one {kind} per pair, got {len(values)} for {n_pairs}")
    return values


def _positive(weights: np.ndarray, n_pairs: int) -> np.ndarray:
    wrong = ~((_one_each("weight", weights, n_pairs) > 0) & np.isfinite(weights))
    if wrong.any():
        raise ValueError(
            f"weights must be positive numbers, got {weights[wrong][0]!s}; leave out pairs that do not count"
        )
    return weights


def _check_sizes(n_users: int, n_items: int) -> None:
    # Keys are user * n_items + item, samplers use n_items + 1.
    if n_users < 0 or n_items < 0 or n_users * (n_items + 1) >= 2**63:
        raise ValueError(f"`n_users` x (`n_items` + 1) must be in [0, 2^63), got {n_users} x ({n_items} + 1)")


def _check_range(kind: str, indices: PairIndices, size: int) -> None:
    if len(indices) and (indices.min() < 0 or indices.max() >= size):
        bad = int(indices[(indices < 0) | (indices >= size)][0])
        raise ValueError(f"{kind} indices must be in [0, {size}), got {bad}")

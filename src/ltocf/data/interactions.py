"""Who touched what: the one frozen, validated form every reader produces and every model consumes."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from ltocf.shapes import PairIndices, PairTimestamps

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Interactions:
    """A set of (user, item) pairs over ``n_users`` x ``n_items``, sorted by user then item, each pair once.

    Args:
        users: user index of each pair, 0 <= user < n_users.
        items: item index of each pair, 0 <= item < n_items.
        n_users: number of users, those without a pair included.
        n_items: number of items, those without a pair included.
        timestamps: when each pair happened, seconds since 1970 or any order-preserving integer; optional.

    Raises:
        ValueError: indices out of range, unsorted or repeated. Use `from_pairs` for raw pairs.

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

    def __post_init__(self) -> None:
        _check_range("user", self.users, self.n_users)
        _check_range("item", self.items, self.n_items)
        if self.users.shape != self.items.shape:
            raise ValueError(f"users and items must pair up, got {len(self.users)} and {len(self.items)} values")
        if self.timestamps is not None and self.timestamps.shape != self.users.shape:
            raise ValueError(f"need one timestamp per pair, got {len(self.timestamps)} for {len(self.users)}")
        if np.any(np.diff(self.keys) <= 0):
            raise ValueError("pairs must be sorted and unique; build them with Interactions.from_pairs")
        for array in (self.users, self.items, self.timestamps):
            if array is not None:
                array.flags.writeable = False

    @classmethod
    def from_pairs(
        cls,
        users: ArrayLike,
        items: ArrayLike,
        n_users: int | None = None,
        n_items: int | None = None,
        timestamps: ArrayLike | None = None,
    ) -> Interactions:
        """Sort raw pairs and merge repeated ones, keeping the earliest timestamp of each (counted in the log).

        The earliest is kept because a recommender of unseen items predicts the first touch.
        """
        user_indices, item_indices = (
            np.array(users, np.int64).reshape(-1),
            np.array(items, np.int64).reshape(-1),
        )
        n_users = n_users if n_users is not None else int(user_indices.max(initial=-1)) + 1
        n_items = n_items if n_items is not None else int(item_indices.max(initial=-1)) + 1
        _check_range("user", user_indices, n_users)
        _check_range("item", item_indices, n_items)
        if user_indices.shape != item_indices.shape:
            raise ValueError(f"users and items must pair up, got {len(user_indices)} and {len(item_indices)} values")
        when = None if timestamps is None else np.array(timestamps, np.int64).reshape(-1)
        keys = user_indices * np.int64(n_items) + item_indices
        order = np.argsort(keys, kind="stable") if when is None else np.lexsort((when, keys))
        sorted_keys = keys[order]
        first = np.ones(len(order), bool)
        first[1:] = sorted_keys[1:] != sorted_keys[:-1]
        kept = order[first]
        if (n_duplicates := len(order) - len(kept)) > 0:
            logger.info("merged %d repeated pairs of %d", n_duplicates, len(order))
        return cls(user_indices[kept], item_indices[kept], n_users, n_items, None if when is None else when[kept])

    def __len__(self) -> int:
        return len(self.users)

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
        """The 0/1 interaction matrix R, (n_users, n_items), float32 CSR with sorted int32 indices."""
        indptr = np.zeros(self.n_users + 1, np.int32)
        np.cumsum(self.user_degrees, out=indptr[1:])
        ones = np.ones(len(self), np.float32)
        return sp.csr_matrix((ones, self.items.astype(np.int32), indptr), shape=(self.n_users, self.n_items))

    def where(self, mask: np.ndarray) -> Interactions:
        """The pairs for which ``mask`` holds, over the same users and items."""
        when = None if self.timestamps is None else self.timestamps[mask]
        return Interactions(self.users[mask], self.items[mask], self.n_users, self.n_items, when)

    def core(self, min_degree: int) -> Interactions:
        """The ``min_degree``-core: the most pairs among which every user and every item has at least that many.

        Example:
            >>> log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 0, 1, 2])
            >>> log.core(2).keys.tolist()
            [0, 1, 3, 4]
        """
        pairs, n_before = self, len(self) + 1
        while len(pairs) < n_before:
            n_before = len(pairs)
            enough = pairs.user_degrees[pairs.users] >= min_degree
            pairs = pairs.where(enough & (pairs.item_degrees[pairs.items] >= min_degree))
        return pairs

    def union(self, other: Interactions) -> Interactions:
        """All pairs of both; the sizes must agree. Timestamps survive when both sides have them."""
        if (self.n_users, self.n_items) != (other.n_users, other.n_items):
            raise ValueError(
                f"cannot unite {self.n_users} x {self.n_items} with {other.n_users} x {other.n_items} interactions"
            )
        when = None
        if self.timestamps is not None and other.timestamps is not None:
            when = np.concatenate([self.timestamps, other.timestamps])
        users = np.concatenate([self.users, other.users])
        items = np.concatenate([self.items, other.items])
        return Interactions.from_pairs(users, items, self.n_users, self.n_items, when)


def _check_range(kind: str, indices: PairIndices, size: int) -> None:
    if len(indices) and (indices.min() < 0 or indices.max() >= size):
        bad = int(indices[(indices < 0) | (indices >= size)][0])
        raise ValueError(f"{kind} indices must be in [0, {size}), got {bad}")

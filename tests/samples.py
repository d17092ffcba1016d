"""Small interaction data with known structure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ltocf.data.interactions import Interactions


def random_interactions(n_users: int = 30, n_items: int = 40, density: float = 0.15, seed: int = 0) -> Interactions:
    """Random pairs; every user and every item has at least one."""
    generator = np.random.default_rng(seed)
    touched = generator.random((n_users, n_items)) < density
    touched[np.arange(n_users), generator.integers(n_items, size=n_users)] = True
    touched[generator.integers(n_users, size=n_items), np.arange(n_items)] = True
    return Interactions.from_pairs(*np.nonzero(touched), n_users, n_items)


def checkerboard(n_users: int = 20, n_items: int = 20) -> tuple[Interactions, Interactions]:
    """Users like the items of their own colour; one item of each user is withheld and is the only right answer."""
    users, items = np.nonzero(np.add.outer(np.arange(n_users), np.arange(n_items)) % 2 == 0)
    withheld = items == (users + 2) % n_items
    board = Interactions.from_pairs(users, items, n_users, n_items)
    return board.where(~withheld), board.where(withheld)


def weighted(log: Interactions) -> Interactions:
    """The same pairs with weights that all differ."""
    weights = np.linspace(0.5, 2.0, len(log), dtype=np.float32)
    return Interactions(log.users, log.items, log.n_users, log.n_items, weights=weights)


def ordered_interactions(seed: int = 0, **options: Any) -> Interactions:
    """Random pairs in a random order, the same pairs for every seed."""
    log = random_interactions(**options)
    return replace(log, places=np.random.default_rng(seed).permutation(len(log)))


def trend_by_hand(log: Interactions) -> np.ndarray:
    """The mean weight of each item in the histories that hold it, and of five more where it is 1."""
    sums, counts = np.full((2, log.n_items), 5.0)
    for user in range(log.n_users):
        of_user = log.users == user
        weights = 1 / (1.0 + np.arange(of_user.sum()))
        for item, weight in zip(log.items[of_user][np.argsort(-log.places[of_user])], weights, strict=True):
            sums[item] += weight / weights.mean()
            counts[item] += 1
    return sums / counts


def log_with_late_items() -> tuple[Interactions, Interactions]:
    """Histories of three of twelve items, then three of twelve others, drawn at random; another late one comes next.

    Each item has as many users as any other, so only its place in the histories can tell.
    """
    generator = np.random.default_rng(0)
    early, late = (
        np.concatenate([generator.permutation(12).reshape(4, 3) for _ in range(30)]) + first for first in (0, 12)
    )
    users = np.repeat(np.arange(120), 6)
    items = np.concatenate([early, late], axis=1)
    following = [generator.choice(np.setdiff1d(np.arange(12, 24), seen)) for seen in items]
    log = Interactions.from_pairs(users, items.ravel(), 120, 24, timestamps=np.tile(np.arange(6), 120))
    log = replace(log, timestamps=None, places=log.timestamps)
    return log, Interactions.from_pairs(range(120), following, 120, 24)

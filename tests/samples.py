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

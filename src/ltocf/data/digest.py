"""A fingerprint of sets of pairs, the same on every platform."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ltocf.data.interactions import Interactions


def digest(n_users: int, n_items: int, sets: Sequence[Interactions | None]) -> str:
    """SHA-256 over sizes and pairs, in hexadecimal.

    Every number is a signed 64-bit integer in little-endian order. The bytes are: ``n_users``, ``n_items``, then for
    each set its number of pairs, the user of each pair and the item of each pair, sorted by user and then by item. A
    set that is missing has -1 pairs and nothing after that. Weights, if there are any, follow the items of their set
    as 32-bit floats. Ids, titles and timestamps are not in it.

    Example:
        >>> digest(2, 1, [Interactions.from_pairs([0, 1], [0, 0]), None])[:16]
        '39817b6d09209635'
    """
    sha = hashlib.sha256(np.array([n_users, n_items], "<i8").tobytes())
    for pairs in sets:
        sha.update(np.array([-1 if pairs is None else len(pairs)], "<i8").tobytes())
        for indices in () if pairs is None else (pairs.users, pairs.items):
            sha.update(np.ascontiguousarray(indices, "<i8").data)
        if pairs is not None and pairs.weights is not None:
            sha.update(np.ascontiguousarray(pairs.weights, "<f4").data)
    return sha.hexdigest()

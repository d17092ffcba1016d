"""Vectors of users and items with their ids, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Float32

from ltocf.data.display import Shown

UserVectors: TypeAlias = Float32[np.ndarray, "users dim"]
ItemVectors: TypeAlias = Float32[np.ndarray, "items dim"]


@dataclass(frozen=True, eq=False, repr=False)
class Vectors(Shown):
    """Vectors whose inner product is the score.

    Args:
        user_ids: the caller's id of each row of ``users``.
        users: the vectors, (users, dim).
        item_ids: the caller's id of each row of ``items``.
        items: the vectors, (items, dim).
        titles: titles of the items, or None.
    """

    user_ids: pl.Series
    users: UserVectors
    item_ids: pl.Series
    items: ItemVectors
    titles: pl.Series | None = None

    def facts(self) -> dict[str, object]:
        return {"n_users": len(self.users), "n_items": len(self.items), "dim": self.items.shape[1]}

    def frames(self) -> dict[str, pl.DataFrame]:
        """``users`` and ``items`` as frames: columns id, title if there are any, and vector, an array column."""
        kind = pl.Array(pl.Float32, self.items.shape[1])
        users = pl.DataFrame({"id": self.user_ids, "vector": pl.Series(self.users, dtype=kind)})
        titles = {} if self.titles is None else {"title": self.titles}
        items = pl.DataFrame({"id": self.item_ids} | titles | {"vector": pl.Series(self.items, dtype=kind)})
        return {"users": users, "items": items}

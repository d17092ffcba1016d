"""What the caller calls users and items: ids, and titles if there are any, kept with data, run and model."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ltocf.data.display import Shown
from ltocf.data.ids import IdMap


@dataclass(frozen=True, eq=False, repr=False)
class Names(Shown):
    """The caller's ids of users 0..n_users-1 and items 0..n_items-1, and a title for each item.

    Args:
        user_ids: the caller's id of each user index.
        item_ids: the caller's id of each item index.
        titles: a readable title of each item index, or None.
        attributes: a row for each item index, with whatever is known of items: what `where` can ask for; or None.

    Raises:
        ValueError: there are titles or attributes, but not one for each item.

    Example:
        >>> names = Names(IdMap(["ann", "bob"]), IdMap([7, 9]), ("Heat", "Ran"))
        >>> names.sizes, names.titles[names.item_ids.encode([9])[0]]
        ((2, 2), 'Ran')
    """

    user_ids: IdMap
    item_ids: IdMap
    titles: tuple[str, ...] | None = None
    attributes: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.titles is not None and len(self.titles) != len(self.item_ids):
            raise ValueError(f"each item needs one title, got {len(self.item_ids)} items and {len(self.titles)} titles")
        if self.attributes is not None and len(self.attributes) != len(self.item_ids):
            raise ValueError(
                f"each item needs one row of attributes, got {len(self.item_ids)} items and {len(self.attributes)} rows"
            )

    def facts(self) -> dict[str, object]:
        n_users, n_items = self.sizes
        return {"n_users": n_users, "n_items": n_items, "titles": self.titles is not None}

    @classmethod
    def identity(cls, n_users: int, n_items: int) -> Names:
        """The indices themselves as ids, and no titles."""
        return cls(IdMap.identity(n_users), IdMap.identity(n_items))

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of users and of items."""
        return len(self.user_ids), len(self.item_ids)

"""What a reader returns: interactions with the caller's ids, and a test part where the source gives one."""

from __future__ import annotations

from dataclasses import dataclass

from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions read from one source, with the ids (and titles) they had there.

    Args:
        name: where it came from, for logs and tables.
        interactions: all pairs, or only the training pairs where the source gives a test part.
        user_ids: the caller's id of each user index.
        item_ids: the caller's id of each item index.
        test: the given test pairs, or None.
        titles: a readable title of each item index, or None.
        has_clock: whether timestamps of different users can be compared. They cannot where they are only places in a
            file.

    Raises:
        ValueError: sizes of the ids, titles or parts disagree.
    """

    name: str
    interactions: Interactions
    user_ids: IdMap
    item_ids: IdMap
    test: Interactions | None = None
    titles: tuple[str, ...] | None = None
    has_clock: bool = True

    def __post_init__(self) -> None:
        sizes = (self.interactions.n_users, self.interactions.n_items)
        if sizes != (len(self.user_ids), len(self.item_ids)):
            raise ValueError(
                f"{self.name}: {sizes} users and items but {len(self.user_ids)} and {len(self.item_ids)} ids"
            )
        if self.test is not None and sizes != (self.test.n_users, self.test.n_items):
            raise ValueError(f"{self.name}: train is {sizes} but test is {(self.test.n_users, self.test.n_items)}")
        if self.titles is not None and len(self.titles) != sizes[1]:
            raise ValueError(f"{self.name}: {sizes[1]} items but {len(self.titles)} titles")

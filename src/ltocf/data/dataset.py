"""What a reader returns: interactions with the caller's ids, and a test set if the source gives one."""

from __future__ import annotations

from dataclasses import dataclass

from ltocf.data.display import Shown
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.data.report import ReadingReport


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Shown):
    """Interactions read from one source, with the ids (and titles) they had there.

    Args:
        name: where it came from, for logs and tables.
        interactions: all pairs, or only the training pairs if the source gives a test set.
        names: the caller's ids, and titles if the source has any.
        test: the given test pairs, or None.
        has_clock: whether timestamps of different users can be compared. They cannot if they are only places in a file.
        also_seen: pairs that are no interactions but that users have seen, such as items they rated low: never
            trained on, and left out of lists; or None.
        report: how the source was read, or None.
        lines_in_time: without a clock, whether these places are the order in time of each user's items.

    Raises:
        ValueError: ids and sets of pairs differ in their numbers of users or items.
    """

    name: str
    interactions: Interactions
    names: Names
    test: Interactions | None = None
    has_clock: bool = True
    also_seen: Interactions | None = None
    report: ReadingReport | None = None
    lines_in_time: bool = False

    def __post_init__(self) -> None:
        sizes = (self.interactions.n_users, self.interactions.n_items)
        if sizes != self.names.sizes:
            raise ValueError(f"{self.name}: {sizes} users and items but {self.names.sizes} ids")
        for part, pairs in (("test", self.test), ("also_seen", self.also_seen)):
            if pairs is not None and sizes != (pairs.n_users, pairs.n_items):
                raise ValueError(f"{self.name}: train is {sizes} but {part} is {(pairs.n_users, pairs.n_items)}")

    def facts(self) -> dict[str, object]:
        pairs = self.interactions
        figures: dict[str, object] = {"name": self.name, "n_users": pairs.n_users, "n_items": pairs.n_items}
        figures |= {"n_pairs": len(pairs), "n_test_pairs": 0 if self.test is None else len(self.test)}
        return figures | {"timestamps": pairs.timestamps is not None, "titles": self.titles is not None}

    @property
    def is_in_order(self) -> bool:
        """Whether it is known which of a user's items came after which."""
        return self.interactions.timestamps is not None and (self.has_clock or self.lines_in_time)

    @property
    def user_ids(self) -> IdMap:
        """The caller's id of each user index."""
        return self.names.user_ids

    @property
    def item_ids(self) -> IdMap:
        """The caller's id of each item index."""
        return self.names.item_ids

    @property
    def titles(self) -> tuple[str, ...] | None:
        """A readable title of each item index, or None."""
        return self.names.titles

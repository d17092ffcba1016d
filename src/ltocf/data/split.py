"""A training, a test and a validation set that do not overlap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ltocf.data.digest import digest
from ltocf.data.display import Shown
from ltocf.data.interactions import Interactions
from ltocf.shapes import PairIndices


@dataclass(frozen=True, eq=False, repr=False)
class Split(Shown):
    """Sets over the same users and items, no pair in two of them.

    Pairs of a user or an item without training pairs (cold) stay in their set, and a model that cannot score them
    misses them: leaving them out would flatter it. `split_dataset` logs their number.

    Args:
        train: what a model learns from.
        test: what it is measured on, once.
        validation: what chooses epochs and settings, or None.

    Raises:
        ValueError: sizes differ, or a pair is in two sets.

    Example:
        >>> train, test = (Interactions.from_pairs([0, 1], [0, item], n_items=2) for item in (0, 1))
        >>> Split(train, test.where(test.users == 1)).cold_items
        1
    """

    train: Interactions
    test: Interactions
    validation: Interactions | None = None

    def __post_init__(self) -> None:
        parts = {"train": self.train, "test": self.test, "validation": self.validation}
        seen: dict[str, PairIndices] = {}
        for name, part in parts.items():
            if part is None:
                continue
            if (part.n_users, part.n_items) != (self.n_users, self.n_items):
                raise ValueError(
                    f"sets must have the same users and items, got {self.n_users} x {self.n_items} in train and "
                    f"{part.n_users} x {part.n_items} in {name}"
                )
            for other, keys in seen.items():
                if n_shared := int(np.isin(part.keys, keys, assume_unique=True).sum()):
                    raise ValueError(f"sets must not overlap, got {n_shared} pairs in both {other} and {name}")
            seen[name] = part.keys

    @cached_property
    def digest(self) -> str:
        """The `digest` of train, validation and test, in this order."""
        return digest(self.n_users, self.n_items, (self.train, self.validation, self.test))

    def summary(self) -> dict[str, str | int | None]:
        """Digest, users, items and the number of pairs of each set, ready for JSON."""
        sets = {name: getattr(self, name) for name in ("train", "validation", "test")}
        counts = {name: None if pairs is None else len(pairs) for name, pairs in sets.items()}
        return {"digest": self.digest, "users": self.n_users, "items": self.n_items, **counts}

    def facts(self) -> dict[str, object]:
        parts = {"n_train": self.train, "n_test": self.test, "n_validation": self.validation}
        sizes: dict[str, object] = {"n_users": self.n_users, "n_items": self.n_items}
        return sizes | {name: 0 if part is None else len(part) for name, part in parts.items()}

    @property
    def n_users(self) -> int:
        """Number of users, the same in every set."""
        return self.train.n_users

    @property
    def n_items(self) -> int:
        """Number of items, the same in every set."""
        return self.train.n_items

    @property
    def held_out(self) -> float:
        """The share of all pairs that is in the test set."""
        n_test, n_others = len(self.test), len(self.train) + (0 if self.validation is None else len(self.validation))
        return n_test / (n_test + n_others) if n_test else 0.0

    @cached_property
    def cold_users(self) -> int:
        """Number of users in test or validation without a training pair."""
        evaluated = sum(part.user_degrees for part in (self.test, self.validation) if part is not None)
        return int(((evaluated > 0) & (self.train.user_degrees == 0)).sum())

    @cached_property
    def cold_items(self) -> int:
        """Number of items in test or validation without a training pair."""
        evaluated = sum(part.item_degrees for part in (self.test, self.validation) if part is not None)
        return int(((evaluated > 0) & (self.train.item_degrees == 0)).sum())

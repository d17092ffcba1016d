"""Histories: the items of many users, one after the other, to be looked up without a search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from ltocf.data.display import Shown
from ltocf.data.interactions import Interactions, check_32_bits
from ltocf.data.order import ages_of
from ltocf.shapes import UserIndices


@dataclass(frozen=True, eq=False, repr=False)
class Histories(Shown):
    """Rows of items, row r being ``items[offsets[r]:offsets[r + 1]]``: the items of a training user or of anybody else.

    Built once; looking up users then takes time that depends on their own histories only. Both arrays may be mapped
    from a file.

    Args:
        offsets: where each row begins, and the end of the last one, (rows + 1,).
        items: item indices of all rows, (entries,).
        n_items: size of the catalogue.
        later: how many items of its row came after each, (entries,); None if that is not known.
        days: how long before the last item of its row each was, (entries,); None without a clock.

    Raises:
        ValueError: offsets that do not ascend from 0 to the number of entries.

    Example:
        >>> histories = Histories.of(Interactions.from_pairs([0, 0, 2], [1, 3, 0]))
        >>> histories.rows(torch.tensor([2, 0])).items.tolist(), histories.lengths.tolist()
        ([0, 1, 3], [2, 0, 1])
    """

    offsets: Int64[Tensor, " rows_and_end"]
    items: Int32[Tensor, " entries"]
    n_items: int
    later: Int32[Tensor, " entries"] | None = None
    days: Float32[Tensor, " entries"] | None = None

    def __post_init__(self) -> None:
        ends = (int(self.offsets[0]), int(self.offsets[-1])) if len(self.offsets) else (-1, -1)
        if ends != (0, len(self.items)) or bool((self.offsets.diff() < 0).any()):
            raise ValueError(f"`offsets` must ascend from 0 to the {len(self.items)} entries, got {ends} at its ends")

    @classmethod
    def of(cls, seen: Interactions, *, ages: bool = True) -> Histories:
        """A row for each user of ``seen``, items ascending, with their ages if requested and if there is an order.

        Raises:
            ValueError: 2^31 items or more.
        """
        check_32_bits(items=seen.n_items)
        offsets = np.concatenate([[0], np.cumsum(seen.user_degrees)])
        items, known = torch.from_numpy(seen.items.astype(np.int32)), ages_of(seen) if ages else None
        if known is None:
            return cls(torch.from_numpy(offsets), items, seen.n_items)
        days = None if known.days is None else torch.from_numpy(known.days)
        return cls(torch.from_numpy(offsets), items, seen.n_items, torch.from_numpy(known.later), days)

    def facts(self) -> dict[str, object]:
        return {"n_rows": len(self), "n_items": self.n_items, "n_entries": len(self.items)}

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64[Tensor, " rows"]:
        """Number of items in each row."""
        return self.offsets.diff()

    def rows(self, users: UserIndices) -> Histories:
        """The rows of ``users``, in their order, repeats allowed.

        Raises:
            ValueError: a user without a row.
        """
        users = users.cpu()
        if len(users) == 1 and 0 <= (row := int(users[0])) < len(self):  # a service asks for one user at a time
            start, end = self.offsets[row : row + 2].tolist()
            return self._entries(torch.tensor([0, end - start]), slice(start, end))
        outside = (users < 0) | (users >= len(self))
        if outside.any():
            raise ValueError(f"user indices must be in [0, {len(self)}), got {int(users[outside][0])}")
        starts = self.offsets[users]
        lengths = self.offsets[users + 1] - starts
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        places = torch.arange(int(offsets[-1])) + (starts - offsets[:-1]).repeat_interleave(lengths)
        return self._entries(offsets, places)

    def _entries(self, offsets: Tensor, places: Tensor | slice) -> Histories:
        """Rows of the entries at ``places``, with their ages if these are known."""
        later = None if self.later is None else self.later[places]
        return Histories(
            offsets, self.items[places], self.n_items, later, None if self.days is None else self.days[places]
        )

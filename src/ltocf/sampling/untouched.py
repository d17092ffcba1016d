"""Items that a user has not touched, drawn without rejection."""

from __future__ import annotations

import numpy as np
import torch

from ltocf.data.interactions import Interactions
from ltocf.shapes import BatchIndices

NO_NEGATIVES = (
    "at least one user must have both an item and an untouched item, for a negative, got none in {} training pairs; "
    'train with `loss = "softmax"`, or `spectral`, which need no negatives'
)


class UntouchedItems:
    """Draws items that users have not touched, uniformly: the r-th of them, for a random r."""

    def __init__(self, train: Interactions, device: torch.device) -> None:
        degrees = train.user_degrees
        offsets = np.cumsum(degrees) - degrees
        self.n_items = train.n_items
        self._degrees, self._offsets = (torch.from_numpy(array).to(device) for array in (degrees, offsets))
        # How many untouched items lie before each touched one, ascending over all users.
        before = train.items - (np.arange(len(train)) - offsets[train.users])
        self._before = torch.from_numpy(train.users * (self.n_items + 1) + before).to(device)

    def draw(self, users: BatchIndices, generator: torch.Generator) -> BatchIndices:
        """An item for each user, who must have one left.

        The r-th untouched item is r plus the touched ones before it: no draw is rejected, and nothing waits for a GPU.
        """
        ranks = draw_below(self.n_items - self._degrees.index_select(0, users), generator)
        places = torch.searchsorted(self._before, users * (self.n_items + 1) + ranks, right=True)
        return ranks + places - self._offsets.index_select(0, users)


def draw_below(counts: BatchIndices, generator: torch.Generator) -> BatchIndices:
    """A uniform integer in 0..count - 1 for each count; the bias is below count / 2^63."""
    return torch.randint(2**63 - 1, counts.shape, generator=generator, device=counts.device) % counts

"""Random walks on the interaction graph, as training batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.sampling.batches import Batch, Batches
from ltocf.sampling.untouched import draw_below
from ltocf.shapes import BatchIndices


class WalkBatches(Batches):
    """Batches of walks user, item, user, item, ...: a neighbour is taken in proportion to its degree.

    An epoch has as many walks as there are training pairs, each from a user drawn uniformly among those with pairs.
    The positives of a batch are the ``n_orders`` items on the first walk, then those on the second, and so on;
    the negatives are as many items drawn uniformly from all.

    Args:
        train: the training pairs.
        batch_size: walks per batch; the last batch of an epoch may be smaller.
        seed: seed of the draws.
        n_orders: items on a walk.
        device: device on which the batches are drawn and kept.

    Raises:
        ValueError: ``batch_size`` or ``n_orders`` < 1, or no training pairs.

    Source: Yang et al., RecSys 2018, section 3.2, https://doi.org/10.1145/3240323.3240381

    Example:
        >>> batches = WalkBatches(Interactions.from_pairs([0, 1, 1], [0, 0, 1]), 2, seed=0, n_orders=2)
        >>> batch = next(batches.epoch(0))
        >>> len(batch.users), len(batch.positives), len(batch.negatives)
        (2, 4, 4)
    """

    def __init__(
        self,
        train: Interactions,
        batch_size: int,
        seed: int,
        n_orders: int,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(train, batch_size, seed, device)
        if n_orders < 1:
            raise ValueError(f"`n_orders` must be >= 1, got {n_orders}")
        if not len(train):
            raise ValueError("there are no training pairs")
        self.n_orders = n_orders
        self._users = torch.from_numpy(np.flatnonzero(train.user_degrees)).to(self.device)
        by_item = np.argsort(train.items, kind="stable")
        self._items_of_users = _Neighbours(train.user_degrees, train.items, train.item_degrees, self.device)
        self._users_of_items = _Neighbours(train.item_degrees, train.users[by_item], train.user_degrees, self.device)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        generator = self.generator(epoch)
        for start in range(0, self.n_examples, self.batch_size):
            yield self._draw(min(self.batch_size, self.n_examples - start), generator)

    def _draw(self, size: int, generator: torch.Generator) -> Batch:
        places = torch.randint(len(self._users), (size,), generator=generator, device=self.device)
        users = self._users.index_select(0, places)
        items = [self._items_of_users.draw(users, generator)]
        for _ in range(1, self.n_orders):
            neighbours = self._users_of_items.draw(items[-1], generator)
            items.append(self._items_of_users.draw(neighbours, generator))
        shape = (size * self.n_orders,)
        negatives = torch.randint(self.n_items, shape, generator=generator, device=self.device)
        return Batch(users, torch.stack(items, dim=1).flatten(), negatives)


class _Neighbours:
    """Draws a neighbour of each node in proportion to the neighbour's own degree."""

    def __init__(self, degrees: np.ndarray, neighbours: np.ndarray, weights: np.ndarray, device: torch.device) -> None:
        ends = np.cumsum(degrees)
        totals = np.concatenate([[0], np.cumsum(weights[neighbours])])
        self._totals: Tensor = torch.from_numpy(totals[1:]).to(device)
        self._lows, self._highs = (torch.from_numpy(totals[place]).to(device) for place in (ends - degrees, ends))
        self._neighbours = torch.from_numpy(neighbours.copy()).to(device)

    def draw(self, nodes: BatchIndices, generator: torch.Generator) -> BatchIndices:
        """One neighbour of each node, all of which have some: a draw below the sum of degrees, without rejection."""
        lows, highs = (bound.index_select(0, nodes) for bound in (self._lows, self._highs))
        places = torch.searchsorted(self._totals, lows + draw_below(highs - lows, generator), right=True)
        return self._neighbours.index_select(0, places)

"""Batches for models of whole histories: users only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ltocf.data.interactions import Interactions
from ltocf.sampling.batches import Batch, Batches


class UserBatches(Batches):
    """Batches for models of whole histories: every user with a training pair once per epoch, and no items.

    Args:
        train: the training pairs.
        batch_size: users per batch; the last batch of an epoch may be smaller.
        seed: seed of the order.
        device: device on which the batches are drawn and kept.

    Raises:
        ValueError: ``batch_size`` < 1, or no training pairs.

    Example:
        >>> (batch,) = UserBatches(Interactions.from_pairs([0, 2], [0, 1]), batch_size=4, seed=0).epoch(0)
        >>> sorted(batch.users.tolist()), batch.positives.tolist()
        ([0, 2], [])
    """

    def __init__(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> None:
        super().__init__(train, batch_size, seed, device)
        if not len(train):
            raise ValueError("there are no training pairs")
        self._users = torch.from_numpy(np.flatnonzero(train.user_degrees)).to(self.device)
        self.n_examples = len(self._users)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        order = torch.randperm(self.n_examples, generator=self.generator(epoch), device=self.device)
        no_items = order.new_empty(0)
        for places in torch.split(order, self.batch_size):
            yield Batch(self._users.index_select(0, places), no_items, no_items)

"""Batches for the sampled softmax: every pair, and items that the whole batch is compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.sampling.batches import Batch, Batches
from ltocf.sampling.weighted import relative_weights
from ltocf.shapes import NegativeIndices


class SharedNegativeBatches(Batches):
    """Batches for the sampled softmax: every training pair once per epoch, negatives shared by the batch.

    The negatives of a batch are the items of training pairs drawn at random, that is items in proportion to their
    number of users. With the whole catalogue they are all items that have a pair, once each, in every batch. An epoch
    is a fresh permutation of the training pairs; the weight of a pair multiplies its loss.

    Args:
        train: the training pairs.
        batch_size: pairs per batch; the last batch of an epoch may be smaller.
        seed: seed of the draws.
        n_negatives: items each batch shares.
        device: device on which the batches are drawn and kept.
        whole_catalogue: use every item with a pair instead of a sample.

    Raises:
        ValueError: ``batch_size`` or ``n_negatives`` < 1, or no training pairs.

    Example:
        >>> batches = SharedNegativeBatches(Interactions.from_pairs([0, 1], [0, 1]), 2, seed=0, n_negatives=3)
        >>> (batch,) = batches.epoch(0)
        >>> sorted(batch.users.tolist()), len(batch.negatives)
        ([0, 1], 3)
    """

    def __init__(
        self,
        train: Interactions,
        batch_size: int,
        seed: int,
        n_negatives: int,
        device: torch.device | str = "cpu",
        *,
        whole_catalogue: bool = False,
    ) -> None:
        super().__init__(train, batch_size, seed, device)
        if n_negatives < 1:
            raise ValueError(f"`n_negatives` must be >= 1, got {n_negatives}")
        if not len(train):
            raise ValueError("there are no training pairs")
        self.n_negatives = n_negatives
        # Pairs are sorted by user: a search among the ends of the users' pairs finds the user of a pair.
        self._ends = torch.from_numpy(train.user_degrees).cumsum(0).to(self.device)
        self._items = torch.from_numpy(train.items.astype(np.int32)).to(self.device)
        self._catalogue: Tensor | None = torch.unique(self._items).long() if whole_catalogue else None
        self._weights = None if train.weights is None else relative_weights(train.weights, self.device)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        generator = self.generator(epoch)
        # On a CPU the permutation is the same in either type; on a GPU this is not guaranteed.
        small = self.device.type == "cpu" and self.n_examples < 2**31
        order = torch.randperm(
            self.n_examples, generator=generator, device=self.device, dtype=torch.int32 if small else torch.int64
        )
        for pairs in torch.split(order, self.batch_size):
            users = torch.searchsorted(self._ends, pairs.long(), right=True)
            positives = self._items.index_select(0, pairs).long()
            weights = None if self._weights is None else self._weights.index_select(0, pairs)
            yield Batch(users, positives, self._negatives(generator), weights)

    def _negatives(self, generator: torch.Generator) -> NegativeIndices:
        if self._catalogue is not None:
            return self._catalogue
        drawn = torch.randint(self.n_examples, (self.n_negatives,), generator=generator, device=self.device)
        return self._items.index_select(0, drawn).long()

"""Interactions become training batches: a user, an item of theirs, and an item that is not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from ltocf.data.interactions import Interactions
from ltocf.shapes import BatchIndices

logger = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Indices of users, of one positive and of one negative item for each."""

    users: BatchIndices
    positives: BatchIndices
    negatives: BatchIndices


class PairwiseBatches:
    """Batches for pairwise losses: users uniform, positives uniform among theirs, negatives uniform among the rest.

    An epoch draws as many triples as there are training pairs, with replacement, so every user weighs the same
    whatever the length of their history. Epoch e depends on ``seed`` and e alone, which makes training resumable
    at any epoch. A user who touched every item has no negative and is left out (counted in the log).

    Args:
        train: the training pairs.
        batch_size: triples per batch; the last batch of an epoch may be smaller.
        seed: of the draws.
        device: where the batches are drawn and live.

    Raises:
        ValueError: ``batch_size`` < 1, no training pairs, or nobody with both a positive and a negative.

    Source: the sampler of LightGCN's program, which LT-OCF's uses, https://github.com/gusye1234/LightGCN-PyTorch

    Example:
        >>> batches = PairwiseBatches(Interactions.from_pairs([0, 1], [0, 1]), batch_size=2, seed=0)
        >>> (batch,) = batches.epoch(0)
        >>> bool((batch.positives == batch.users).all()), bool((batch.negatives == 1 - batch.users).all())
        (True, True)
    """

    def __init__(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> None:
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be >= 1, got {batch_size}")
        degrees = train.user_degrees
        eligible = np.flatnonzero((degrees > 0) & (degrees < train.n_items))
        if not len(eligible):
            raise ValueError(f"no user has both a positive and a negative item in {len(train)} training pairs")
        if n_full := int((degrees == train.n_items).sum()):
            logger.warning("%d users touched every item and have no negatives: left out of training", n_full)
        self.n_examples, self.n_items, self.batch_size, self.seed = (
            len(train),
            train.n_items,
            batch_size,
            seed,
        )
        self.device = torch.device(device)
        self._users = torch.from_numpy(eligible).to(self.device)
        self._degrees = torch.from_numpy(degrees).to(self.device)
        self._offsets = torch.from_numpy(np.cumsum(degrees) - degrees).to(self.device)
        self._items = torch.tensor(train.items, device=self.device)
        self._keys = torch.from_numpy(train.keys).to(self.device)

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-self.n_examples // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, the same for the same seed and epoch."""
        state = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)
        generator = torch.Generator(self.device).manual_seed(int(state[0] >> np.uint64(1)))
        for start in range(0, self.n_examples, self.batch_size):
            yield self._draw(min(self.batch_size, self.n_examples - start), generator)

    def _draw(self, size: int, generator: torch.Generator) -> Batch:
        def uniform(high: int, n: int) -> torch.Tensor:
            return torch.randint(high, (n,), generator=generator, device=self.device)

        users = self._users.index_select(0, uniform(len(self._users), size))
        # A 63-bit draw modulo the degree: the bias is below degree / 2^63.
        places = uniform(2**63 - 1, size) % self._degrees.index_select(0, users)
        positives = self._items.index_select(0, self._offsets.index_select(0, users) + places)
        negatives = uniform(self.n_items, size)
        open_places = self._touched(users, negatives).nonzero().squeeze(1)
        while len(open_places):
            negatives[open_places] = uniform(self.n_items, len(open_places))
            still = self._touched(users[open_places], negatives[open_places])
            open_places = open_places[still]
        return Batch(users, positives, negatives)

    def _touched(self, users: BatchIndices, items: BatchIndices) -> torch.Tensor:
        keys = users * self.n_items + items
        places = torch.searchsorted(self._keys, keys).clamp_(max=len(self._keys) - 1)
        return self._keys.index_select(0, places) == keys

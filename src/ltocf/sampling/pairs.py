"""Batches for pairwise losses: a user, one of their items, and an item they have not touched."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch

from ltocf.data.interactions import Interactions
from ltocf.sampling.batches import Batch, Batches
from ltocf.sampling.untouched import NO_NEGATIVES, UntouchedItems, draw_below
from ltocf.sampling.weighted import CumulativeWeights
from ltocf.shapes import BatchIndices

logger = logging.getLogger(__name__)


class PairwiseBatches(Batches):
    """Batches for pairwise losses: users uniform, positives uniform among theirs, negatives uniform among the rest.

    Positives with weights are drawn in proportion to them.

    An epoch draws as many triples as there are training pairs, with replacement, so every user weighs the same
    whatever the length of their history. A user who touched every item has no negative and is left out (counted in
    the log).

    Args:
        train: the training pairs.
        batch_size: triples per batch; the last batch of an epoch may be smaller.
        seed: seed of the draws.
        device: device on which the batches are drawn and kept.
        distinct_users: draw the users of a batch without replacement, so that none is in it twice, as NGCF's program
            does; a batch of more users than there are draws them with replacement all the same.

    Raises:
        ValueError: ``batch_size`` < 1, no training pairs, or nobody with both a positive and a negative.

    Source: the sampler of LightGCN's program, which LT-OCF's uses, https://github.com/gusye1234/LightGCN-PyTorch; with
    distinct users that of https://github.com/xiangwang1223/neural_graph_collaborative_filtering

    Example:
        >>> batches = PairwiseBatches(Interactions.from_pairs([0, 1], [0, 1]), batch_size=2, seed=0)
        >>> (batch,) = batches.epoch(0)
        >>> bool((batch.positives == batch.users).all()), bool((batch.negatives == 1 - batch.users).all())
        (True, True)
    """

    def __init__(
        self,
        train: Interactions,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        *,
        distinct_users: bool = False,
    ) -> None:
        super().__init__(train, batch_size, seed, device)
        self.distinct_users = distinct_users
        degrees = train.user_degrees
        eligible = np.flatnonzero((degrees > 0) & (degrees < train.n_items))
        if not len(eligible):
            raise ValueError(NO_NEGATIVES.format(len(train)))
        if n_full := int((degrees == train.n_items).sum()):
            logger.warning("%d users touched every item and have no negatives: left out of training", n_full)
        self._users = torch.from_numpy(eligible).to(self.device)
        self._degrees = torch.from_numpy(degrees).to(self.device)
        self._offsets = torch.from_numpy(np.cumsum(degrees) - degrees).to(self.device)
        self._items = torch.from_numpy(train.items.astype(np.int32)).to(self.device)
        self._weights = None if train.weights is None else CumulativeWeights(train.weights, self.device)
        self._untouched = UntouchedItems(train, self.device)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        generator = self.generator(epoch)
        for start in range(0, self.n_examples, self.batch_size):
            yield self._draw(min(self.batch_size, self.n_examples - start), generator)

    def _draw(self, size: int, generator: torch.Generator) -> Batch:
        users = self._users.index_select(0, self._places(size, generator))
        offsets, lengths = self._offsets.index_select(0, users), self._degrees.index_select(0, users)
        if self._weights is None:
            pairs = offsets + draw_below(lengths, generator)
        else:
            pairs = self._weights.draw(offsets, lengths, generator)
        positives = self._items.index_select(0, pairs).long()
        return Batch(users, positives, self._untouched.draw(users, generator))

    def _places(self, size: int, generator: torch.Generator) -> BatchIndices:
        """The place of each user of a batch among all users that can be drawn."""
        n_users = len(self._users)
        if self.distinct_users and size <= n_users:
            return torch.randperm(n_users, generator=generator, device=self.device)[:size]
        return torch.randint(n_users, (size,), generator=generator, device=self.device)

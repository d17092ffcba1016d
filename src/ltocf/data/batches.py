"""Interactions become training batches: users, an item of each of them, and items to tell it from."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from ltocf.data.interactions import Interactions
from ltocf.shapes import BatchIndices, NegativeIndices

logger = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Indices of users, of one positive item of each, and of negatives: one of each, or a set shared by all."""

    users: BatchIndices
    positives: BatchIndices
    negatives: NegativeIndices


class Batches(ABC):
    """A sampler: epoch e depends on ``seed`` and e alone, so training resumes at any epoch."""

    def __init__(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str) -> None:
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be >= 1, got {batch_size}")
        self.n_examples, self.n_items, self.batch_size, self.seed = len(train), train.n_items, batch_size, seed
        self.device = torch.device(device)

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-self.n_examples // self.batch_size)

    @abstractmethod
    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, the same for the same seed and epoch."""

    def generator(self, epoch: int) -> torch.Generator:
        """The source of an epoch's draws."""
        state = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)
        return torch.Generator(self.device).manual_seed(int(state[0] >> np.uint64(1)))


class PairwiseBatches(Batches):
    """Batches for pairwise losses: users uniform, positives uniform among theirs, negatives uniform among the rest.

    An epoch draws as many triples as there are training pairs, with replacement, so every user weighs the same
    whatever the length of their history. A user who touched every item has no negative and is left out (counted in
    the log).

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
        super().__init__(train, batch_size, seed, device)
        degrees = train.user_degrees
        eligible = np.flatnonzero((degrees > 0) & (degrees < train.n_items))
        if not len(eligible):
            raise ValueError(f"no user has both a positive and a negative item in {len(train)} training pairs")
        if n_full := int((degrees == train.n_items).sum()):
            logger.warning("%d users touched every item and have no negatives: left out of training", n_full)
        self._users = torch.from_numpy(eligible).to(self.device)
        self._degrees = torch.from_numpy(degrees).to(self.device)
        self._offsets = torch.from_numpy(np.cumsum(degrees) - degrees).to(self.device)
        self._items = torch.tensor(train.items, device=self.device)
        self._untouched = UntouchedItems(train, self.device)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        generator = self.generator(epoch)
        for start in range(0, self.n_examples, self.batch_size):
            yield self._draw(min(self.batch_size, self.n_examples - start), generator)

    def _draw(self, size: int, generator: torch.Generator) -> Batch:
        places = torch.randint(len(self._users), (size,), generator=generator, device=self.device)
        users = self._users.index_select(0, places)
        offsets = self._offsets.index_select(0, users)
        positives = self._items.index_select(0, offsets + draw_below(self._degrees.index_select(0, users), generator))
        return Batch(users, positives, self._untouched.draw(users, generator))


class PointwiseBatches(Batches):
    """Batches for pointwise losses: every training pair once per epoch, and items its user has not touched.

    The negatives of a batch are ``n_negatives`` uniform draws for the first pair, then those for the second, and so on.
    A user who touched every item is left out.

    Args:
        train: the training pairs.
        batch_size: pairs per batch; the last batch of an epoch may be smaller.
        seed: of the draws.
        n_negatives: items for each pair.
        device: where the batches are drawn and live.

    Raises:
        ValueError: ``batch_size`` or ``n_negatives`` < 1, or nobody with both a positive and a negative.

    Source: He et al., WWW 2017, section 4.1, https://doi.org/10.1145/3038912.3052569

    Example:
        >>> batches = PointwiseBatches(Interactions.from_pairs([0, 1], [0, 1]), 2, seed=0, n_negatives=2)
        >>> (batch,) = batches.epoch(0)
        >>> bool((batch.negatives == 1 - batch.users.repeat_interleave(2)).all())
        True
    """

    def __init__(
        self,
        train: Interactions,
        batch_size: int,
        seed: int,
        n_negatives: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if n_negatives < 1:
            raise ValueError(f"`n_negatives` must be >= 1, got {n_negatives}")
        super().__init__(train, batch_size, seed, device)
        self.n_negatives = n_negatives
        kept = train.where((train.user_degrees < train.n_items)[train.users])
        if not len(kept):
            raise ValueError(f"no user has both a positive and a negative item in {len(train)} training pairs")
        self.n_examples = len(kept)
        self._users = torch.tensor(kept.users, device=self.device)
        self._items = torch.tensor(kept.items, device=self.device)
        self._untouched = UntouchedItems(train, self.device)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        generator = self.generator(epoch)
        order = torch.randperm(self.n_examples, generator=generator, device=self.device)
        for pairs in torch.split(order, self.batch_size):
            users, positives = self._users.index_select(0, pairs), self._items.index_select(0, pairs)
            yield Batch(users, positives, self._untouched.draw(users.repeat_interleave(self.n_negatives), generator))


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

        The r-th untouched item is r plus the touched ones before it: no draw is thrown away, nothing is waited for.
        """
        ranks = draw_below(self.n_items - self._degrees.index_select(0, users), generator)
        places = torch.searchsorted(self._before, users * (self.n_items + 1) + ranks, right=True)
        return ranks + places - self._offsets.index_select(0, users)


def draw_below(counts: BatchIndices, generator: torch.Generator) -> BatchIndices:
    """A uniform integer in 0..count - 1 for each count; the bias is below count / 2^63."""
    return torch.randint(2**63 - 1, counts.shape, generator=generator, device=counts.device) % counts


class SharedNegativeBatches(Batches):
    """Batches for the sampled softmax: every training pair once per epoch, negatives shared by the batch.

    The negatives of a batch are the items of training pairs drawn at random, that is items in proportion to their
    number of users. An epoch is a fresh permutation of the training pairs.

    Args:
        train: the training pairs.
        batch_size: pairs per batch; the last batch of an epoch may be smaller.
        seed: of the draws.
        n_negatives: items each batch shares.
        device: where the batches are drawn and live.

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
    ) -> None:
        super().__init__(train, batch_size, seed, device)
        if n_negatives < 1:
            raise ValueError(f"`n_negatives` must be >= 1, got {n_negatives}")
        if not len(train):
            raise ValueError("there are no training pairs")
        self.n_negatives = n_negatives
        self._users = torch.tensor(train.users, device=self.device)
        self._items = torch.tensor(train.items, device=self.device)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        generator = self.generator(epoch)
        order = torch.randperm(self.n_examples, generator=generator, device=self.device)
        for pairs in torch.split(order, self.batch_size):
            drawn = torch.randint(self.n_examples, (self.n_negatives,), generator=generator, device=self.device)
            users, positives = self._users.index_select(0, pairs), self._items.index_select(0, pairs)
            yield Batch(users, positives, self._items.index_select(0, drawn))


class UserBatches(Batches):
    """Batches for models of whole histories: every user with a training pair once per epoch, and no items.

    Args:
        train: the training pairs.
        batch_size: users per batch; the last batch of an epoch may be smaller.
        seed: of the order.
        device: where the batches are drawn and live.

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
        nothing = order.new_empty(0)
        for places in torch.split(order, self.batch_size):
            yield Batch(self._users.index_select(0, places), nothing, nothing)

"""Batches for pointwise losses: every pair, and items to set against it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ltocf.data.interactions import Interactions
from ltocf.sampling.batches import Batch, Batches
from ltocf.sampling.untouched import NO_NEGATIVES, UntouchedItems


class PointwiseBatches(Batches):
    """Batches for pointwise losses: every training pair once per epoch, and items its user has not touched.

    The negatives of a batch are ``n_negatives`` uniform draws for the first pair, then those for the second, and so on.
    A user who touched every item is left out.

    Args:
        train: the training pairs.
        batch_size: pairs per batch; the last batch of an epoch may be smaller.
        seed: seed of the draws.
        n_negatives: items for each pair.
        device: device on which the batches are drawn and kept.

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
            raise ValueError(NO_NEGATIVES.format(len(train)))
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

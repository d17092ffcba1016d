"""What a training batch is, and what every sampler promises: an epoch depends on the seed and its number alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from ltocf.data.interactions import Interactions
from ltocf.shapes import BatchIndices, BatchScores, NegativeIndices


class Batch(NamedTuple):
    """Indices of users, of one positive item for each, and of negatives: some for each, or a set shared by all.

    ``weights`` say how much each positive counts, 1 on average over all pairs; None: all alike.
    """

    users: BatchIndices
    positives: BatchIndices
    negatives: NegativeIndices
    weights: BatchScores | None = None


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

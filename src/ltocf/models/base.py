"""What every model is: batches to loss terms, users to scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import chain
from typing import NamedTuple

import torch
from torch import nn

from ltocf.data.interactions import Interactions
from ltocf.evaluation.top_k import Scorer
from ltocf.sampling import Batch, Batches
from ltocf.shapes import Scalar, Scores, UserIndices


class LossTerms(NamedTuple):
    """The two parts of an objective: ``ranking + l2_weight * l2``."""

    ranking: Scalar
    l2: Scalar

    def total(self, l2_weight: float) -> Scalar:
        return self.ranking + l2_weight * self.l2


ListScorer = Scorer
"""The name that `Scorer` had here while scorers were asked again for the scores of a list; `rank` returns them."""


class Recommender(nn.Module, ABC):
    """A model over ``n_users`` x ``n_items``; the number of users and items never changes."""

    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        self.n_users, self.n_items = n_users, n_items

    @property
    def device(self) -> torch.device:
        """Where its numbers are."""
        return next(chain(self.parameters(), self.buffers())).device

    @abstractmethod
    def scorer(self) -> Scorer:
        """The model as it stands, ready to rank."""

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each user asked for; higher is better."""
        return self.scorer().scores(users)


class GradientRecommender(Recommender):
    """A model that is trained by gradient steps on batches."""

    @abstractmethod
    def forward(self, batch: Batch) -> LossTerms:
        """The loss of one training batch."""

    @abstractmethod
    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        """The sampler its loss asks for."""

    def freeze(self) -> bool:
        """Before an epoch whose steps are recorded on a GPU: settle now what steps would have to look up.

        Returns:
            Whether steps depend on no value from here on, so that one recording serves them all.
        """
        return False

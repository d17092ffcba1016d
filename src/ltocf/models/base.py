"""What every model is: batches to loss terms, users to scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from ltocf.data.batches import Batch
from ltocf.losses import bpr, l2_penalty
from ltocf.shapes import (
    Embeddings,
    ItemEmbeddings,
    ListScores,
    RankedItems,
    Scalar,
    Scores,
    UserEmbeddings,
    UserIndices,
)

INITIAL_DEVIATION = 0.1


class LossTerms(NamedTuple):
    """The two parts of an objective: ``ranking + l2_weight * l2``."""

    ranking: Scalar
    l2: Scalar

    def total(self, l2_weight: float) -> Scalar:
        return self.ranking + l2_weight * self.l2


@dataclass(frozen=True)
class EmbeddingScorer:
    """Fixed embeddings whose score is the inner product: what ranking needs of a trained model."""

    user_embeddings: UserEmbeddings
    item_embeddings: ItemEmbeddings

    def scores(self, users: UserIndices) -> Scores:
        """score(u, i) = <user_u, item_i>."""
        users = users.to(self.user_embeddings.device)
        return self.user_embeddings.index_select(0, users) @ self.item_embeddings.T

    def list_scores(self, users: UserIndices, items: RankedItems) -> ListScores:
        """score(u, i) of each item in each user's list; the place of a missing item, -1, has that of item 0."""
        lists = self.item_embeddings[items.clamp(min=0)]
        return (self.user_embeddings[users].unsqueeze(1) * lists).sum(2)


class Recommender(nn.Module, ABC):
    """A model over ``n_users`` x ``n_items``; the number of users and items never changes."""

    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        self.n_users, self.n_items = n_users, n_items

    @abstractmethod
    def forward(self, batch: Batch) -> LossTerms:
        """The loss of one training batch."""

    @abstractmethod
    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each user asked for; higher is better."""


class EmbeddingRecommender(Recommender):
    """A model whose score is the inner product of final embeddings, trained with BPR and L2 on the initial ones.

        score(u, i) = <E_final[u], E_final[i]>,   E_final = propagate(E(0)),   E(0) ~ N(0, 0.1²)

    A model of this family is one method: `propagate`.
    """

    def __init__(self, n_users: int, n_items: int, dim: int, seed: int) -> None:
        super().__init__(n_users, n_items)
        if dim < 1:
            raise ValueError(f"`dim` must be >= 1, got {dim}")
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(n_users + n_items, dim, generator=generator) * INITIAL_DEVIATION
        self.initial_embeddings = nn.Parameter(start)

    @abstractmethod
    def propagate(self, embeddings: Embeddings) -> Embeddings:
        """E_final from E(0): users followed by items."""

    def forward(self, batch: Batch) -> LossTerms:
        # One gather of all three roles: its backward is then one scatter, not three.
        nodes = torch.cat([batch.users, batch.positives + self.n_users, batch.negatives + self.n_users])
        final = self.propagate(self.initial_embeddings).index_select(0, nodes)
        users, positives, negatives = final.chunk(3)
        ranking = bpr((users * positives).sum(1), (users * negatives).sum(1))
        return LossTerms(ranking, l2_penalty(self.initial_embeddings.index_select(0, nodes), len(batch.users)))

    def embeddings(self) -> tuple[UserEmbeddings, ItemEmbeddings]:
        """Final embeddings of all users and of all items."""
        final = self.propagate(self.initial_embeddings)
        return final[: self.n_users], final[self.n_users :]

    @torch.no_grad()
    def scorer(self) -> EmbeddingScorer:
        """The final embeddings, computed once, as a scorer for many calls."""
        users, items = self.embeddings()
        # Where `propagate` is the identity, these are views of the parameter and would still ask for gradients.
        return EmbeddingScorer(users.detach(), items.detach())

    @torch.no_grad()
    def scores(self, users: UserIndices) -> Scores:
        return self.scorer().scores(users)

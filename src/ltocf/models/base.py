"""What every model is: batches to loss terms, users to scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import torch
from torch import nn

from ltocf.data.batches import Batch, Batches, PairwiseBatches, SharedNegativeBatches
from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import LOSSES, LossName, bpr, l2_penalty, sampled_softmax
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


class Objective(TypedDict, total=False):
    """What every model of embeddings lets choose about its loss; see `EmbeddingRecommender`."""

    loss: LossName
    temperature: float
    n_negatives: int


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
    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        """The sampler its loss asks for."""

    @abstractmethod
    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each user asked for; higher is better."""


class EmbeddingRecommender(Recommender):
    """A model whose score is the inner product of final embeddings.

        score(u, i) = <E_final[u], E_final[i]>,   E_final = propagate(E(0)),   E(0) ~ N(0, 0.1²)

    A model of this family is one method: `propagate`.

    Args:
        graph: the training graph; what a model needs of it beyond its size is up to the model.
        dim: length of an embedding.
        seed: of the initial embeddings.
        loss: ``bpr`` (one negative for each positive) or ``softmax`` (on cosines, negatives shared by the batch).
        temperature: of the softmax.
        n_negatives: items a batch shares for the softmax.

    Raises:
        ValueError: an unknown loss or a number out of range.
    """

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int,
        seed: int,
        *,
        loss: LossName = "bpr",
        temperature: float = 0.12,
        n_negatives: int = 1024,
    ) -> None:
        super().__init__(graph.n_users, graph.n_items)
        for name, value in (("dim", dim), ("n_negatives", n_negatives)):
            if value < 1:
                raise ValueError(f"`{name}` must be >= 1, got {value}")
        if loss not in LOSSES:
            raise ValueError(f"`loss` must be one of {', '.join(LOSSES)}, got {loss!r}")
        if not temperature > 0:
            raise ValueError(f"`temperature` must be > 0, got {temperature}")
        self.loss, self.temperature, self.n_negatives = loss, temperature, n_negatives
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(graph.n_nodes, dim, generator=generator) * INITIAL_DEVIATION
        self.initial_embeddings = nn.Parameter(start)

    @abstractmethod
    def propagate(self, embeddings: Embeddings) -> Embeddings:
        """E_final from E(0): users followed by items."""

    def forward(self, batch: Batch) -> LossTerms:
        # One gather of all three roles: its backward is then one scatter, not three.
        nodes = torch.cat([batch.users, batch.positives + self.n_users, batch.negatives + self.n_users])
        final = self.propagate(self.initial_embeddings).index_select(0, nodes)
        users, positives, negatives = torch.split(final, [len(part) for part in batch])
        if self.loss == "softmax":
            ranking = sampled_softmax(users, positives, negatives, self.temperature)
        else:
            ranking = bpr((users * positives).sum(1), (users * negatives).sum(1))
        return LossTerms(ranking, l2_penalty(self.initial_embeddings.index_select(0, nodes), len(batch.users)))

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        if self.loss == "softmax":
            return SharedNegativeBatches(train, batch_size, seed, self.n_negatives, device)
        return PairwiseBatches(train, batch_size, seed, device)

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

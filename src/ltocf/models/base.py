"""What every model is: batches to loss terms, users to scores."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol, TypedDict, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ltocf.data.batches import Batch, Batches, PairwiseBatches, SharedNegativeBatches
from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import LOSSES, LOWEST_TEMPERATURE, LossName, bpr, l2_penalty, sampled_softmax, user_temperatures
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

RankingName = Literal["inner_product", "cosine"]
RANKINGS: tuple[str, ...] = ("inner_product", "cosine")
INITIAL_DEVIATION = 0.1
LOSS_MEMORY = 0.1
"""Share of a new loss in the running mean of a user's."""


class Objective(TypedDict, total=False):
    """What every model of embeddings lets choose about its loss; see `EmbeddingRecommender`."""

    loss: LossName
    temperature: float
    adaptive_temperature: float
    n_negatives: int
    ranking: RankingName
    popularity: float


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
    scores_are_new: ClassVar[bool] = True

    def scores(self, users: UserIndices) -> Scores:
        """score(u, i) = <user_u, item_i>."""
        users = users.to(self.user_embeddings.device)
        # The longer side first is almost twice as fast.
        return (self.item_embeddings @ self.user_embeddings.index_select(0, users).T).T

    def list_scores(self, users: UserIndices, items: RankedItems) -> ListScores:
        """score(u, i) of each item in each user's list; the place of a missing item, -1, has that of item 0."""
        lists = self.item_embeddings[items.clamp(min=0)]
        return (self.user_embeddings[users].unsqueeze(1) * lists).sum(2)


@runtime_checkable
class ListScorer(Protocol):
    """What ranking and recommending need of a trained model: computed once, asked many times."""

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each user asked for; higher is better."""

    def list_scores(self, users: UserIndices, items: RankedItems) -> ListScores:
        """The scores of the items listed; the place of a missing item, -1, has that of item 0."""


class Recommender(nn.Module, ABC):
    """A model over ``n_users`` x ``n_items``; the number of users and items never changes."""

    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        self.n_users, self.n_items = n_users, n_items

    @abstractmethod
    def scorer(self) -> ListScorer:
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


class EmbeddingRecommender(GradientRecommender):
    """A model whose score is the inner product of final embeddings, or their cosine.

        score(u, i) = <E_final[u], E_final[i]> + β log deg(i)          or          cos(...) / τ + β log deg(i)
        E_final = propagate(E(0)),   E(0) ~ N(0, 0.1²)

    A model of this family is one method: `propagate`.

    Why β: against negatives drawn in proportion to their degree the softmax learns log(p(i | u) / deg(i)) + const.
    Ranking by p(i | u) adds log deg(i) back. The norms of the final embeddings hold a part of it too, with noise.

    Args:
        graph: the training graph; what a model needs of it beyond its size is up to the model.
        dim: length of an embedding.
        seed: of the initial embeddings.
        loss: ``bpr`` (one negative for each positive) or ``softmax`` (on cosines, negatives shared by the batch).
        temperature: τ of the softmax.
        adaptive_temperature: how far τ differs between users by their loss, see `user_temperatures`; 0: not at all.
        n_negatives: items a batch shares for the softmax.
        ranking: ``inner_product``, or ``cosine``, which leaves the norms out of the score.
        popularity: β, the weight of an item's popularity in the score; 1 in theory, a little less in practice.

    Raises:
        ValueError: an unknown loss or ranking, or a number out of range.

    Source of β: the correction of sampled softmax, Yi et al., RecSys 2019, section 4,
    https://doi.org/10.1145/3298689.3346996. Differs: added when ranking instead of subtracted in training, where it
    would ask cosines for differences in popularity that they are too small to hold.
    """

    log_degrees: Tensor
    user_losses: Tensor

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int,
        seed: int,
        *,
        loss: LossName = "bpr",
        temperature: float = 0.12,
        adaptive_temperature: float = 0.0,
        n_negatives: int = 1024,
        ranking: RankingName = "inner_product",
        popularity: float = 0.0,
    ) -> None:
        super().__init__(graph.n_users, graph.n_items)
        for name, value in (("dim", dim), ("n_negatives", n_negatives)):
            if value < 1:
                raise ValueError(f"`{name}` must be >= 1, got {value}")
        for name, choice, known in (("loss", loss, LOSSES), ("ranking", ranking, RANKINGS)):
            if choice not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {choice!r}")
        if not temperature >= LOWEST_TEMPERATURE:
            raise ValueError(
                f"`temperature` must be >= {LOWEST_TEMPERATURE}, or exponentials overflow, got {temperature}"
            )
        if not math.isfinite(popularity):
            raise ValueError(f"`popularity` must be finite, got {popularity}")
        self.loss, self.temperature, self.n_negatives = loss, temperature, n_negatives
        if not adaptive_temperature >= 0:
            raise ValueError(f"`adaptive_temperature` must be >= 0, got {adaptive_temperature}")
        self.ranking, self.popularity, self.adaptive_temperature = ranking, popularity, adaptive_temperature
        if adaptive_temperature:
            self.register_buffer("user_losses", torch.zeros(graph.n_users))
        # A new user or item has no degree; its popularity is that of one pair.
        self.register_buffer("log_degrees", graph.item_degrees.clamp(min=1).log(), persistent=False)
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
            ranking = self._softmax(batch.users, users, positives, negatives)
        else:
            ranking = bpr((users * positives).sum(1), (users * negatives).sum(1))
        return LossTerms(ranking, l2_penalty(self.initial_embeddings.index_select(0, nodes), len(batch.users)))

    def _softmax(self, indices: Tensor, users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        if not self.adaptive_temperature:
            return sampled_softmax(users, positives, negatives, self.temperature)[0]
        known = self.user_losses.index_select(0, indices)
        temperatures = user_temperatures(known, self.temperature, self.adaptive_temperature)
        mean, each = sampled_softmax(users, positives, negatives, temperatures)
        if self.training:
            self.user_losses.index_add_(0, indices, each - known, alpha=LOSS_MEMORY)
        return mean

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        if self.loss == "softmax":
            return SharedNegativeBatches(train, batch_size, seed, self.n_negatives, device)
        return PairwiseBatches(train, batch_size, seed, device)

    def embeddings(self) -> tuple[UserEmbeddings, ItemEmbeddings]:
        """What the score is the inner product of: final embeddings of all users and of all items.

        With the cosine they are normalised, those of the users divided by τ; with a popularity one column longer.
        """
        final = self.propagate(self.initial_embeddings)
        users, items = final[: self.n_users], final[self.n_users :]
        if self.ranking == "cosine":
            users, items = normalize(users) / self.temperature, normalize(items)
        if self.popularity:
            bias = self.popularity * self.log_degrees.to(items)
            users = torch.cat([users, torch.ones_like(users[:, :1])], dim=1)
            items = torch.cat([items, bias[:, None]], dim=1)
        return users, items

    @torch.no_grad()
    def scorer(self) -> EmbeddingScorer:
        """The final embeddings, computed once, as a scorer for many calls."""
        users, items = self.embeddings()
        # Where `propagate` is the identity, these are views of the parameter and would still ask for gradients.
        return EmbeddingScorer(users.detach(), items.detach())

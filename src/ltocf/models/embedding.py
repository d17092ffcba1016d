"""Models whose score is the inner product of final embeddings, or their cosine."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, TypedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import LOSSES, LOWEST_TEMPERATURE, LossName, bpr, l2_penalty, sampled_softmax, user_temperatures
from ltocf.models.base import GradientRecommender, LossTerms
from ltocf.models.user_map import Touch, UserMap
from ltocf.sampling import Batch, Batches, PairwiseBatches, SharedNegativeBatches
from ltocf.shapes import (
    BatchEmbeddings,
    Embeddings,
    FinalEmbeddings,
    ItemEmbeddings,
    NegativeEmbeddings,
    PerUser,
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
    robustness: float
    n_negatives: int
    ranking: RankingName
    popularity: float


@dataclass(frozen=True)
class EmbeddingScorer:
    """Fixed embeddings whose score is the inner product: what ranking needs of a trained model."""

    user_embeddings: UserEmbeddings
    item_embeddings: ItemEmbeddings
    scores_are_new: ClassVar[bool] = True

    @property
    def device(self) -> torch.device:
        """Where the embeddings are."""
        return self.item_embeddings.device

    def scores(self, users: UserIndices) -> Scores:
        """score(u, i) = <user_u, item_i>."""
        users = users.to(self.user_embeddings.device)
        # The longer side first is almost twice as fast.
        return (self.item_embeddings @ self.user_embeddings.index_select(0, users).T).T


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
        robustness: how much less the softmax counts pairs that are far from ranking high, in [0, 1); 0: not at all.
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
        robustness: float = 0.0,
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
        if not 0 <= robustness < 1:
            raise ValueError(f"`robustness` must be in [0, 1), got {robustness}")
        self.robustness = robustness
        self.ranking, self.popularity, self.adaptive_temperature = ranking, popularity, adaptive_temperature
        if adaptive_temperature:
            self.register_buffer("user_losses", torch.zeros(graph.n_users))
        # A new user or item has no degree; its popularity is that of one pair.
        self.register_buffer("log_degrees", graph.item_degrees.clamp(min=1).log(), persistent=False)
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(graph.n_nodes, dim, generator=generator) * INITIAL_DEVIATION
        self.initial_embeddings = nn.Parameter(start)

    @abstractmethod
    def propagate(self, embeddings: Embeddings) -> FinalEmbeddings:
        """E_final from E(0): users followed by items."""

    def forward(self, batch: Batch) -> LossTerms:
        # One gather of all three roles: its backward is then one scatter, not three.
        nodes = torch.cat([batch.users, batch.positives + self.n_users, batch.negatives + self.n_users])
        final = self.propagate(self.initial_embeddings).index_select(0, nodes)
        users, positives, negatives = torch.split(final, [len(part) for part in batch])
        ranking = self.ranking_loss(batch, users, positives, negatives)
        return LossTerms(ranking, l2_penalty(self.initial_embeddings.index_select(0, nodes), len(batch.users)))

    def ranking_loss(
        self, batch: Batch, users: BatchEmbeddings, positives: BatchEmbeddings, negatives: NegativeEmbeddings
    ) -> Scalar:
        """The loss of a batch, given the final embeddings of its users, positives and negatives."""
        if self.loss == "softmax":
            return self._softmax(batch.users, users, positives, negatives)
        return bpr((users * positives).sum(1), (users * negatives).sum(1))

    def _softmax(self, indices: Tensor, users: Tensor, positives: Tensor, negatives: Tensor) -> Scalar:
        if not self.adaptive_temperature:
            return sampled_softmax(users, positives, negatives, self.temperature, self.robustness)[0]
        known = self.user_losses.index_select(0, indices)
        temperatures = self._user_temperatures().index_select(0, indices)
        mean, each = sampled_softmax(users, positives, negatives, temperatures, self.robustness)
        if self.training:
            self.user_losses.index_add_(0, indices, each - known, alpha=LOSS_MEMORY)
        return mean

    def _user_temperatures(self) -> PerUser:
        return user_temperatures(self.user_losses, self.temperature, self.adaptive_temperature)

    def freeze(self) -> bool:
        # Adaptive temperatures are computed on the CPU.
        return not self.adaptive_temperature

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
            temperature = self._user_temperatures()[:, None] if self.adaptive_temperature else self.temperature
            users, items = normalize(users) / temperature, normalize(items)
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

    @torch.no_grad()
    def item_vectors(self) -> ItemEmbeddings:
        """Final embeddings of the items, without their popularity: what similar items are near in."""
        return self.propagate(self.initial_embeddings)[self.n_users :].detach()

    @torch.no_grad()
    def _map(
        self,
        own: UserEmbeddings,
        touch: Touch | None = None,
        graph: BipartiteGraph | None = None,
        *,
        self_loops: bool = False,
    ) -> UserMap:
        """The `UserMap` of user vectors that are ``own`` and, over ``graph``, what ``touch`` adds."""
        items, cosine = self.item_vectors(), self.ranking == "cosine"
        return UserMap(
            items.new_zeros(0, *items.shape) if touch is None else touch,
            own.detach(),
            normalize(items) if cosine else items,
            items.new_ones(len(items)) if graph is None else graph.item_degrees.to(items),
            self.popularity * self.log_degrees.to(items) if self.popularity else None,
            self.temperature if cosine else None,
            self._user_temperatures().to(items) if cosine and self.adaptive_temperature else None,
            self_loops,
        )

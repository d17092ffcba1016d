"""HOP-Rec: matrix factorisation whose positives are found by random walks and count less the farther they are."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch.nn.functional import logsigmoid

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.user_map import UserMap
from ltocf.sampling import Batch, Batches
from ltocf.sampling.walks import WalkBatches
from ltocf.shapes import BatchEmbeddings, Embeddings, NegativeEmbeddings, Scalar


class HOPRec(EmbeddingRecommender):
    """High-order proximity for implicit recommendation.

        loss = Σ_k (1 / k) E[ 1{lead_k <= margin / k} · -log σ(lead_k) ],   lead_k = <e_u, e_i_k> - <e_u, e_i'>

    i_k is the k-th item on a random walk u, i_1, u_1, i_2, ... from the user, i' any item. 1{} leaves out
    pairs that are already ranked right by the margin.

    Args:
        graph: the training graph; only its numbers of users and items are used.
        dim: length of an embedding.
        n_orders: K, the number of items on a walk, >= 1; with 1 only the user's own items are positives.
        margin: >= 0.
        seed: seed of the initial embeddings.

    Raises:
        ValueError: a number out of range.

    Source: Yang et al., RecSys 2018, Eqs. 3-6, https://doi.org/10.1145/3240323.3240381. Differs: the paper writes
    log σ of the negative difference, whose gradient grows as the ranking gets better; this is its usual form. The paper
    prints the indicator for a negative item that leads by more than the margin, which would learn from nothing else;
    here a pair counts until its positive leads by the margin, as its text and the program say,
    https://github.com/cnclabs/smore, from which the initial values are too: uniform in ±0.5 / dim. That program takes
    the mean of five negatives for each positive, and decays users ten times as much as items. NGCF's comparison, the
    source of the published row, states one difference: the initial values.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> [tuple(e.shape) for e in HOPRec(graph, dim=8).embeddings()]
        [(2, 8), (2, 8)]
    """

    uses_weights: ClassVar[bool] = False
    columns_apart = True

    def __init__(
        self, graph: BipartiteGraph, dim: int = 64, n_orders: int = 3, margin: float = 1.0, *, seed: int = 0
    ) -> None:
        super().__init__(graph, dim, seed, _small_uniform)
        if n_orders < 1:
            raise ValueError(f"`n_orders` must be >= 1, got {n_orders}")
        if not 0 <= margin < math.inf:
            raise ValueError(f"`margin` must be finite and >= 0, got {margin}")
        self.n_orders, self.margin = n_orders, margin

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        return embeddings

    def ranking_loss(
        self, batch: Batch, users: BatchEmbeddings, positives: NegativeEmbeddings, negatives: NegativeEmbeddings
    ) -> Scalar:
        n_orders = len(positives) // len(users)
        orders = torch.arange(1, n_orders + 1, device=users.device)
        leads = (users.repeat_interleave(n_orders, dim=0) * (positives - negatives)).sum(1)
        leads = self.ranks.total(leads).view(-1, n_orders)
        within_reach = leads.detach() <= self.margin / orders
        return (within_reach * -logsigmoid(leads) / orders).sum(1).mean()

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        return WalkBatches(train, batch_size, seed, self.n_orders, device)

    def user_map(self) -> UserMap:
        """Users' own embeddings alone: nothing depends on the history, so a new user cannot be given a vector."""
        return self._build_user_map(self.initial_embeddings[: self.n_users])


def _small_uniform(graph: BipartiteGraph, dim: int, generator: torch.Generator) -> Embeddings:
    return (torch.rand(graph.n_nodes, dim, generator=generator) - 0.5) / dim

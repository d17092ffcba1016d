"""GRMF: matrix factorisation whose embeddings vary smoothly over the interaction graph."""

from __future__ import annotations

import math
from typing import ClassVar, Unpack

import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.objective import ObjectiveOptions
from ltocf.models.user_map import UserMap
from ltocf.sampling import Batch
from ltocf.shapes import BatchEmbeddings, Embeddings, NegativeEmbeddings, Scalar


class GRMF(EmbeddingRecommender):
    """Graph-regularised matrix factorisation.

        score(u, i) = <e_u, e_i>,   loss = BPR + smoothness · mean over the batch's pairs (u, i) of ||e_u - e_i||²

    The sum over all pairs is the Dirichlet energy tr(Eᵀ L E) of the graph Laplacian L = D - A. A batch of the softmax,
    whose pairs are drawn uniformly, estimates its mean. A batch of BPR draws users uniformly and then one of their
    items: it estimates the mean over users of the mean over their items, in which a pair weighs 1 / deg(u).

    Args:
        graph: the training graph; only its numbers of users and items and its degrees are used.
        dim: length of an embedding.
        smoothness: weight of the graph term, >= 0; with 0 it is MF.
        seed: seed of the initial embeddings.
        objective: loss and ranking, see `EmbeddingRecommender`.

    Raises:
        ValueError: a negative ``smoothness``, an unknown loss or a number out of range.

    Source: Rao et al., NIPS 2015, Eq. 2,
    https://papers.nips.cc/paper/2015/hash/f4573fc71c731d5c362f0d7860945b88-Abstract.html, in the form that LightGCN's
    comparison gives it (section 4.1.2, https://doi.org/10.1145/3397271.3401063). Differs: BPR instead of squared
    errors of ratings, and Adam instead of alternating least squares, as in that comparison, whose sampler is BPR's too.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> model = GRMF(graph, dim=8, smoothness=0.5)
        >>> users, items = model.embeddings()
        >>> batch = Batch(torch.tensor([0]), torch.tensor([0]), torch.tensor([1]))
        >>> (model.energy(batch) - (users[0] - items[0]).square().sum()).abs().item() < 1e-6
        True
    """

    normalised: ClassVar[bool] = False
    columns_apart = True
    scales: Tensor

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 64,
        smoothness: float = 0.01,
        *,
        seed: int = 0,
        **objective: Unpack[ObjectiveOptions],
    ) -> None:
        super().__init__(graph, dim, seed, **objective)
        if not 0 <= smoothness < math.inf:
            raise ValueError(f"`smoothness` must be finite and >= 0, got {smoothness}")
        self.smoothness = smoothness
        degrees = torch.cat([graph.user_degrees, graph.item_degrees]).clamp(min=1)
        scales = degrees.rsqrt() if self.normalised else torch.ones_like(degrees, dtype=torch.float32)
        self.register_buffer("scales", scales[:, None], persistent=False)

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        return embeddings

    def ranking_loss(
        self, batch: Batch, users: BatchEmbeddings, positives: BatchEmbeddings, negatives: NegativeEmbeddings
    ) -> Scalar:
        ranking = super().ranking_loss(batch, users, positives, negatives)
        return ranking + self.smoothness * self.energy(batch) if self.smoothness else ranking

    def energy(self, batch: Batch) -> Tensor:
        """The mean over the pairs of a batch of the squared distance of user and item, each scaled."""
        users, items = (
            self.ranks.take(self.initial_embeddings, nodes) * self.scales.index_select(0, nodes)
            for nodes in (batch.users, batch.positives + self.n_users)
        )
        return self.ranks.total((users - items).square().sum(1).mean())

    def user_map(self) -> UserMap:
        """Users' own embeddings alone: nothing depends on the history, so a new user cannot be given a vector."""
        return self._build_user_map(self.initial_embeddings[: self.n_users])


class GRMFNorm(GRMF):
    """Graph-regularised matrix factorisation with the normalised Laplacian.

        loss = BPR + smoothness · mean over the batch's pairs (u, i) of ||e_u / √deg(u) - e_i / √deg(i)||²

    Nodes with many neighbours are not pulled to all of them with full force. Arguments and errors are those of `GRMF`.

    Source: He et al., SIGIR 2020, section 4.1.2, https://doi.org/10.1145/3397271.3401063

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0], [0, 1]))
        >>> GRMFNorm(graph, dim=2).scales.squeeze(1).tolist()
        [0.7071067690849304, 1.0, 1.0]
    """

    normalised: ClassVar[bool] = True

"""GC-MC: a graph auto-encoder with one convolution and a bilinear decoder."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch.nn.functional import dropout

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.ngcf import xavier
from ltocf.models.objective import ObjectiveOptions
from ltocf.shapes import Embeddings


class GCMC(EmbeddingRecommender):
    """Graph convolutional matrix completion.

        H = ReLU(Â E(0)),   Z = H W,   score(u, i) = Z[u] Q Z[i]ᵀ

    E(0) is the weight of the convolution, for the features of a node are its own index.

    Args:
        graph: the training graph.
        dim: length of the embeddings and of the hidden layer.
        dropout: share of the nodes whose messages a training step drops.
        seed: of the initial embeddings and weights.
        objective: loss and ranking, see `EmbeddingRecommender`.

    Raises:
        ValueError: an unknown loss or a number out of range.

    Source: van den Berg, Kipf, Welling, 2017, Eqs. 2-5 and section 2.6, https://arxiv.org/abs/1706.02263. Differs: with
    one kind of interaction there is no softmax over ratings to learn from, so the loss is BPR, as in NGCF's and
    LT-OCF's comparisons, and the decoder has one Q. The dense layer has no activation, as in the authors' program,
    https://github.com/riannevdberg/gc-mc; Eq. 3 writes one.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> [tuple(e.shape) for e in GCMC(graph, dim=8).embeddings()]
        [(2, 8), (2, 8)]
    """

    starts: ClassVar[tuple[str, ...]] = ("random", "mf")

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 64,
        dropout: float = 0.1,
        *,
        seed: int = 0,
        **objective: Unpack[ObjectiveOptions],
    ) -> None:
        super().__init__(graph, dim, seed, **objective)
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), got {dropout}")
        self.graph, self.dropout = graph, dropout
        generator = torch.Generator().manual_seed(seed + 1)
        self.dense, self.decoder = xavier(dim, dim, generator), xavier(dim, dim, generator)

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        if self.training and self.dropout:
            embeddings = embeddings * dropout(torch.ones_like(embeddings[:, :1]), self.dropout)
        encoded = torch.relu(self.graph(embeddings)) @ self.dense
        return torch.cat([encoded[: self.n_users] @ self.decoder, encoded[self.n_users :]])

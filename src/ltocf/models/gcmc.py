"""GC-MC: a graph auto-encoder with one convolution and a bilinear decoder."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import nn
from torch.nn.functional import dropout, leaky_relu

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.initial import xavier, xavier_by_side, xavier_of_nodes
from ltocf.models.neighbour_means import NeighbourMeans
from ltocf.models.objective import ObjectiveOptions
from ltocf.models.variants import Variant, check_variant
from ltocf.shapes import Embeddings

SLOPE = 0.2


class GCMC(EmbeddingRecommender):
    """Graph convolutional matrix completion.

        H = ReLU(Â E(0)),   Z = H W,   score(u, i) = Z[u] Q Z[i]ᵀ

    E(0) is the weight of the convolution, since the features of a node are the one-hot vector of its index.

    The variant of the published row is the one in the program of NGCF's comparison, with an inner product:

        H = LeakyReLU(D^-1 A E(0) V + a),   Z = H W + b,   score(u, i) = <Z[u], Z[i]>

    Its dropout is of the entries of Z, and its L2 penalty is on the batch's rows of Z. The published row has
    ``init = "mf"``, ``distinct_users``, and a batch of 1,024.

    Args:
        graph: the training graph.
        dim: length of the embeddings and of the hidden layer.
        dropout: share of the nodes whose messages a training step drops; in the published variant, of the entries of Z.
        variant: ``source``, or ``published``, the variant of the published row.
        seed: seed of the initial embeddings and weights.
        objective: loss and ranking, see `EmbeddingRecommender`.

    Raises:
        ValueError: an unknown loss or variant, or a number out of range.

    Source: van den Berg, Kipf, Welling, 2017, Eqs. 2-5 and section 2.6, https://arxiv.org/abs/1706.02263; the start,
    Xavier over all nodes and an orthogonal Q times 1.1, from the authors' program, https://github.com/riannevdberg/gc-mc.
    Differs: the loss is BPR, as in NGCF's and LT-OCF's comparisons; no dropout of the hidden layer. That of the source
    is the cross-entropy of a softmax over ratings: with two of them, touched or not, it is ``loss = "cross-entropy"``,
    and Q is the difference of their decoders. The dense layer has no activation, as in that program; Eq. 3 has one.
    Source of the published variant: Wang et al., SIGIR 2019, section 4.2.2,
    https://github.com/xiangwang1223/neural_graph_collaborative_filtering.

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
        variant: Variant = "source",
        *,
        seed: int = 0,
        **objective: Unpack[ObjectiveOptions],
    ) -> None:
        as_published = variant == "published"
        super().__init__(graph, dim, seed, xavier_by_side if as_published else xavier_of_nodes, **objective)
        check_variant(variant)
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), got {dropout}")
        self.dropout, self.as_published, self.l2_of_final = dropout, as_published, as_published
        generator = torch.Generator().manual_seed(seed + 1)
        self.dense = xavier(dim, dim, generator)
        if as_published:
            self.graph: nn.Module = NeighbourMeans(graph)
            self.convolution = xavier(dim, dim, generator)
            self.bias, self.dense_bias = (xavier(1, dim, generator) for _ in range(2))
        else:
            self.graph = graph
            self.decoder = nn.Parameter(nn.init.orthogonal_(torch.empty(dim, dim), 1.1, generator))

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        if self.as_published:
            hidden = leaky_relu(torch.addmm(self.bias, self.graph(embeddings), self.convolution), SLOPE)
            return dropout(torch.addmm(self.dense_bias, hidden, self.dense), self.dropout, self.training)
        if self.training and self.dropout:
            embeddings = embeddings * dropout(torch.ones_like(embeddings[:, :1]), self.dropout)
        encoded = torch.relu(self.graph(embeddings)) @ self.dense
        return torch.cat([encoded[: self.n_users] @ self.decoder, encoded[self.n_users :]])

"""NGCF: graph convolutions with products of neighbours, weights and activations."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import nn
from torch.nn.functional import dropout, leaky_relu, normalize

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.initial import xavier, xavier_by_side
from ltocf.models.neighbour_means import NeighbourMeans
from ltocf.models.objective import ObjectiveOptions
from ltocf.models.variants import Variant, check_variant
from ltocf.shapes import Embeddings, FinalEmbeddings

SLOPE = 0.2


class NGCF(EmbeddingRecommender):
    """Neural graph collaborative filtering.

        E(k+1) = LeakyReLU((Â + I) E(k) W_1 + (Â E(k) ⊙ E(k)) W_2 + b)
        E_final = [E(0), E(1) / ||E(1)||, ..., E(n_layers) / ||E(n_layers)||],   norms of rows

    The variant of the published row is that of the authors' program, whose self-loops are in both terms:

        E(k+1) = LeakyReLU(S E(k) W_1 + b_1 + (S E(k) ⊙ E(k)) W_2 + b_2),   S = (D + I)^-1 (A + I)

    Its biases start by Xavier too, and its L2 penalty is on E_final of the batch. The published row has
    ``init = "mf"``, ``distinct_users``, a batch of 1,024, rate 0.0001, L2 0.00001 and up to 400 epochs.

    Args:
        graph: the training graph.
        dim: length of an embedding of one layer; the final ones have (n_layers + 1) dim numbers.
        n_layers: rounds of propagation, >= 0; with 0 it is MF.
        message_dropout: share of each layer's outputs that a training step drops.
        node_dropout: share of the nodes whose messages a training step drops.
        variant: ``source``, or ``published``, the variant of the published row.
        seed: seed of the initial embeddings and weights.
        objective: loss and ranking, see `EmbeddingRecommender`.

    Raises:
        ValueError: an unknown loss or variant, or a number out of range.

    Source: Wang et al., SIGIR 2019, Eqs. 3-9 and section 3.3, https://doi.org/10.1145/3331184.3331267; the
    normalisation, the slope 0.2, the initial values, Xavier by side, and the published variant from its program,
    https://github.com/xiangwang1223/neural_graph_collaborative_filtering. Differs: nodes are dropped as the paper says,
    where its program drops edges; no penalty on the weights, as in its program; one activation of the sum, as in Eq. 7,
    where some revisions of the program activate each term.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> users, items = NGCF(graph, dim=8, n_layers=2).embeddings()
        >>> users.shape, round(users[0, 8:16].norm().item(), 4)
        (torch.Size([2, 24]), 1.0)
    """

    starts: ClassVar[tuple[str, ...]] = ("random", "mf")

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 64,
        n_layers: int = 3,
        message_dropout: float = 0.1,
        node_dropout: float = 0.0,
        variant: Variant = "source",
        *,
        seed: int = 0,
        **objective: Unpack[ObjectiveOptions],
    ) -> None:
        super().__init__(graph, dim, seed, xavier_by_side, **objective)
        check_variant(variant)
        if n_layers < 0:
            raise ValueError(f"`n_layers` must be >= 0, got {n_layers}")
        for name, share in (("message_dropout", message_dropout), ("node_dropout", node_dropout)):
            if not 0 <= share < 1:
                raise ValueError(f"`{name}` must be in [0, 1), got {share}")
        self.n_layers, self.message_dropout, self.node_dropout = n_layers, message_dropout, node_dropout
        self.graph = graph if variant == "source" else NeighbourMeans(graph, self_loops=True)
        self.as_published = self.l2_of_final = variant == "published"
        generator = torch.Generator().manual_seed(seed + 1)
        self.own, self.shared = (
            nn.ParameterList(xavier(dim, dim, generator) for _ in range(n_layers)) for _ in range(2)
        )
        self.biases, self.shared_biases = nn.ParameterList(), nn.ParameterList()
        for _ in range(n_layers):
            self.biases.append(xavier(1, dim, generator) if self.as_published else torch.zeros(dim))
            if self.as_published:
                self.shared_biases.append(xavier(1, dim, generator))

    def propagate(self, embeddings: Embeddings) -> FinalEmbeddings:
        state, layers = embeddings, [embeddings]
        for place, (own, shared, bias) in enumerate(zip(self.own, self.shared, self.biases, strict=True)):
            neighbours = self.graph(self._without_some_nodes(state))
            summed = neighbours if self.as_published else neighbours + state
            if self.as_published:
                bias = bias + self.shared_biases[place]
            state = leaky_relu(torch.addmm(bias, summed, own) + (neighbours * state) @ shared, SLOPE)
            state = dropout(state, self.message_dropout, self.training)
            layers.append(normalize(state))
        return torch.cat(layers, dim=1)

    def _without_some_nodes(self, state: Embeddings) -> Embeddings:
        """Every node sends all of its message, scaled up, or nothing."""
        if not (self.training and self.node_dropout):
            return state
        return state * dropout(torch.ones_like(state[:, :1]), self.node_dropout)

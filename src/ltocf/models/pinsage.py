"""PinSage: convolutions over the neighbours that random walks visit most."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, leaky_relu, linear, normalize

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.initial import xavier, xavier_by_side
from ltocf.models.neighbour_means import NeighbourMeans
from ltocf.models.similarity import check_indices
from ltocf.models.variants import Variant, check_variant
from ltocf.sampling import Batch
from ltocf.shapes import BatchEmbeddings, Embeddings, NegativeEmbeddings, Scalar

VISITS_AT_A_TIME = 1 << 24
N_CONVOLUTIONS = 2
SLOPE = 0.2


class PinSage(EmbeddingRecommender):
    """PinSage: importance pooling over neighbourhoods found by random walks, two convolutions.

        n_v = Σ_w α_vw ReLU(h_w Q + q),   h'_v = z / ||z||,   z = ReLU([h_v, n_v] W + b),   twice
        E_final = ReLU(h G_1 + g) G_2,   loss = max(0, <u, i⁻> - <u, i⁺> + margin)

    The sum is over the ``n_neighbours`` nodes that ``n_walks`` short walks from v visit most, α_vw the share of w in
    their visits.

    The variant of the published row is that of NGCF's comparison: GraphSAGE on the graph of users and items, without
    walks, trained by BPR, with an L2 penalty on E_final of the batch:

        E(k+1) = LeakyReLU([E(k), D^-1 A E(k)] W_k + b_k),   E_final = E(2)

    The published row has ``init = "mf"``, ``distinct_users``, and a batch of 1,024.

    Args:
        graph: the training graph.
        dim: length of an embedding and of all hidden layers.
        n_neighbours: maximum number of nodes in a neighbourhood, >= 1.
        n_walks: walks from each node, >= 1.
        walk_length: steps of a walk, >= 1; from 2 on there are nodes of the same kind among those visited.
        margin: margin of the loss, >= 0.
        variant: ``source``, or ``published``, the variant of the published row.
        distinct_users: whether a batch has no user twice, see `PairwiseBatches`.
        seed: seed of the walks, the initial embeddings and the weights.

    Raises:
        ValueError: an unknown variant, or a number out of range.

    Source: Ying et al., KDD 2018, section 3 and algorithm 1, https://doi.org/10.1145/3219819.3219890. Differs: the
    input of a node is a learned embedding, as in NGCF's and LT-OCF's comparisons, not its picture and text; walks have
    a length instead of a restart probability; negatives are uniform, with no hard ones. The paper does not state the
    initial values; they are Xavier, as in NGCF's comparison. Source of the published variant: Wang et al., SIGIR 2019,
    section 4.2.2, https://doi.org/10.1145/3331184.3331267, which has no program of it; the activation is that of the
    program's other models, and the mean that of Hamilton et al., NeurIPS 2017, https://arxiv.org/abs/1706.02216.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> [tuple(e.shape) for e in PinSage(graph, dim=8).embeddings()]
        [(2, 8), (2, 8)]
    """

    neighbours: Tensor
    importance: Tensor

    starts: ClassVar[tuple[str, ...]] = ("random", "mf")

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 64,
        n_neighbours: int = 20,
        n_walks: int = 100,
        walk_length: int = 3,
        margin: float = 0.1,
        variant: Variant = "source",
        distinct_users: bool = False,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(graph, dim, seed, xavier_by_side, distinct_users=distinct_users)
        check_variant(variant)
        numbers = (("n_neighbours", n_neighbours), ("n_walks", n_walks), ("walk_length", walk_length))
        for name, value in numbers:
            if value < 1:
                raise ValueError(f"`{name}` must be >= 1, got {value}")
        if not 0 <= margin < math.inf:
            raise ValueError(f"`margin` must be finite and >= 0, got {margin}")
        self.margin, self.as_published, self.l2_of_final = margin, variant == "published", variant == "published"
        generator = torch.Generator().manual_seed(seed + 1)
        if self.as_published:
            self.means = NeighbourMeans(graph)
            self._add_layers(dim, generator)
            return
        neighbours, importance = important_neighbours(graph, n_neighbours, n_walks, walk_length, seed)
        # Saved with the model: walks of another seed would be another model.
        self.register_buffer("neighbours", neighbours)
        self.register_buffer("importance", importance)
        self.messages = nn.ParameterList(xavier(dim, dim, generator) for _ in range(N_CONVOLUTIONS))
        self.updates = nn.ParameterList(xavier(2 * dim, dim, generator) for _ in range(N_CONVOLUTIONS))
        self.dense = nn.ParameterList(xavier(dim, dim, generator) for _ in range(2))
        # Positive, or with small weights a ReLU may be closed for every node at once.
        self.message_biases, self.update_biases = (
            nn.ParameterList(torch.full((dim,), 0.1) for _ in range(N_CONVOLUTIONS)) for _ in range(2)
        )
        self.dense_bias = nn.Parameter(torch.full((dim,), 0.1))

    def check_weights(self) -> None:
        super().check_weights()
        if not self.as_published:
            check_indices("neighbours", self.neighbours, self.n_users + self.n_items)

    def _add_layers(self, dim: int, generator: torch.Generator) -> None:
        """The weights of the published variant."""
        self.updates = nn.ParameterList(xavier(2 * dim, dim, generator) for _ in range(N_CONVOLUTIONS))
        self.update_biases = nn.ParameterList(xavier(1, dim, generator) for _ in range(N_CONVOLUTIONS))

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        state = embeddings
        if self.as_published:
            for weights, bias in zip(self.updates, self.update_biases, strict=True):
                state = leaky_relu(torch.addmm(bias, torch.cat([state, self.means(state)], dim=1), weights), SLOPE)
            return state
        for layer in range(N_CONVOLUTIONS):
            messages = torch.relu(linear(state, self.messages[layer].T, self.message_biases[layer]))
            pooled = embedding_bag(self.neighbours, messages, mode="sum", per_sample_weights=self.importance)
            joined = torch.cat([state, pooled], dim=1)
            state = normalize(torch.relu(linear(joined, self.updates[layer].T, self.update_biases[layer])))
        return linear(torch.relu(linear(state, self.dense[0].T, self.dense_bias)), self.dense[1].T)

    def ranking_loss(
        self, batch: Batch, users: BatchEmbeddings, positives: BatchEmbeddings, negatives: NegativeEmbeddings
    ) -> Scalar:
        if self.as_published:
            return super().ranking_loss(batch, users, positives, negatives)
        return torch.relu((users * (negatives - positives)).sum(1) + self.margin).mean()


def important_neighbours(
    graph: BipartiteGraph, n_neighbours: int, n_walks: int, walk_length: int, seed: int
) -> tuple[Tensor, Tensor]:
    """The nodes that walks from each node visit most, and their shares of the visits, (nodes, n_neighbours).

    A node with fewer neighbours fills its remaining places with its own index and a share of 0.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0]))
        >>> [found.tolist() for found in important_neighbours(graph, 2, 10, 1, seed=0)]
        [[[1, 0], [0, 1]], [[1.0, 0.0], [1.0, 0.0]]]
    """
    offsets, targets = _adjacency(graph)
    degrees, n_nodes = np.diff(offsets), graph.n_nodes
    generator = np.random.default_rng(seed)
    # Allocated by PyTorch, where the reader of an untrusted model file counts the bytes.
    neighbours = torch.arange(n_nodes)[:, None] + torch.zeros(n_nodes, n_neighbours, dtype=torch.int64)
    importance = torch.zeros(n_nodes, n_neighbours)
    starts = np.flatnonzero(degrees)
    visits, keys = _Visits(), []
    for _ in range(n_walks):
        nodes = starts
        for _ in range(walk_length):
            nodes = targets[offsets[nodes] + generator.integers(degrees[nodes])]
            keys.append(starts * n_nodes + nodes)
        if len(keys) * len(starts) > VISITS_AT_A_TIME:
            visits.add(keys)
    visits.add(keys)
    visited, counts = visits.keys, visits.counts
    origins, nodes = np.divmod(visited, n_nodes)
    elsewhere = origins != nodes
    origins, nodes, counts = origins[elsewhere], nodes[elsewhere], counts[elsewhere]
    order = np.lexsort((nodes, -counts, origins))
    origins, nodes, counts = origins[order], nodes[order], counts[order]
    places = np.arange(len(origins)) - np.searchsorted(origins, origins)
    kept = places < n_neighbours
    neighbours.numpy()[origins[kept], places[kept]] = nodes[kept]
    importance.numpy()[origins[kept], places[kept]] = counts[kept]
    importance /= importance.sum(1, keepdim=True).clamp(min=1)
    return neighbours, importance


class _Visits:
    """Counts of visits, merged from time to time: memory grows with the nodes visited, not with the walks."""

    def __init__(self) -> None:
        self.keys, self.counts = np.empty(0, np.int64), np.empty(0, np.int64)

    def add(self, keys: list[np.ndarray]) -> None:
        """Count the visits in ``keys``, and empty the list."""
        new, counts = np.unique(np.concatenate([*keys, self.keys]), return_counts=True)
        before = np.searchsorted(new, self.keys)
        counts[before] += self.counts - 1
        self.keys, self.counts = new, counts
        keys.clear()


def _adjacency(graph: BipartiteGraph) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and neighbours of all nodes in compressed rows, users followed by items."""
    n_pairs = len(graph.user_indices)
    offsets = np.concatenate([graph.user_offsets[:-1].cpu().numpy(), graph.item_offsets.cpu().numpy() + n_pairs])
    targets = np.concatenate([graph.user_indices.cpu().numpy() + graph.n_users, graph.item_indices.cpu().numpy()])
    return offsets.astype(np.int64), targets.astype(np.int64)

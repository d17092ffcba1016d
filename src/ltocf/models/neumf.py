"""NeuMF: a generalised inner product and a multi-layer perceptron, added up."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import LossTerms, binary_cross_entropy, l2_penalty
from ltocf.models.base import GradientRecommender
from ltocf.models.ngcf import xavier
from ltocf.sampling import Batch, Batches, PointwiseBatches
from ltocf.shapes import Scores, UserIndices

INITIAL_DEVIATION = 0.1


class NeuMF(GradientRecommender):
    """Neural matrix factorisation.

        score(u, i) = <h_1, p_u ⊙ q_i> + <h_2, φ_n(...φ_1([p'_u, q'_i]))>,   φ_k(x) = ReLU(W_k x + b_k)

    the first term being the GMF tower, the second the MLP tower with embeddings of its own. Layer k halves the width:
    2 dim, dim, dim / 2, ... It is trained with binary cross-entropy against ``n_negatives`` items for each pair.

    Args:
        graph: of which only the numbers of users and items are used.
        dim: length of an embedding in each tower; a multiple of 2^(n_layers - 1).
        n_layers: layers of the MLP, >= 1.
        n_negatives: sampled items for each pair.
        seed: of the initial embeddings and weights.

    Raises:
        ValueError: a number out of range.

    Source: He et al., WWW 2017, sections 3.2-3.4, https://doi.org/10.1145/3038912.3052569. Differs: the towers are
    trained together from a random start, without the paper's pre-training of each.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> NeuMF(graph, dim=8).scores(torch.tensor([0])).shape
        torch.Size([1, 2])
    """

    def __init__(
        self, graph: BipartiteGraph, dim: int = 64, n_layers: int = 3, n_negatives: int = 4, *, seed: int = 0
    ) -> None:
        super().__init__(graph.n_users, graph.n_items)
        for name, value in (("n_layers", n_layers), ("n_negatives", n_negatives)):
            if value < 1:
                raise ValueError(f"`{name}` must be >= 1, got {value}")
        if dim < 1 or dim % 2 ** (n_layers - 1):
            raise ValueError(f"`dim` must be a multiple of {2 ** (n_layers - 1)} for {n_layers} layers, got {dim}")
        self.n_negatives = n_negatives
        generator = torch.Generator().manual_seed(seed)
        self.gmf_embeddings, self.mlp_embeddings = (
            nn.Parameter(torch.randn(graph.n_nodes, dim, generator=generator) * INITIAL_DEVIATION) for _ in range(2)
        )
        widths = [2 * dim // 2**layer for layer in range(n_layers + 1)]
        self.layers = nn.ParameterList(xavier(before, after, generator) for before, after in pairwise(widths))
        self.biases = nn.ParameterList(torch.zeros(width) for width in widths[1:])
        self.gmf_weights, self.mlp_weights = (xavier(width, 1, generator) for width in (dim, widths[-1]))

    def forward(self, batch: Batch) -> LossTerms:
        users = torch.cat([batch.users, batch.users.repeat_interleave(self.n_negatives)])
        items = torch.cat([batch.positives, batch.negatives]) + self.n_users
        rows = [part.index_select(0, nodes) for part in self._tables() for nodes in (users, items)]
        gmf_users, gmf_items, mlp_users, mlp_items = rows
        first = self._first_layer(mlp_users, "users") + self._first_layer(mlp_items, "items")
        scores = (gmf_users * gmf_items) @ self.gmf_weights[:, 0] + self._later_layers(first)
        positives, negatives = torch.split(scores, [len(batch.positives), len(batch.negatives)])
        l2 = torch.stack([l2_penalty(part, len(users)) for part in rows]).sum()
        return LossTerms(binary_cross_entropy(positives, negatives), l2)

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        return PointwiseBatches(train, batch_size, seed, self.n_negatives, device)

    def scorer(self) -> NeuMF:
        """The model itself."""
        return self

    @torch.no_grad()
    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each user asked for."""
        gmf, mlp = self._tables()
        users = users.to(gmf.device)
        scores = (gmf[users] * self.gmf_weights[:, 0]) @ gmf[self.n_users :].T
        of_users = self._first_layer(mlp[users], "users")
        of_items = self._first_layer(mlp[self.n_users :], "items")
        for row, of_user in zip(scores, of_users, strict=True):
            row += self._later_layers(of_items + of_user)
        return scores

    def _tables(self) -> tuple[Tensor, Tensor]:
        return self.gmf_embeddings, self.mlp_embeddings

    def _first_layer(self, rows: Tensor, side: str) -> Tensor:
        """The share of users or of items in the first layer, which is linear before its activation."""
        weights, half = self.layers[0], len(self.layers[0]) // 2
        product: Tensor = rows @ (weights[:half] if side == "users" else weights[half:])
        return product

    def _later_layers(self, hidden: Tensor) -> Tensor:
        """From the first layer before its activation to the MLP's share of the score."""
        hidden = torch.relu(hidden + self.biases[0])
        for index in range(1, len(self.layers)):
            hidden = torch.relu(torch.addmm(self.biases[index], hidden, self.layers[index]))
        scores: Tensor = linear(hidden, self.mlp_weights.T)
        return scores[:, 0]

"""LightGCN: the mean of a few rounds of neighbourhood averaging."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import torch
from numpy.polynomial.chebyshev import poly2cheb
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.objective import ObjectiveOptions
from ltocf.models.user_map import UserMap
from ltocf.ode.filter import chebyshev_filter
from ltocf.shapes import Eigenvalues, Embeddings, Response


class LightGCN(EmbeddingRecommender):
    """Light graph convolution network.

        E_final = (1 / (n_layers + 1)) Σ_k Â^k E(0),   k = 0..n_layers

    Args:
        graph: the training graph.
        dim: length of an embedding.
        n_layers: rounds of propagation, >= 0; with 0 it is MF.
        seed: seed of the initial embeddings.
        objective: loss and ranking, see `EmbeddingRecommender`.

    Raises:
        ValueError: an unknown loss or a number out of range.

    Source: He et al., SIGIR 2020, Eqs. 3-8, https://doi.org/10.1145/3397271.3401063. Differs: the layer weights are
    fixed at 1/(n_layers + 1), as in its experiments. The sum is computed as a Chebyshev series, see `chebyshev_filter`:
    as many sparse products, and nothing is kept of the layers.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> model = LightGCN(graph, dim=8, n_layers=2)
        >>> users, items = model.embeddings()
        >>> users.allclose((2 * model.initial_embeddings[:2] + model.initial_embeddings[2:]) / 3)
        True
    """

    columns_apart = True

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 64,
        n_layers: int = 3,
        *,
        seed: int = 0,
        **objective: Unpack[ObjectiveOptions],
    ) -> None:
        super().__init__(graph, dim, seed, **objective)
        if n_layers < 0:
            raise ValueError(f"`n_layers` must be >= 0, got {n_layers}")
        self.graph, self.n_layers = graph, n_layers
        mean_of_powers = np.full(n_layers + 1, 1 / (n_layers + 1))
        self.register_buffer("series", torch.from_numpy(poly2cheb(mean_of_powers)), persistent=False)

    series: Tensor

    @property
    def history_graph(self) -> BipartiteGraph | None:
        return self.graph if self.n_layers else None

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        return chebyshev_filter(self.graph, embeddings, self.series) if self.n_layers else embeddings

    def response_parts(self, eigenvalues: Eigenvalues) -> dict[str, Response]:
        return {f"layer {layer}": eigenvalues**layer / (self.n_layers + 1) for layer in range(self.n_layers + 1)}

    @torch.no_grad()
    def user_map(self) -> UserMap:
        """touch = (1 / (n_layers + 1)) Σ_k Â^k E(0), k < n_layers, on the items."""
        layer = self.initial_embeddings
        own, total = layer[: self.n_users] / (self.n_layers + 1), torch.zeros_like(layer)
        for _ in range(self.n_layers):
            total += layer
            layer = self.graph(layer)
        touch = total[None, self.n_users :] / (self.n_layers + 1)
        return self._build_user_map(own, touch[: self.n_layers], self.graph)

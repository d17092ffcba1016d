"""LR-GCCF: linear graph convolutions with self-loops, all layers side by side."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.initial import normal
from ltocf.models.objective import ObjectiveOptions
from ltocf.models.user_map import UserMap
from ltocf.shapes import Embeddings, FinalEmbeddings

INITIAL_DEVIATION = 0.01


class LRGCCF(EmbeddingRecommender):
    """Linear residual graph convolutional collaborative filtering.

        S = (D + I)^-1/2 (A + I) (D + I)^-1/2,   E_final = [E(0), S E(0), ..., S^n_layers E(0)]

    The score is a sum over the layers, so layer k learns the residual of the layers before it.

    Args:
        graph: the training graph.
        dim: length of an embedding of one layer; the final ones have (n_layers + 1) dim numbers.
        n_layers: number of convolutions, >= 0; with 0 it is MF.
        seed: seed of the initial embeddings.
        objective: loss and ranking, see `EmbeddingRecommender`.

    Raises:
        ValueError: an unknown loss or a number out of range.

    Source: Chen et al., AAAI 2020, Eqs. 5-10, https://doi.org/10.1609/aaai.v34i01.5330; the initial values, N(0,
    0.01²), from its program, https://github.com/newlei/LR-GCCF. Differs: the matrices W^k of the paper are left out as
    in that program, for they are linear and the embeddings can take their place; the L2 penalty is on E(0), where the
    program's is on all layers of the batch.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0]))
        >>> model = LRGCCF(graph, dim=1, n_layers=1)
        >>> users, _ = model.embeddings()
        >>> users[0, 1].allclose(model.initial_embeddings.mean())  # the mean of itself and its only neighbour
        True
    """

    starts: ClassVar[tuple[str, ...]] = ("random", "mf")
    per_node: ClassVar[tuple[str, ...]] = ("self_loop", "damping")
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
        super().__init__(graph, dim, seed, normal(INITIAL_DEVIATION), **objective)
        if n_layers < 0:
            raise ValueError(f"`n_layers` must be >= 0, got {n_layers}")
        self.graph, self.n_layers = graph, n_layers
        degrees = torch.cat([graph.user_degrees, graph.item_degrees])[:, None].to(graph.scales)
        self.register_buffer("self_loop", 1 / (degrees + 1), persistent=False)
        # (D + I)^-1/2 A (D + I)^-1/2 = P Â P
        self.register_buffer("damping", (degrees / (degrees + 1)).sqrt(), persistent=False)

    self_loop: Tensor
    damping: Tensor

    @property
    def history_graph(self) -> BipartiteGraph | None:
        return self.graph if self.n_layers else None

    def propagate(self, embeddings: Embeddings) -> FinalEmbeddings:
        layers = [embeddings]
        for _ in range(self.n_layers):
            neighbours = self.damping * self.graph(self.damping * layers[-1])
            layers.append(neighbours + self.self_loop * layers[-1])
        return torch.cat(layers, dim=1)

    @torch.no_grad()
    def user_map(self) -> UserMap:
        """touch[p] = [0, .., 0, E(0), S E(0), ..] on the items, p + 1 layers late: the columns of all layers.

        A row of S is the self-loop s = 1 / (deg(u) + 1) and the neighbours, so layer k of a user is

            S^k E(0)[u] = s^k E(0)[u] + Σ_p s^p Σ_j S[u, j] (S^(k - 1 - p) E(0))[j],   p = 0..k-1
        """
        dim, layers = self.initial_embeddings.shape[1], self.propagate(self.initial_embeddings)
        powers = torch.arange(self.n_layers + 1, device=layers.device).repeat_interleave(dim)
        start = self.initial_embeddings[: self.n_users].repeat(1, self.n_layers + 1)
        touch = layers.new_zeros(self.n_layers, self.n_items, layers.shape[1])
        for late in range(self.n_layers):
            touch[late, :, (late + 1) * dim :] = layers[self.n_users :, : (self.n_layers - late) * dim]
        return self._build_user_map(
            start * self.self_loop[: self.n_users] ** powers, touch, self.graph, self_loops=True
        )

"""MF: matrix factorisation, the graph model with zero layers."""

from __future__ import annotations

from typing import Unpack

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.objective import ObjectiveOptions
from ltocf.models.user_map import UserMap
from ltocf.shapes import Embeddings


class MF(EmbeddingRecommender):
    """Matrix factorisation trained with BPR.

        score(u, i) = <E(0)[u], E(0)[i]>

    Args:
        graph: the training graph; only its numbers of users and items are used.
        dim: length of an embedding.
        seed: seed of the initial embeddings.
        objective: loss and ranking, see `EmbeddingRecommender`.

    Raises:
        ValueError: an unknown loss or a number out of range.

    Source: Rendle et al., UAI 2009, section 4.3.1, https://arxiv.org/abs/1205.2618. Differs: Adam instead of
    plain SGD, one L2 weight for all embeddings, no item bias, as in the comparison of the LT-OCF paper.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> [tuple(e.shape) for e in MF(graph, dim=8).embeddings()]
        [(2, 8), (2, 8)]
    """

    columns_apart = True

    def __init__(
        self, graph: BipartiteGraph, dim: int = 64, *, seed: int = 0, **objective: Unpack[ObjectiveOptions]
    ) -> None:
        super().__init__(graph, dim, seed, **objective)

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        return embeddings

    def user_map(self) -> UserMap:
        """Users' own embeddings alone: nothing depends on the history, so a new user cannot be given a vector."""
        return self._build_user_map(self.initial_embeddings[: self.n_users])

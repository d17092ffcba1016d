"""A warm start: E(0) such that E_final is, untrained, the truncated SVD of the graph."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.graph.svd import item_singular_vectors
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.initial import INITIAL_DEVIATION

SMALLEST_SINGULAR_VALUE = 1e-4
COLUMNS_AT_A_TIME = 16


@torch.no_grad()
def start_from_spectrum(model: EmbeddingRecommender, graph: BipartiteGraph, seed: int = 0) -> None:
    """Replace the random E(0) by the leading eigenvectors of the graph, which `propagate` only stretches.

        R̃ ≈ U Σ Vᵀ,   Â [U; V] = [U; V] Σ,   E(0) = D^1/2 [U; V] Σ^1/2 h(Σ)^-1,   scaled to deviation 0.1

    Without D^1/2 the final embeddings are [U; V] Σ^1/2 whatever the response h, and the scores those of the truncated
    SVD. D^1/2 gives nodes a length that grows with their degree, which suits ranking by inner product: popular items
    first. h is measured by one propagation. Columns beyond the rank of the graph keep their random values.

    Args:
        model: any model of embeddings; only its initial embeddings change.
        graph: the training graph.
        seed: seed of the randomised decomposition.

    Source: the design of GF-CF's ideal low-pass (Shen et al., CIKM 2021, section 4, https://arxiv.org/abs/2108.07567)
    as initial embeddings.

    Example:
        >>> from ltocf.data import Interactions
        >>> from ltocf.models import MF
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0, 1], [0, 1, 2]))
        >>> model = MF(graph, dim=2)
        >>> start_from_spectrum(model, graph)
        >>> users, items = model.embeddings()
        >>> bool((users[0] @ items[0]) > 10 * (users[0] @ items[2]).abs())
        True
    """
    embeddings = model.initial_embeddings
    rank = min(embeddings.shape[1], *(int((degrees > 0).sum()) for degrees in (graph.user_degrees, graph.item_degrees)))
    singular_values, item_vectors = item_singular_vectors(
        lambda items: graph.items_from_users(graph.users_from_items(items)),
        graph.n_items,
        rank,
        seed,
        embeddings.device,
    )
    kept = singular_values > SMALLEST_SINGULAR_VALUE
    singular_values, item_vectors = singular_values[kept], item_vectors[:, kept]
    basis = torch.cat([graph.users_from_items(item_vectors).div_(singular_values), item_vectors])
    gains = torch.cat([(part * model.propagate(part)).sum(0) for part in _narrow(basis)]) / _lengths(basis).square()
    degrees = torch.cat([graph.user_degrees, graph.item_degrees])[:, None].sqrt()
    basis.mul_(degrees).mul_(singular_values.sqrt() / gains)
    deviation = _lengths(basis).norm() / math.sqrt(basis.numel())
    embeddings[:, : basis.shape[1]] = basis.mul_(INITIAL_DEVIATION / deviation)


def _narrow(basis: Tensor) -> Iterator[Tensor]:
    """A few columns at a time: what a propagation of all would take in memory is not needed otherwise."""
    return (part.contiguous() for part in torch.split(basis, COLUMNS_AT_A_TIME, dim=1))


def _lengths(columns: Tensor) -> Tensor:
    """The Euclidean length of each column."""
    lengths: Tensor = torch.linalg.vector_norm(columns, dim=0)
    return lengths

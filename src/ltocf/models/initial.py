"""Initial values of parameters, drawn as in each model's source."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import nn

from ltocf.graph import BipartiteGraph
from ltocf.shapes import Embeddings

INITIAL_DEVIATION = 0.1

InitialEmbeddings: TypeAlias = Callable[[BipartiteGraph, int, torch.Generator], Embeddings]
"""Draws E(0), (nodes, dim), of a graph: users followed by items."""


def normal(deviation: float) -> InitialEmbeddings:
    """N(0, deviation²).

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> normal(0.01)(graph, 8, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 8])
    """
    return lambda graph, dim, generator: torch.randn(graph.n_nodes, dim, generator=generator) * deviation


def xavier_by_side(graph: BipartiteGraph, dim: int, generator: torch.Generator) -> Embeddings:
    """`xavier` of the table of users, then of that of items: uniform with variance 2 / (rows + dim)."""
    return torch.cat([xavier(rows, dim, generator).detach() for rows in (graph.n_users, graph.n_items)])


def xavier_of_nodes(graph: BipartiteGraph, dim: int, generator: torch.Generator) -> Embeddings:
    """`xavier` of one table of all nodes: uniform with variance 2 / (nodes + dim)."""
    return xavier(graph.n_nodes, dim, generator).detach()


def xavier(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Parameter:
    """A matrix to be multiplied from the right, uniform with variance 2 / (n_inputs + n_outputs).

    Source: Glorot & Bengio, AISTATS 2010, Eq. 16, https://proceedings.mlr.press/v9/glorot10a.html
    """
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_inputs, n_outputs), generator=generator))


def lecun(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Parameter:
    """A matrix to be multiplied from the right, uniform with variance 1 / n_inputs.

    Source: LeCun et al., "Efficient BackProp", 1998, section 4.6, https://doi.org/10.1007/3-540-49430-8_2
    """
    bound = (3 / n_inputs) ** 0.5
    return nn.Parameter(torch.empty(n_inputs, n_outputs).uniform_(-bound, bound, generator=generator))


def he(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Parameter:
    """A matrix to be multiplied from the right, normal with variance 2 / n_inputs.

    Source: He et al., ICCV 2015, Eq. 10, https://arxiv.org/abs/1502.01852
    """
    return nn.Parameter(torch.randn(n_inputs, n_outputs, generator=generator) * (2 / n_inputs) ** 0.5)


def truncated_normal(rows: int, columns: int, deviation: float, generator: torch.Generator) -> nn.Parameter:
    """N(0, deviation²), cut at two deviations: what lies beyond is drawn again."""
    bounds = -2 * deviation, 2 * deviation
    drawn = torch.empty(rows, columns)
    return nn.Parameter(nn.init.trunc_normal_(drawn, 0.0, deviation, *bounds, generator=generator))

"""Means over neighbours: the adjacency matrix, normalised by rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltocf.graph import BipartiteGraph
from ltocf.shapes import Embeddings


class NeighbourMeans(nn.Module):
    """Each node's row becomes the mean of its neighbours' rows; with self-loops its own is among them.

        D^-1 A E = D^-1/2 Â D^1/2 E,   with self-loops   (D + I)^-1 (A + I) E

    A node without neighbours has a zero row; with a self-loop it keeps its own.

    Args:
        graph: the training graph.
        self_loops: count a node as its own neighbour.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0], [0, 1]))
        >>> [round(mean, 4) for mean in NeighbourMeans(graph)(torch.tensor([[1.0], [2.0], [4.0]])).squeeze(1).tolist()]
        [3.0, 1.0, 1.0]
    """

    roots: Tensor
    shares: Tensor

    def __init__(self, graph: BipartiteGraph, *, self_loops: bool = False) -> None:
        super().__init__()
        self.graph, self.self_loops = graph, self_loops
        degrees = torch.cat([graph.user_degrees, graph.item_degrees])[:, None].to(graph.scales)
        self.register_buffer("roots", degrees.sqrt(), persistent=False)
        self.register_buffer("shares", 1 / (degrees + self_loops).clamp(min=1), persistent=False)

    def forward(self, embeddings: Embeddings) -> Embeddings:
        sums = self.roots * self.graph(self.roots * embeddings)
        means: Embeddings = self.shares * (sums + embeddings if self.self_loops else sums)
        return means

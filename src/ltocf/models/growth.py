"""A model of a graph becomes one of a larger graph: what was learned is kept, new nodes start from their neighbours."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ltocf.graph import BipartiteGraph


class Sizes(NamedTuple):
    """Number of users and of items."""

    n_users: int
    n_items: int

    @property
    def n_nodes(self) -> int:
        return self.n_users + self.n_items


@torch.no_grad()
def grow(larger: nn.Module, smaller: nn.Module, before: Sizes, after: Sizes, graph: BipartiteGraph) -> None:
    """Copy every parameter of ``smaller`` into ``larger``, which has more users and items.

    The first users and items of ``larger`` are those of ``smaller``. A dimension that counts users, items or nodes is
    longer now; all others have the same length in both. New rows of a table of all nodes are the mean of the rows of
    their neighbours, scaled to the mean length of the known rows of their kind; other new entries keep their values.

        E[v] = s Σ_{j in N(v)} E[j],   ||E[v]|| = mean of ||E[w]|| over the known w of v's kind

    Args:
        larger: built on ``graph``.
        smaller: built with the same options.
        before: sizes of ``smaller``.
        after: sizes of ``larger``.
        graph: the larger graph.
    """
    old = dict(smaller.named_parameters())
    for name, parameter in larger.named_parameters():
        places = [_places(*lengths, before, after) for lengths in zip(old[name].shape, parameter.shape, strict=True)]
        grid = torch.meshgrid(*places, indexing="ij") if places else ()
        parameter[grid] = old[name].to(parameter)
        if old[name].ndim == 2 and len(old[name]) == before.n_nodes:
            _start_from_neighbours(parameter, places[0], after, graph)


def _places(old: int, new: int, before: Sizes, after: Sizes) -> Tensor:
    """The places of a dimension's entries in the longer one."""
    if old == before.n_nodes and new == after.n_nodes:
        return torch.cat([torch.arange(before.n_users), after.n_users + torch.arange(before.n_items)])
    return torch.arange(old)


def _start_from_neighbours(rows: Tensor, known_rows: Tensor, sizes: Sizes, graph: BipartiteGraph) -> None:
    """Fill the rows of new nodes: first those with known neighbours, then their neighbours. Others keep their rows."""
    known = torch.zeros(sizes.n_nodes, dtype=torch.bool)
    known[known_rows] = True
    users = torch.arange(sizes.n_nodes) < sizes.n_users
    lengths = [rows[known & kind].norm(dim=1).mean() for kind in (users, ~users)]
    for _ in range(2):
        sums = graph.multiply(rows * known[:, None].to(rows))
        new = ~known & (sums.norm(dim=1) > 0).cpu()
        for kind, length in zip((users, ~users), lengths, strict=True):
            chosen = new & kind
            rows[chosen] = nn.functional.normalize(sums[chosen]) * length
        known |= new

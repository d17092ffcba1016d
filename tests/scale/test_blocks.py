"""Blocks of the graph give the product of the whole graph, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.ode.filter import chebyshev_states
from ltocf.scale.blocks import BlockGraph
from ltocf.scale.columns import Columns
from samples import random_interactions

N_USERS, N_ITEMS = 31, 43


@dataclass(frozen=True)
class GatheredRows(Columns):
    """One of several processes that exchange the rows of a matrix, which is known here."""

    matrix: Tensor = field(default_factory=lambda: torch.zeros(0))

    def gathered(self, values: Tensor) -> Tensor:
        n_rows = -(-len(self.matrix) // self.world)
        padded = torch.cat([self.matrix, values.new_zeros(n_rows * self.world - len(self.matrix), 5)])
        own = self.matrix[self.rank :: self.world]
        assert values[: len(own)].equal(own)
        return padded.view(n_rows, self.world, 5).transpose(0, 1).contiguous()


def random_embeddings() -> Tensor:
    return torch.randn(N_USERS + N_ITEMS, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 31])
def test_the_products_of_all_blocks_are_that_of_the_graph(n_blocks: int) -> None:
    graph = BipartiteGraph.from_interactions(random_interactions(N_USERS, N_ITEMS))
    embeddings = random_embeddings()
    product = torch.empty_like(embeddings)
    n_entries = 0
    for rank in range(n_blocks):
        block = BlockGraph(graph, GatheredRows(rank, n_blocks, matrix=embeddings * graph.scales))
        product[rank::n_blocks] = block.multiply(embeddings[rank::n_blocks])
        n_entries += len(block.user_indices) + len(block.item_indices)
    assert product.equal(graph.multiply(embeddings))
    assert n_entries == 2 * len(graph.user_indices)


def test_a_single_block_gives_the_chebyshev_states_of_the_graph() -> None:
    graph = BipartiteGraph.from_interactions(random_interactions(N_USERS, N_ITEMS))
    embeddings = random_embeddings()

    class SingleProcess(Columns):
        def gathered(self, values: Tensor) -> Tensor:
            return values[None]

    block = BlockGraph(graph, SingleProcess(0, 1))
    of_block, of_graph = (chebyshev_states(each, embeddings.clone(), 4) for each in (block, graph))
    assert all(found.equal(expected) for found, expected in zip(of_block, of_graph, strict=True))


def test_more_blocks_than_items_are_refused() -> None:
    graph = BipartiteGraph.from_interactions(random_interactions(9, 4))
    with pytest.raises(ValueError, match="got 9 and 4 for 5 blocks; train with fewer"):
        BlockGraph(graph, Columns(0, 5))

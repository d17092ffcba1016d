"""A block of the graph multiplies as the whole graph does, to the last bit."""

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
class Shown(Columns):
    """Processes that show the rows of a matrix that is known."""

    all_rows_of: Tensor = field(default_factory=lambda: torch.zeros(0))

    def gathered(self, values: Tensor) -> Tensor:
        each = -(-len(self.all_rows_of) // self.world)
        padded = torch.cat([self.all_rows_of, values.new_zeros(each * self.world - len(self.all_rows_of), 5)])
        everybody = padded.view(each, self.world, 5).transpose(0, 1)
        own = values[: len(self.all_rows_of[self.rank :: self.world])]
        assert own.equal(self.all_rows_of[self.rank :: self.world])
        return everybody.contiguous()


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 31])
def test_blocks_put_together_are_the_product(n_blocks: int) -> None:
    graph = BipartiteGraph.from_interactions(random_interactions(N_USERS, N_ITEMS))
    embeddings = torch.randn(N_USERS + N_ITEMS, 5)
    product = torch.empty_like(embeddings)
    n_entries = 0
    for rank in range(n_blocks):
        block = BlockGraph(graph, Shown(rank, n_blocks, all_rows_of=embeddings))
        product[rank::n_blocks] = block.multiply(embeddings[rank::n_blocks])
        n_entries += len(block.user_values) + len(block.item_values)
    assert product.equal(graph.multiply(embeddings))
    assert n_entries == 2 * len(graph.user_values)


def test_a_block_alone_is_the_whole_in_a_series() -> None:
    graph = BipartiteGraph.from_interactions(random_interactions(N_USERS, N_ITEMS))
    embeddings = torch.randn(N_USERS + N_ITEMS, 5)

    class One(Columns):
        def gathered(self, values: Tensor) -> Tensor:
            return values[None]

    block = BlockGraph(graph, One(0, 1))
    pairs = zip(chebyshev_states(block, embeddings, 4), chebyshev_states(graph, embeddings, 4), strict=True)
    assert all(torch.cat(mine).equal(torch.cat(expected)) for mine, expected in pairs)


def test_there_are_no_more_blocks_than_items() -> None:
    graph = BipartiteGraph.from_interactions(random_interactions(9, 4))
    with pytest.raises(ValueError, match="got 9 and 4 for 5 blocks; train with fewer"):
        BlockGraph(graph, Columns(0, 5))

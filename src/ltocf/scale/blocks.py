"""Blocks of nodes over processes, as a second dimension beside columns: for graphs that do not fit one device.

    P = blocks x columns processes;   process r has the nodes j with j mod blocks = r mod blocks, and of their rows the
    columns of share r div blocks

Nodes are users followed by items, dealt out like cards, so that blocks are of nearly equal size whatever the order of
ids is. A process has the rows of R̃ and of R̃ᵀ of its nodes, and of these nodes the embedding, its gradient and Adam's
moments. Before a product, processes with the same columns gather each other's rows, which is the cost of blocks;
processes with the same nodes exchange what `ltocf.scale.columns` describes. All processes draw the same batch.

Consecutive ranks have the same columns: a product's exchange stays within a machine of as many GPUs as blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import pad

from ltocf.data import Interactions
from ltocf.data.interactions import check_32_bits
from ltocf.evaluation.ranks import Ranks, RowsOf
from ltocf.graph import BipartiteGraph
from ltocf.graph.csr import row_entries
from ltocf.scale.columns import Columns, columns_over
from ltocf.scale.shards import columns_of, sharded
from ltocf.shapes import Embeddings

Value = TypeVar("Value")


@dataclass(frozen=True)
class Blocks:
    """The `Ranks` of processes in two dimensions.

    Args:
        processes: all processes.
        nodes: the processes with the columns of this one, one for each block of nodes.
        columns: the processes with the nodes of this one, one for each share of the columns.
    """

    processes: Columns
    nodes: Columns
    columns: Columns

    @classmethod
    def of_group(cls, n_blocks: int, timeout: timedelta | None = None) -> Blocks:
        """The blocks over all processes of `torch.distributed`; each of them must call this."""
        n_columns = dist.get_world_size() // n_blocks
        by_columns = [[share * n_blocks + block for block in range(n_blocks)] for share in range(n_columns)]
        by_nodes = [list(ranks) for ranks in zip(*by_columns, strict=True)]
        nodes, columns = (_group(ranks, timeout) for ranks in (by_columns, by_nodes))
        return cls(Columns.of_group(), Columns.of_group(nodes), Columns.of_group(columns))

    @property
    def rank(self) -> int:
        return self.processes.rank

    @property
    def world(self) -> int:
        return self.processes.world

    def everyone(self) -> Ranks:
        return self.processes

    def layout(self) -> dict[str, int]:
        return {"processes": self.world, "node_blocks": self.nodes.world}

    def total(self, part: Tensor) -> Tensor:
        return self.columns.total(part)

    def whole(self, columns: Tensor) -> Tensor:
        return self.columns.whole(columns)

    def rows(self, columns: Tensor) -> Tensor:
        return self.columns.rows(columns)

    def own_rows(self, values: Tensor) -> Tensor:
        return self.columns.own_rows(values)

    def all_rows(self, values: Tensor, n: int) -> Tensor:
        return self.columns.all_rows(values, n)

    @torch.no_grad()
    def shared(self, users: Tensor, work: RowsOf) -> Tensor:
        by_block = [(users % self.nodes.world == block).nonzero().squeeze(1) for block in range(self.nodes.world)]
        shares = [torch.split(places, self.columns.sizes(len(places))) for places in by_block]
        by_rank = [of_block[share] for share in range(self.columns.world) for of_block in shares]
        rows = work(users[by_rank[self.rank]])
        longest = max(map(len, by_rank))
        gathered = self.processes.gathered(torch.cat([rows, rows.new_zeros(longest - len(rows), *rows.shape[1:])]))
        all_rows = rows.new_empty(len(users), *rows.shape[1:])
        for places, rows_of_rank in zip(by_rank, gathered, strict=True):
            all_rows[places] = rows_of_rank[: len(places)]
        return all_rows

    def first(self, value: Value) -> Value:
        return self.processes.first(value)

    def own(self, embeddings: Tensor) -> Tensor:
        return self.columns.own(self.own_nodes(embeddings))

    def own_nodes(self, values: Tensor) -> Tensor:
        return values[self.nodes.rank :: self.nodes.world].contiguous()

    @torch.no_grad()
    def all_nodes(self, embeddings: Tensor) -> Tensor:
        return self.columns.whole(self._assembled(embeddings, 0))

    @torch.no_grad()
    def as_shard(self, share: Tensor, n_columns: int) -> Tensor:
        nodes = self._assembled(share.cpu(), 0)  # a device need not have the memory for all nodes
        return sharded(nodes, n_columns, self.columns.group, self.nodes.group)

    def empty_shard(self, n_nodes: int, n_columns: int) -> Tensor:
        nodes = torch.empty(n_nodes, -(-n_columns // self.columns.world))
        return sharded(nodes, n_columns, self.columns.group, self.nodes.group)

    def of_shard(self, shard: Tensor) -> Tensor:
        return self.own_nodes(columns_of(shard, self.columns.world))

    @torch.no_grad()
    def to_score(self, embeddings: Tensor, n_users: int) -> tuple[Tensor, Tensor]:
        users, items = embeddings.tensor_split([len(range(self.nodes.rank, n_users, self.nodes.world))])
        return self.columns.whole(users), self.columns.whole(self._assembled(items, n_users))

    def _assembled(self, rows: Tensor, first: int) -> Tensor:
        """The rows of consecutive nodes, of which each block has its own; ``first`` is the first node."""
        n_rows = torch.tensor(len(rows), device=rows.device)
        dist.all_reduce(n_rows, group=self.nodes.group)
        n, n_blocks = int(n_rows), self.nodes.world
        gathered = self.nodes.gathered(_padded(rows, -(-n // n_blocks)))
        in_turn = gathered[torch.arange(first, first + n_blocks, device=rows.device) % n_blocks]
        return in_turn.transpose(0, 1).flatten(0, 1)[:n]

    def take(self, embeddings: Tensor, nodes: Tensor) -> Tensor:
        taken: Tensor = _Taken.apply(embeddings, nodes, self)  # type: ignore[no-untyped-call]
        return taken

    def add(self, embeddings: Tensor, nodes: Tensor, rows: Tensor) -> None:
        embeddings.index_add_(0, self.local_rows(nodes), rows[self.are_local(nodes)])

    def local_rows(self, nodes: Tensor) -> Tensor:
        return nodes[self.are_local(nodes)] // self.nodes.world

    def are_local(self, nodes: Tensor) -> Tensor:
        """Which of ``nodes`` this process has."""
        return nodes % self.nodes.world == self.nodes.rank

    def home(self, device: torch.device) -> torch.device:
        """The CPU: a device need not have the memory for a whole model."""
        return torch.device("cpu")

    def divided(self, model: nn.Module, pairs: Interactions, device: torch.device) -> AbstractContextManager[None]:
        return self._divided(model, pairs, device)

    @contextmanager
    def _divided(self, model: nn.Module, pairs: Interactions, device: torch.device) -> Iterator[None]:
        names = [name for name, module in model.named_modules() if isinstance(module, BipartiteGraph)]
        for name in names:
            graph = model.get_submodule(name)
            assert isinstance(graph, BipartiteGraph)
            model.set_submodule(name, BlockGraph(graph, self.nodes))
            del graph  # the whole graph may be what does not fit
        with columns_over(self, model, device):
            yield
        for name in names:
            model.set_submodule(name, BipartiteGraph.from_interactions(pairs))


class BlockGraph(BipartiteGraph):
    """The rows of Â of one block of nodes; a product first gathers the rows of all blocks.

        (Â E)[block] = Â[block] E,   E gathered from all blocks

    Only its products are used. Indices are positions in the gathered rows: one block after the other, each padded to
    the size of the largest. A row keeps the order of its entries, so that sums are those of the whole graph, to the
    last bit.

    Args:
        graph: the whole graph.
        nodes: the processes, one for each block.

    Raises:
        ValueError: more blocks than users or items.
    """

    def __init__(self, graph: BipartiteGraph, nodes: Columns) -> None:
        super(BipartiteGraph, self).__init__()
        if nodes.world > min(graph.n_users, graph.n_items):
            raise ValueError(
                f"there must be as many users and items as blocks of nodes, got {graph.n_users} and {graph.n_items} "
                f"for {nodes.world} blocks; train with fewer"
            )
        self.nodes, self.size = nodes, -(-graph.n_nodes // nodes.world)
        check_32_bits(places=self.size * nodes.world)
        for name in ("later", "days", "relative_weights"):
            self.register_buffer(name, None, persistent=False)
        users = torch.arange(nodes.rank, graph.n_users, nodes.world)
        items = torch.arange((nodes.rank - graph.n_users) % nodes.world, graph.n_items, nodes.world)
        self.n_users, self.n_items = len(users), len(items)
        for side, rows, first in (("user", users, graph.n_users), ("item", items, 0)):
            offsets, indices, weights = (getattr(graph, f"{side}_{part}") for part in ("offsets", "indices", "weights"))
            _, entries = row_entries(offsets, rows)
            neighbours = indices[entries].long() + first
            places = neighbours % nodes.world * self.size + neighbours // nodes.world
            own_offsets = pad(offsets.diff()[rows].cumsum(0), (1, 0))
            own_weights = None if weights is None else weights[entries]
            self.register_side(side, own_offsets.int(), places.int(), own_weights)

    def _neighbours(self, embeddings: Embeddings) -> tuple[Tensor, Tensor]:
        rows = self.nodes.gathered(_padded(embeddings, self.size)).flatten(0, 1)
        return rows, rows


def _group(all_ranks: list[list[int]], timeout: timedelta | None) -> dist.ProcessGroup:
    """Make several groups; the one that this process is in."""
    group, _ = dist.new_subgroups_by_enumeration(all_ranks, timeout)  # type: ignore[no-untyped-call]
    return cast(dist.ProcessGroup, group)


def _padded(rows: Tensor, n: int) -> Tensor:
    return pad(rows, (0, 0, 0, n - len(rows)))


class _Taken(torch.autograd.Function):
    """Rows from the processes that have them. All processes compute the same loss, so gradients are not exchanged."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, nodes: Tensor, ranks: Blocks) -> Tensor:
        ctx.save_for_backward(nodes)
        ctx.ranks, ctx.n_rows = ranks, len(embeddings)
        rows = embeddings.new_zeros(len(nodes), embeddings.shape[1])
        rows[ranks.are_local(nodes)] = embeddings.index_select(0, ranks.local_rows(nodes))
        dist.all_reduce(rows, group=ranks.nodes.group)
        return rows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (nodes,) = ctx.saved_tensors
        gradient = gradients[0].new_zeros(ctx.n_rows, gradients[0].shape[1])
        ctx.ranks.add(gradient, nodes, gradients[0])
        return gradient, None, None

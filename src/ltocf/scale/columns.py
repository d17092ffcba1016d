"""Columns over ranks: every process has the graph and its share of the columns of the embeddings.

A filter of the graph acts on each column alone, so processes that share the columns exchange nothing inside it. What
they exchange in a step are sums over columns: two scores of each triple for BPR, the rows of the batch and of its
negatives for the softmax. The code of a model knows nothing of processes: a model names the parameters that have such
columns (`Trainable.columns`), losses use its `ranks`, and only this file deals with processes.

The collectives of a step are written by hand: three have a gradient, and each is described below. With DTensor every
operation between parameter and loss would have to know its placement, the indices of a batch would have to be DTensors
too, and the loss, which computes its own gradient, would have to leave DTensor anyway. In a checkpoint, where no
gradient is needed, columns are DTensors, see `ltocf.scale.shards`.

Source: the graph on every worker and the features split, as in the tensor parallelism of NeutronTP (Ai et al., VLDB
2024, section 3, https://arxiv.org/abs/2412.20379). Differs: the models here have no matrix between two layers, so
nothing is exchanged between layers; that paper changes from columns to rows and back for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import pad

from ltocf.data import Interactions
from ltocf.evaluation.ranks import EveryNode, Ranks, RowsOf
from ltocf.scale.shards import columns_of, sharded
from ltocf.training import Trainable

Value = TypeVar("Value")


@dataclass(frozen=True)
class Columns(EveryNode):
    """The `Ranks` of a process group of PyTorch.

    Args:
        rank: the number of this process in the group.
        world: the number of processes.
        group: None: all that `torch.distributed` knows.
    """

    rank: int
    world: int
    group: dist.ProcessGroup | None = None

    @classmethod
    def of_group(cls, group: dist.ProcessGroup | None = None) -> Columns:
        """The columns of a group that this process has joined."""
        return cls(dist.get_rank(group), dist.get_world_size(group), group)

    def everyone(self) -> Ranks:
        return self

    def layout(self) -> dict[str, int]:
        return {"processes": self.world}

    def total(self, part: Tensor) -> Tensor:
        summed: Tensor = _Total.apply(part, self.group)  # type: ignore[no-untyped-call]
        return summed

    def whole(self, columns: Tensor) -> Tensor:
        gathered: Tensor = _Whole.apply(columns, self)  # type: ignore[no-untyped-call]
        return gathered

    def rows(self, columns: Tensor) -> Tensor:
        exchanged: Tensor = _Rows.apply(columns, self)  # type: ignore[no-untyped-call]
        return exchanged

    def own_rows(self, values: Tensor) -> Tensor:
        return torch.split(values, self.sizes(len(values)))[self.rank]

    @torch.no_grad()
    def all_rows(self, values: Tensor, n: int) -> Tensor:
        sizes = self.sizes(n)
        # Padded: every backend has collectives of equal sizes.
        padded = torch.cat([values, values.new_zeros(sizes[0] - len(values), *values.shape[1:])])
        gathered = self.gathered(padded)
        return torch.cat([rows[:size] for rows, size in zip(gathered, sizes, strict=True)])

    def shared(self, users: Tensor, work: RowsOf) -> Tensor:
        return self.all_rows(work(self.own_rows(users)), len(users))

    def first(self, value: Value) -> Value:
        if isinstance(value, Tensor):
            dist.broadcast(value, src=0)
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def own(self, embeddings: Tensor) -> Tensor:
        width = -(-embeddings.shape[-1] // self.world)
        padded = pad(embeddings, (0, width * self.world - embeddings.shape[-1]))
        return padded[..., self.rank * width : (self.rank + 1) * width].contiguous()

    def all_nodes(self, embeddings: Tensor) -> Tensor:
        return self.whole(embeddings)

    def as_shard(self, share: Tensor, n_columns: int) -> Tensor:
        return sharded(share, n_columns, self.group)

    def empty_shard(self, n_nodes: int, n_columns: int) -> Tensor:
        return sharded(torch.empty(n_nodes, -(-n_columns // self.world)), n_columns, self.group)

    def of_shard(self, shard: Tensor) -> Tensor:
        return columns_of(shard, self.world)

    def to_score(self, embeddings: Tensor, n_users: int) -> tuple[Tensor, Tensor]:
        whole = self.whole(embeddings)
        return whole[:n_users], whole[n_users:]

    def divided(self, model: nn.Module, pairs: Interactions, device: torch.device) -> AbstractContextManager[None]:
        return columns_over(self, model)

    def gathered(self, values: Tensor) -> Tensor:
        """(world, ...): the values of each process."""
        gathered = values.new_empty(self.world, *values.shape)
        dist.all_gather([*gathered], values.contiguous(), group=self.group)
        return gathered

    def sizes(self, n: int) -> list[int]:
        """How many of ``n`` rows each process has.

        Example:
            >>> Columns(rank=0, world=3).sizes(8)
            [3, 3, 2]
        """
        return [n // self.world + (rank < n % self.world) for rank in range(self.world)]


@contextmanager
def columns_over(ranks: Ranks, model: nn.Module, device: torch.device | None = None) -> Iterator[None]:
    """Inside the block ``model`` has the share of this process only; after it, the shares of all processes again.

    Gradients of the parameters that every process has, such as learned times, are summed over the processes: each
    process has only the part that comes from its own share.

    Args:
        ranks: the processes, all with the same whole model.
        model: a model that has `Trainable.columns`.
        device: where the share is; None: where the model is.

    Raises:
        ValueError: the model has no such columns.
    """
    if ranks.world == 1:
        yield
        return
    widths = model.columns() if isinstance(model, Trainable) else {}
    if not isinstance(model, Trainable) or not widths:
        raise ValueError(f"{type(model).__name__} mixes the columns of its embeddings: processes cannot share them")
    for name in widths:
        setattr(model, name, nn.Parameter(ranks.own(model.get_parameter(name).detach())))
    per_node = {name: model.get_buffer(name) for name in model.per_node}
    for name, values in per_node.items():
        setattr(model, name, ranks.own_nodes(values))
    original_device = next(model.parameters()).device
    model.to(device or original_device)
    shared = [p for name, p in model.named_parameters() if name not in widths and p.requires_grad]
    hooks = [parameter.register_hook(ranks.everyone().total) for parameter in shared]  # type: ignore[no-untyped-call]
    model.ranks, original_ranks = ranks, model.ranks
    try:
        yield
    finally:
        model.ranks = original_ranks
        for hook in hooks:
            hook.remove()
    model.to(original_device)
    for name, values in per_node.items():
        setattr(model, name, values)
    for name, width in widths.items():
        setattr(model, name, nn.Parameter(ranks.all_nodes(model.get_parameter(name).detach())[:, :width].contiguous()))


class _Total(torch.autograd.Function):
    """Σ_r x_r. Every process computes the same loss from it, so each has the gradient of its own summand already."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        summed = part.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed, group=group)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Whole(torch.autograd.Function):
    """[x_1 ... x_world]. Each process has the loss of its own rows: gradients are summed over processes."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, ranks: Columns) -> Tensor:
        ctx.ranks = ranks
        return torch.cat([*ranks.gathered(columns)], dim=-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        sent = torch.stack(gradients[0].chunk(ctx.ranks.world, dim=-1))
        received = torch.empty_like(sent)
        dist.all_to_all_single(received, sent, group=ctx.ranks.group)
        return received.sum(0), None


class _Rows(torch.autograd.Function):
    """Some columns of all rows become all columns of some rows; the gradient goes the same way back."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, ranks: Columns) -> Tensor:
        ctx.ranks, ctx.sizes = ranks, ranks.sizes(len(columns))
        world, own, width = ranks.world, ctx.sizes[ranks.rank], columns.shape[1]
        blocks = columns.new_empty(world * own, width)
        dist.all_to_all_single(blocks, columns.contiguous(), [own] * world, ctx.sizes, group=ranks.group)
        return torch.cat([*blocks.view(world, own, width)], dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        sizes, own = ctx.sizes, ctx.sizes[ctx.ranks.rank]
        blocks = torch.cat(gradients[0].chunk(len(sizes), dim=1))
        columns = blocks.new_empty(sum(sizes), blocks.shape[1])
        dist.all_to_all_single(columns, blocks.contiguous(), sizes, [own] * len(sizes), group=ctx.ranks.group)
        return columns, None

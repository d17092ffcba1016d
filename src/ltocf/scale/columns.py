"""Columns over ranks: every process has the graph and its share of the columns of the embeddings.

A filter of the graph acts on each column alone, so processes that share the columns exchange nothing inside it. What
they exchange in a step are sums over columns: two scores of each triple for BPR, the rows of the batch and of its
negatives for the softmax. No file of a model knows about it: a model names the parameters that have such columns
(`Trainable.columns`), losses use its `ranks`, and only this file deals with processes.

The collectives are written by hand, without DTensor: three have a gradient, and each is described below. With DTensor
every operation between parameter and loss would have to know its placement, the indices of a batch would have to be
DTensors too, and the loss, which computes its own gradient, would have to leave DTensor anyway.

Source: the graph on every worker and the features split, as in the tensor parallelism of NeutronTP (Ai et al., VLDB
2024, section 3, https://arxiv.org/abs/2412.20379). Differs: the models here have no matrix between two layers, so
nothing is exchanged between layers; that paper changes from columns to rows and back for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import pad

from ltocf.evaluation.ranks import Ranks
from ltocf.training import Trainable

Value = TypeVar("Value")


@dataclass(frozen=True)
class Columns:
    """The `Ranks` of a process group of PyTorch: the one that `torch.distributed` has by default.

    Args:
        rank: the number of this process.
        world: the number of processes.
    """

    rank: int
    world: int

    @classmethod
    def of_group(cls) -> Columns:
        """The columns of the group that this process has joined."""
        return cls(dist.get_rank(), dist.get_world_size())

    def total(self, part: Tensor) -> Tensor:
        summed: Tensor = _Total.apply(part)  # type: ignore[no-untyped-call]
        return summed

    def own(self, columns: Tensor) -> Tensor:
        each = -(-columns.shape[-1] // self.world)
        padded = pad(columns, (0, each * self.world - columns.shape[-1]))
        return padded[..., self.rank * each : (self.rank + 1) * each].contiguous()

    def whole(self, columns: Tensor) -> Tensor:
        gathered: Tensor = _Whole.apply(columns, self.world)  # type: ignore[no-untyped-call]
        return gathered

    def rows(self, columns: Tensor) -> Tensor:
        exchanged: Tensor = _Rows.apply(columns, self.sizes(len(columns)), self.rank)  # type: ignore[no-untyped-call]
        return exchanged

    def own_rows(self, values: Tensor) -> Tensor:
        return torch.split(values, self.sizes(len(values)))[self.rank]

    @torch.no_grad()
    def all_rows(self, values: Tensor, n: int) -> Tensor:
        sizes = self.sizes(n)
        # Every backend has collectives of one size.
        padded = torch.cat([values, values.new_zeros(sizes[0] - len(values), *values.shape[1:])])
        gathered = _gathered(padded, self.world)
        return torch.cat([rows[:size] for rows, size in zip(gathered, sizes, strict=True)])

    def first(self, value: Value) -> Value:
        if isinstance(value, Tensor):
            dist.broadcast(value, src=0)
            return value
        said = [value]
        dist.broadcast_object_list(said, src=0)
        return said[0]

    def sizes(self, n: int) -> list[int]:
        """How many of ``n`` rows each process has.

        Example:
            >>> Columns(rank=0, world=3).sizes(8)
            [3, 3, 2]
        """
        return [n // self.world + (rank < n % self.world) for rank in range(self.world)]


@contextmanager
def columns_over(ranks: Ranks, model: nn.Module) -> Iterator[None]:
    """Inside the block ``model`` has the columns of this process only; after it, the columns of all processes again.

    Gradients of the parameters that every process has, such as learned times, are summed over the processes: each
    process knows only what came through its own columns.

    Args:
        ranks: the processes, all with the same whole model.
        model: a model that has `Trainable.columns`.

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
    shared = [p for name, p in model.named_parameters() if name not in widths and p.requires_grad]
    hooks = [parameter.register_hook(ranks.total) for parameter in shared]  # type: ignore[no-untyped-call]
    model.ranks, alone = ranks, model.ranks
    try:
        yield
    finally:
        model.ranks = alone
        for hook in hooks:
            hook.remove()
    for name, width in widths.items():
        setattr(model, name, nn.Parameter(ranks.whole(model.get_parameter(name).detach())[:, :width].contiguous()))


def _gathered(values: Tensor, world: int) -> Tensor:
    """The values of all processes, (world, ...)."""
    gathered = values.new_empty(world, *values.shape)
    dist.all_gather([*gathered], values.contiguous())
    return gathered


class _Total(torch.autograd.Function):
    """Σ_r x_r. Every process computes the same loss from it, so each has the gradient to its own summand already."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        summed = part.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _Whole(torch.autograd.Function):
    """[x_1 ... x_world]. Each process has the loss of its own rows: gradients are summed over processes."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, world: int) -> Tensor:
        ctx.world = world
        return torch.cat([*_gathered(columns, world)], dim=-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        theirs = torch.stack(gradients[0].chunk(ctx.world, dim=-1))
        mine = torch.empty_like(theirs)
        dist.all_to_all_single(mine, theirs)
        return mine.sum(0), None


class _Rows(torch.autograd.Function):
    """Some columns of all rows become all columns of some rows; the gradient goes the same way back."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, sizes: list[int], rank: int) -> Tensor:
        ctx.sizes, ctx.rank = sizes, rank
        world, own, width = len(sizes), sizes[rank], columns.shape[1]
        blocks = columns.new_empty(world * own, width)
        dist.all_to_all_single(blocks, columns.contiguous(), [own] * world, sizes)
        return torch.cat([*blocks.view(world, own, width)], dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        sizes, own = ctx.sizes, ctx.sizes[ctx.rank]
        blocks = torch.cat(gradients[0].chunk(len(sizes), dim=1))
        columns = blocks.new_empty(sum(sizes), blocks.shape[1])
        dist.all_to_all_single(columns, blocks.contiguous(), sizes, [own] * len(sizes))
        return columns, None, None

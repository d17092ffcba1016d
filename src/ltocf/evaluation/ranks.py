"""The processes that share one training, as seen by the code that computes; and the case of a single process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from ltocf.data.interactions import Interactions

Value = TypeVar("Value")
RowsOf: TypeAlias = Callable[[Tensor], Tensor]


@runtime_checkable
class Ranks(Protocol):
    """Processes that share the columns of the embeddings, and perhaps their rows and the graph.

    What is computed for each column alone needs no other process. Sums over columns do, and use these methods, which
    `ltocf.scale` implements for several processes. All processes call the same methods in the same order.
    """

    @property
    def rank(self) -> int:
        """The number of this process, from 0; process 0 decides, writes and shows progress."""

    @property
    def world(self) -> int:
        """The number of processes."""

    def everyone(self) -> Ranks:
        """The same processes side by side, for sums over all of them."""

    def layout(self) -> dict[str, int]:
        """How the processes are laid out, as a run records it; empty for a single process."""

    def total(self, part: Tensor) -> Tensor:
        """The sum of the parts of all processes; its gradient is the gradient of each part."""

    def whole(self, columns: Tensor) -> Tensor:
        """The columns of all processes side by side, padded with zeros if they do not divide evenly; differentiable."""

    def rows(self, columns: Tensor) -> Tensor:
        """All columns of this process's share of the rows, from its columns of all rows; differentiable."""

    def own_rows(self, values: Tensor) -> Tensor:
        """This process's share of rows that all processes have."""

    def all_rows(self, values: Tensor, n: int) -> Tensor:
        """All ``n`` rows, of which each process has its share."""

    def shared(self, users: Tensor, work: RowsOf) -> Tensor:
        """``work(users)``, a row for each user; each process computes those of the users that it scores."""

    def first(self, value: Value) -> Value:
        """The value that process 0 has; a tensor is overwritten in place."""

    def own(self, embeddings: Tensor) -> Tensor:
        """This process's share of embeddings of all nodes; columns of zeros are added if they do not divide evenly."""

    def own_nodes(self, values: Tensor) -> Tensor:
        """The rows of this process's nodes, from values with a row for each node."""

    def all_nodes(self, embeddings: Tensor) -> Tensor:
        """Embeddings of all nodes from each process's share, including the columns of zeros that `own` added."""

    def as_shard(self, share: Tensor, n_columns: int) -> Tensor:
        """This process's share of embeddings of ``n_columns``, as `torch.distributed.checkpoint` writes it."""

    def empty_shard(self, n_nodes: int, n_columns: int) -> Tensor:
        """The same for embeddings of this shape, to be read."""

    def of_shard(self, shard: Tensor) -> Tensor:
        """This process's share, from an `empty_shard` into which a checkpoint was read."""

    def to_score(self, embeddings: Tensor, n_users: int) -> tuple[Tensor, Tensor]:
        """All columns of the users that this process scores, in rows as given by `local_rows`, and of all items."""

    def take(self, embeddings: Tensor, nodes: Tensor) -> Tensor:
        """The rows of ``nodes``, in this process's columns, whichever process has them; differentiable."""

    def add(self, embeddings: Tensor, nodes: Tensor, rows: Tensor) -> None:
        """Add ``rows``, one for each of ``nodes``, to this process's share of ``embeddings``, in place."""

    def local_rows(self, nodes: Tensor) -> Tensor:
        """The rows that ``nodes`` have in this process's share; nodes that another process has are left out."""

    def home(self, device: torch.device) -> torch.device:
        """The device of a whole model whose steps are computed on ``device``."""

    def divided(self, model: nn.Module, pairs: Interactions, device: torch.device) -> AbstractContextManager[None]:
        """Within the block ``model``, made for ``pairs``, is this process's share, on ``device``; then whole again."""


class EveryNode:
    """The part of `Ranks` for processes that all have every node."""

    def own_nodes(self, values: Tensor) -> Tensor:
        return values

    def take(self, embeddings: Tensor, nodes: Tensor) -> Tensor:
        return embeddings.index_select(0, nodes)

    def add(self, embeddings: Tensor, nodes: Tensor, rows: Tensor) -> None:
        embeddings.index_add_(0, nodes, rows)

    def local_rows(self, nodes: Tensor) -> Tensor:
        return nodes

    def home(self, device: torch.device) -> torch.device:
        return device


@dataclass(frozen=True)
class Alone(EveryNode):
    """One process: it has everything already.

    Example:
        >>> import torch
        >>> ALONE.total(torch.tensor([1.0])), ALONE.first(3), isinstance(ALONE, Ranks)
        (tensor([1.]), 3, True)
    """

    rank: int = 0
    world: int = 1

    def everyone(self) -> Ranks:
        return self

    def layout(self) -> dict[str, int]:
        return {}

    def total(self, part: Tensor) -> Tensor:
        return part

    def whole(self, columns: Tensor) -> Tensor:
        return columns

    def rows(self, columns: Tensor) -> Tensor:
        return columns

    def own_rows(self, values: Tensor) -> Tensor:
        return values

    def all_rows(self, values: Tensor, n: int) -> Tensor:
        return values

    def shared(self, users: Tensor, work: RowsOf) -> Tensor:
        return work(users)

    def first(self, value: Value) -> Value:
        return value

    def own(self, embeddings: Tensor) -> Tensor:
        return embeddings

    def all_nodes(self, embeddings: Tensor) -> Tensor:
        return embeddings

    def as_shard(self, share: Tensor, n_columns: int) -> Tensor:
        return share

    def empty_shard(self, n_nodes: int, n_columns: int) -> Tensor:
        return torch.empty(n_nodes, n_columns)

    def of_shard(self, shard: Tensor) -> Tensor:
        return shard

    def to_score(self, embeddings: Tensor, n_users: int) -> tuple[Tensor, Tensor]:
        return embeddings[:n_users], embeddings[n_users:]

    def divided(self, model: nn.Module, pairs: Interactions, device: torch.device) -> AbstractContextManager[None]:
        return nullcontext()


ALONE = Alone()

"""The processes that share one training, as the code that computes sees them: here the only one there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from torch import Tensor

Value = TypeVar("Value")


@runtime_checkable
class Ranks(Protocol):
    """Processes that have the graph each and share the columns of the embeddings.

    What is computed for each column alone needs no other process. A sum over columns does, and these are the ways in
    which it gets what it needs; `ltocf.scale.columns` has them for several processes. All processes call the same
    methods in the same order.
    """

    @property
    def rank(self) -> int:
        """The number of this process, from 0; process 0 decides, writes and shows progress."""

    @property
    def world(self) -> int:
        """How many there are."""

    def total(self, part: Tensor) -> Tensor:
        """The sum of what each process has; its gradient is the gradient of each part."""

    def own(self, columns: Tensor) -> Tensor:
        """This process's share of columns that all have; zeros are added where they do not divide."""

    def whole(self, columns: Tensor) -> Tensor:
        """The columns of all processes side by side, zeros that `own` added among them; differentiable."""

    def rows(self, columns: Tensor) -> Tensor:
        """All columns of this process's share of the rows, from its columns of all rows; differentiable."""

    def own_rows(self, values: Tensor) -> Tensor:
        """This process's share of rows that all have."""

    def all_rows(self, values: Tensor, n: int) -> Tensor:
        """All ``n`` rows, of which each process has its share."""

    def first(self, value: Value) -> Value:
        """What process 0 has; a tensor is written to in place."""


@dataclass(frozen=True)
class Alone:
    """One process: it has everything already.

    Example:
        >>> import torch
        >>> ALONE.total(torch.tensor([1.0])), ALONE.first(3), isinstance(ALONE, Ranks)
        (tensor([1.]), 3, True)
    """

    rank: int = 0
    world: int = 1

    def total(self, part: Tensor) -> Tensor:
        return part

    def own(self, columns: Tensor) -> Tensor:
        return columns

    def whole(self, columns: Tensor) -> Tensor:
        return columns

    def rows(self, columns: Tensor) -> Tensor:
        return columns

    def own_rows(self, values: Tensor) -> Tensor:
        return values

    def all_rows(self, values: Tensor, n: int) -> Tensor:
        return values

    def first(self, value: Value) -> Value:
        return value


ALONE = Alone()

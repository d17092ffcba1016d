"""What the training loop needs from a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.losses import LossTerms
from ltocf.sampling import Batch


class Trainable(nn.Module, ABC):
    """A module with a loss for a batch."""

    ranks: Ranks = ALONE
    """The processes that share it while it is trained."""
    per_node: ClassVar[tuple[str, ...]] = ()
    """Buffers with a row for each node, which go with the rows of `columns`."""

    @abstractmethod
    def forward(self, batch: Batch) -> LossTerms:
        """The loss of one training batch."""

    def columns(self) -> dict[str, int]:
        """The names of parameters with a row for each node whose columns are never mixed, and their number of columns.

        Processes can share these columns; every process has all other parameters. Empty: one process trains the model.
        """
        return {}

    def freeze(self) -> bool:
        """Compute what the steps would have to look up, before an epoch whose steps are recorded on a GPU.

        Returns:
            Whether the steps depend on no value from now on, so that one recording serves them all.
        """
        return False

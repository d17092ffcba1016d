"""What the loop asks of a model."""

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
        """Parameters with rows of nodes whose columns nothing mixes, and how many columns there are: processes can
        share them. All other parameters are in every process. None: the model is trained by one process.
        """
        return {}

    def freeze(self) -> bool:
        """Before an epoch whose steps are recorded on a GPU: settle now what steps would have to look up.

        Returns:
            Whether steps depend on no value from here on, so that one recording serves them all.
        """
        return False

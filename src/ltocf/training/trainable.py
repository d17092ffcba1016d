"""What the loop asks of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from ltocf.losses import LossTerms
from ltocf.sampling import Batch


class Trainable(nn.Module, ABC):
    """A module with a loss for a batch."""

    @abstractmethod
    def forward(self, batch: Batch) -> LossTerms:
        """The loss of one training batch."""

    def freeze(self) -> bool:
        """Before an epoch whose steps are recorded on a GPU: settle now what steps would have to look up.

        Returns:
            Whether steps depend on no value from here on, so that one recording serves them all.
        """
        return False

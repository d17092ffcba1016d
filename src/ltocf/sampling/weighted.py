"""Weights of pairs: factors of their loss, or of how often they are drawn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ltocf.shapes import PairWeights


def relative_weights(weights: PairWeights, device: torch.device | str) -> Tensor:
    """Weights with a mean of 1, so that learning rates mean the same with and without.

    Example:
        >>> relative_weights(np.array([1, 3], np.float32), "cpu").tolist()
        [0.5, 1.5]
    """
    return torch.from_numpy(weights / weights.mean(dtype=np.float64).astype(np.float32)).to(device)


class CumulativeWeights:
    """Cumulative weights of pairs, so that a draw is one search.

    Args:
        weights: > 0, one for each pair.
        device: where the draws are made.

    Example:
        >>> weights = CumulativeWeights(np.array([1, 1e-6, 5], np.float32), "cpu")
        >>> weights.draw(torch.tensor([0, 2]), torch.tensor([2, 1]), torch.Generator().manual_seed(0)).tolist()
        [0, 2]
    """

    def __init__(self, weights: PairWeights, device: torch.device | str) -> None:
        sums = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])
        self._sums = torch.from_numpy(sums).to(device)

    def draw(self, starts: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """A pair from each run ``starts[r] .. starts[r] + lengths[r] - 1``, in proportion to its weight."""
        below, above = self._sums[starts], self._sums[starts + lengths]
        uniform = torch.rand(len(starts), dtype=torch.float64, device=below.device, generator=generator)
        places = torch.searchsorted(self._sums, below + uniform * (above - below), right=True) - 1
        # Rounding can reach the first pair after the run.
        return torch.minimum(places, starts + lengths - 1)

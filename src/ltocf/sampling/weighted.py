"""Pairs drawn in proportion to their weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ltocf.shapes import PairWeights


class CumulativeWeights:
    """Weights of pairs, added up, so that a draw is one search.

    Args:
        weights: > 0, one for each pair.
        device: where the draws are made.

    Example:
        >>> weights = CumulativeWeights(np.array([1, 1e-6], np.float32), "cpu")
        >>> weights.draw(3, torch.Generator().manual_seed(0)).tolist()
        [0, 0, 0]
    """

    def __init__(self, weights: PairWeights, device: torch.device | str) -> None:
        sums = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])
        self._sums = torch.from_numpy(sums).to(device)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` pairs, with replacement."""
        return self._search(torch.zeros(n, dtype=torch.long, device=self._sums.device), len(self._sums) - 1, generator)

    def draw_within(self, starts: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """A pair from each run ``starts[r] .. starts[r] + lengths[r] - 1``."""
        return self._search(starts, lengths, generator)

    def _search(self, starts: Tensor, lengths: Tensor | int, generator: torch.Generator) -> Tensor:
        below, above = self._sums[starts], self._sums[starts + lengths]
        uniform = torch.rand(len(starts), dtype=torch.float64, device=below.device, generator=generator)
        places = torch.searchsorted(self._sums, below + uniform * (above - below), right=True) - 1
        # Rounding can reach the border.
        return places.clamp(max=starts + lengths - 1)

"""The rare items of a core: why they come more often after a split than their training pairs say."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import gammaln, xlogy

from ltocf.shapes import ItemValues

LARGEST_CORE = 1000
"""Beyond what any data set is filtered by; a table of so many numbers takes no time."""


def log_core_ratio(degrees: ItemValues, core: int, held_out: float) -> ItemValues:
    """How much more often an item is held out than its share of the training pairs, as a logarithm.

        ρ(d) = E[held out | d kept] / (d f / (1 - f)) = P(X <= d) / P(X <= d - 1),   X ~ Binomial(k - 1, 1 - f)

    In a k-core every item has k pairs or more. If a share f of them is held out after that, an item with few training
    pairs has at least the rest of the k among those held out. ρ(d) is 1 from d = k on. Of Gowalla, a 10-core, items
    with 7, 8 and 9 training pairs have 2.3, 1.6 and 1.1 times as many test pairs for each of them as those with 10 or
    more; ρ is 2.0, 1.5 and 1.1 (``benchmarks/core.py``).

    Args:
        degrees: d, the number of training pairs of each item; an item without any counts as one with a single pair.
        core: k, at most `LARGEST_CORE`; 0 or 1 for no core.
        held_out: f, the share of all pairs that was held out, in (0, 1).

    Source: our own. The number n of all pairs of an item has the prior p(n) ∝ 1 / n for n >= k, and each pair is kept
    with probability 1 - f. Without the bound k the expectation would be d f / (1 - f), so ρ is what the bound changes.

    Example:
        >>> log_core_ratio(torch.tensor([7.0, 9.0, 10.0]), 10, 0.2).exp()
        tensor([2.1535, 1.1550, 1.0000])
    """
    at_least = max(core, 1)
    n, kept = at_least - 1, np.arange(at_least)
    # In logarithms, because P(X = 0) = f^(k - 1) may be too small for a number of double precision.
    log_choices = gammaln(n + 1) - gammaln(kept + 1) - gammaln(n - kept + 1)
    log_probabilities = log_choices + xlogy(kept, 1 - held_out) + xlogy(n - kept, held_out)
    table = np.zeros(at_least + 1)
    table[1:at_least] = np.diff(np.logaddexp.accumulate(log_probabilities))
    ratios: ItemValues = torch.from_numpy(table).to(degrees)[degrees.round().long().clamp(min=1, max=at_least)]
    return ratios

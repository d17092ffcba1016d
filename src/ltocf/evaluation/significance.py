"""Whether one method is better than another over the same users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ltocf.shapes import UserValues


class Comparison(NamedTuple):
    """Mean difference per user, and the two-sided p-value of a paired t-test."""

    difference: float
    p_value: float


def compare(first: UserValues, second: UserValues) -> Comparison:
    """The paired t-test of two methods over users.

        d_u = first_u - second_u,   t = mean(d) / (std(d) / √n)

    With thousands of users the mean difference is close to normal whatever the metric's own distribution, which the
    test needs and nothing more. Equal methods have p = 1.

    Raises:
        ValueError: not the same users, or fewer than two.

    Source: Smucker, Allan and Carterette, CIKM 2007, https://doi.org/10.1145/1321440.1321528, who find the t-test and
    randomisation to agree on ranking metrics.

    Example:
        >>> better = np.array([0.5, 0.6, 0.7, 0.9]), np.array([0.4, 0.5, 0.5, 0.8])
        >>> compare(*better).difference.__round__(3), compare(*better).p_value < 0.05
        (0.125, True)
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"both methods must have the same users, at least two, got {len(first)} and {len(second)}")
    difference = first.astype(np.float64) - second.astype(np.float64)
    if not difference.any():
        return Comparison(0.0, 1.0)
    return Comparison(float(difference.mean()), float(stats.ttest_1samp(difference, 0.0).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for having made several tests: below α, all of them together are wrong with probability α.

        adjusted_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)),   p_(1) <= ... <= p_(m)

    Source: Holm, Scandinavian Journal of Statistics 6, 1979, https://www.jstor.org/stable/4615733

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p_values, np.float64)[order]))
    result = np.empty(len(p_values))
    result[order] = adjusted
    return [float(value) for value in result]

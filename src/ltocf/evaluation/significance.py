"""Whether one method is better than another over the same users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ltocf.shapes import MeasuredUsers, UserValues


class Comparison(NamedTuple):
    """Mean difference per user, and the two-sided p-value of a paired t-test."""

    difference: float
    p_value: float


class Interval(NamedTuple):
    """A mean difference per user, and its confidence interval."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, eq=False)
class UserResult:
    """One metric of one method, user by user.

    Args:
        users: the index of each user, in any order, none twice.
        values: the metric of each of these users.
        split: the digest of the split that it was measured on, see `Split.digest`.

    Raises:
        ValueError: not one value per user, or a user twice.
    """

    users: MeasuredUsers
    values: UserValues
    split: str

    def __post_init__(self) -> None:
        if len(self.users) != len(self.values):
            raise ValueError(f"need one value per user, got {len(self.values)} for {len(self.users)}")
        if n_repeated := len(self.users) - len(np.unique(self.users)):
            raise ValueError(f"each user must occur once, got {n_repeated} repeated")


def compare_results(first: UserResult, second: UserResult) -> Comparison:
    """The paired t-test of `compare`, each user's value against the same user's value.

    Raises:
        ValueError: results of different splits, or of different users.

    Example:
        >>> ours = UserResult(np.array([0, 1, 2]), np.array([0.5, 0.6, 0.9]), "a1b2")
        >>> theirs = UserResult(np.array([2, 0, 1]), np.array([0.5, 0.4, 0.4]), "a1b2")
        >>> compare_results(ours, theirs).difference.__round__(3)
        0.233
    """
    return compare(*_same_users([first, second]))


def difference_interval(first: UserResult, second: UserResult, confidence: float = 0.95) -> Interval:
    """The interval of the mean difference of two methods: it contains zero if `compare` has p > 1 - confidence.

        mean(d) ± t_(n-1) std(d) / √n,   d_u = first_u - second_u

    Args:
        first, second: one metric of the same users, at least two.
        confidence: in (0, 1).

    Raises:
        ValueError: results of different splits or users, fewer than two users, or ``confidence`` out of range.

    Example:
        >>> ours = UserResult(np.array([0, 1, 2, 3]), np.array([0.5, 0.6, 0.7, 0.9]), "a1b2")
        >>> theirs = UserResult(np.array([0, 1, 2, 3]), np.array([0.4, 0.5, 0.5, 0.8]), "a1b2")
        >>> [round(value, 3) for value in difference_interval(ours, theirs)]
        [0.045, 0.125, 0.205]
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be in (0, 1), got {confidence}")
    ours, theirs = _same_users([first, second])
    if len(ours) < 2:
        raise ValueError(f"an interval needs at least two users, got {len(ours)}")
    from scipy import stats  # half of what importing this package costs, so only when it is used

    difference = ours.astype(np.float64) - theirs.astype(np.float64)
    half = stats.t.ppf((1 + confidence) / 2, len(ours) - 1) * difference.std(ddof=1) / np.sqrt(len(ours))
    middle = float(difference.mean())
    return Interval(middle - float(half), middle, middle + float(half))


def mean_result(results: Sequence[UserResult]) -> UserResult:
    """The mean of several results, such as those of several seeds, user by user.

    Raises:
        ValueError: results of different splits, or of different users.
    """
    return UserResult(np.sort(results[0].users), np.mean(_same_users(results), axis=0), results[0].split)


def compare(first: UserValues, second: UserValues) -> Comparison:
    """The paired t-test of two methods over users.

        d_u = first_u - second_u,   t = mean(d) / (std(d) / √n)

    With thousands of users the mean difference is close to normal whatever the metric's own distribution, and the test
    needs nothing more. Equal methods have p = 1.

    Args:
        first: a metric of each user.
        second: the same metric of the other method, users in the same order; for other orders see `compare_results`.

    Raises:
        ValueError: not the same number of users, or fewer than two.

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
    from scipy import stats

    return Comparison(float(difference.mean()), float(stats.ttest_1samp(difference, 0.0).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for several tests: the probability that any of those below α is a false alarm is at most α.

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


def _same_users(results: Sequence[UserResult]) -> list[UserValues]:
    """The values of each result, all in ascending order of users."""
    first = results[0]
    for other in results[1:]:
        if other.split != first.split:
            raise ValueError(
                f"results must be of one split, got the digests {first.split[:12]} and {other.split[:12]}: train both "
                "on the same data with the same settings in [data]"
            )
        if not np.array_equal(np.sort(first.users), np.sort(other.users)):
            n_alone = len(np.setxor1d(first.users, other.users))
            raise ValueError(f"results must be of the same users, got {n_alone} users that only one of them has")
    return [result.values[np.argsort(result.users)] for result in results]

"""Drift: how the best numbers of recency change as histories grow, measured before the last training."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64
from numpy.polynomial.polynomial import polyfit, polyval
from scipy.optimize import minimize
from torch import Tensor

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.data.order import ages_of
from ltocf.data.splitting import last_of_each_user
from ltocf.evaluation.evaluate import evaluate_per_user
from ltocf.evaluation.validation import sample_users
from ltocf.graph import BipartiteGraph
from ltocf.graph.svd import item_singular_vectors
from ltocf.models.recency import Recency, log_trend
from ltocf.shapes import Scores, UserIndices

logger = logging.getLogger(__name__)

POWERS = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0)
"""At which the quality of the similarities is measured; a cubic in p / (1 + p) joins them."""
DEGREE = 3
LEAST_POWER = 0.1
"""With a smaller best power histories are sets in effect, and the ratio of such powers says nothing."""
RANK, DEPTH = 64, 20
MOST_PAIRS, MOST_SCORES = 2_000_000, 330_000_000
"""Users are sampled so that no more pairs are read, and no more scores computed for a power: 8,000 users of Gowalla."""
RESAMPLES = 200
USUAL_CHANGE, MOST_CHANGE, LARGEST_EXPONENT = 0.25, math.log(2), 50.0
PowerAtCuts: TypeAlias = Float64[np.ndarray, " cuts"]
ResampledPowers: TypeAlias = Float64[np.ndarray, "resamples cuts"]


class Drift(NamedTuple):
    """The factors by which the numbers of recency change from one part of all histories to the next.

    Args:
        power: of the power of recency.
        trend: of the exponent of the trend.
    """

    power: float = 1.0
    trend: float = 1.0


NO_DRIFT = Drift()


class Cut(NamedTuple):
    """The beginning of every history and, withheld, what follows."""

    before: Interactions
    after: Interactions


def measured_drift(train: Interactions, validation: Interactions, seed: int = 0) -> Drift:
    """What the numbers chosen on ``validation`` should be multiplied by, to suit what comes after it.

        number(next) ≈ number(validation) · x(validation) / x(the part before),   shrunk towards 1

    A validation set chooses the recency that suited histories when they were shorter; what is recommended next follows
    the longer ones. x is measured on two cuts, the validation set and a part of the same size before it: for the power
    the best p, in items, of similarities that know neither part, for the trend the slope of log counts of items over
    log T, see `log_trend`. With d = log of the ratio and its standard error s the factor is exp(d / (1 + (s / 0.25)²)),
    in [1/2, 2], so few users change little.

    Args:
        train: the pairs that were trained on.
        validation: the pairs that chose. If they are not the end of each history, or if there is no order, both factors
            are 1.
        seed: of the users who are measured, and of the decomposition.

    Source: our own. d / (1 + (s / 0.25)²) is the posterior mean of a change that is normal with deviation 0.25; the
    standard error of the power comes from resampled users, that of the slopes is Huber's and White's.

    Example:
        >>> log = Interactions.from_pairs([0, 0, 0], [0, 1, 2])
        >>> measured_drift(log.where(log.items < 2), log.where(log.items == 2))
        Drift(power=1.0, trend=1.0)
    """
    cuts = _cuts(train, validation, seed)
    if cuts is None or not all(len(pairs) for cut in cuts for pairs in cut):
        return NO_DRIFT
    drift = Drift(_power_factor(*cuts, seed), _trend_factor(*cuts))
    logger.info("recency: from one part of the histories to the next, power × %.2f, trend × %.2f", *drift)
    return drift


def _cuts(train: Interactions, validation: Interactions, seed: int) -> tuple[Cut, Cut] | None:
    """The part before the validation set and that set, for a sample of users if there are many pairs."""
    n_pairs = len(train) + len(validation)
    if n_pairs > MOST_PAIRS:
        n_users = int(MOST_PAIRS * np.count_nonzero(train.user_degrees) // n_pairs)
        kept = np.flatnonzero(sample_users(train, seed, max(n_users, 1)).user_degrees)
        train, validation = (_of_users(pairs, kept) for pairs in (train, validation))
    everything = train.union(validation)
    ages = ages_of(everything)
    if ages is None:
        return None
    is_after = np.isin(everything.keys, validation.keys, assume_unique=True)
    first_after = np.full(train.n_users, -1)
    np.maximum.at(first_after, everything.users[is_after], ages.later[is_after])
    if (ages.later[~is_after] < first_after[everything.users[~is_after]]).any():
        return None  # chosen at random, not the end
    when = train.places if train.timestamps is None else train.timestamps
    assert when is not None  # or there would be no ages
    counts = np.minimum(validation.user_degrees, train.user_degrees - 1)
    held = last_of_each_user(train, counts, np.lexsort((train.items, when, train.users)))
    return Cut(train.where(~held), train.where(held)), Cut(train, validation)


def _of_users(pairs: Interactions, kept: np.ndarray) -> Interactions:
    """The pairs of some users, who are numbered anew in their order."""
    chosen = pairs.where(np.isin(pairs.users, kept))
    return replace(chosen, users=np.searchsorted(kept, chosen.users), n_users=len(kept))


def _power_factor(earlier: Cut, later: Cut, seed: int) -> float:
    best, resampled = best_powers((earlier, later), seed)
    if best.min() <= LEAST_POWER:
        return 1.0
    before, after = np.log(resampled.clip(LEAST_POWER)).T
    return _shrunk(math.log(best[1] / best[0]), float((after - before).std()))


def best_powers(cuts: Sequence[Cut], seed: int = 0) -> tuple[PowerAtCuts, ResampledPowers]:
    """The power of recency at each cut that suits similarities best, which know only what is before the first one.

    Args:
        cuts: from the earliest to the latest.
        seed: of the users who are measured and resampled, and of the decomposition.

    Returns:
        The powers, (cuts,), and those of resampled users, (resamples, cuts). All are 0 if nobody has items after every
        cut.
    """
    users = np.flatnonzero(np.all([cut.after.user_degrees > 0 for cut in cuts], axis=0))
    if not len(users):
        return np.zeros(len(cuts)), np.zeros((RESAMPLES, len(cuts)))
    random = np.random.default_rng(seed)
    chosen = random.permutation(users)[: max(1, MOST_SCORES // cuts[0].before.n_items)]
    similarities = _Similarities(cuts[0].before, seed)
    curves = np.stack([similarities.curves(cut, chosen) for cut in cuts])
    counts = random.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), RESAMPLES)
    return _peaks(curves.mean(1)), np.stack([_peaks(counts @ curve / len(chosen)) for curve in curves], axis=1)


def _peaks(curves: np.ndarray) -> np.ndarray:
    """The power at which the cubic through each row of values at `POWERS` is largest."""
    known = np.array(POWERS) / (1 + np.array(POWERS))
    places = np.linspace(known[0], known[-1], 401)
    best = places[polyval(places, polyfit(known, curves.T, DEGREE)).argmax(axis=-1)]
    peaks: np.ndarray = best / (1 - best)
    return peaks


class _Similarities:
    """Scores of histories by the truncated SVD of a graph: <Σ_j r̃_uj d_j^-1/2 v_j, v_i> d_i^1/2."""

    def __init__(self, known: Interactions, seed: int) -> None:
        graph = BipartiteGraph.from_interactions(known)
        n_nodes = min(int((known.user_degrees > 0).sum()), int((known.item_degrees > 0).sum()))
        _, vectors = item_singular_vectors(
            lambda items: graph.items_from_users(graph.users_from_items(items)),
            graph.n_items,
            min(RANK, n_nodes),
            seed,
        )
        roots = graph.item_degrees.clamp(min=1).sqrt()[:, None]
        self.touch, self.items, self.power = vectors / roots, vectors * roots, 0.0
        self.is_known, self.n_items, self.device = known.item_degrees > 0, graph.n_items, torch.device("cpu")

    def curves(self, cut: Cut, users: np.ndarray) -> np.ndarray:
        """NDCG of what is after a cut, for each user and each power.

        Items without a vector are left out of the histories: otherwise others would count as older the more of them
        there are.
        """
        self.histories = Histories.of(cut.before.where(self.is_known[cut.before.items]))
        seen, values = Histories.of(cut.before, ages=False), []
        truth = cut.after.where(np.isin(cut.after.users, users))
        for power in POWERS:
            self.power = power
            measured = evaluate_per_user(self, truth, seen=seen, ks=[min(DEPTH, self.n_items)])
            values.append(next(v for name, v in measured.values.items() if name.startswith("ndcg")).numpy())
        return np.stack(values, axis=1)

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each requested user."""
        histories = self.histories.rows(users)
        rows, ages = torch.repeat_interleave(histories.lengths), Recency(self.power).ages(histories)
        assert ages is not None
        weights = Recency(self.power).weights(ages, rows, len(histories))
        touched = self.touch[histories.items.long()] * weights[:, None]
        sums: Tensor = touched.new_zeros(len(histories), touched.shape[1]).index_add_(0, rows, touched)
        return sums @ self.items.T


def _trend_factor(earlier: Cut, later: Cut) -> float:
    (before, its_error), (after, error) = (trend_slope(cut) for cut in (earlier, later))
    if min(before, after) <= 0:
        return 1.0
    return _shrunk(math.log(after / before), math.hypot(its_error / before, error / after))


def trend_slope(cut: Cut) -> tuple[float, float]:
    """By how much the trend of an item tells how often it is touched after a cut, and the standard error of that.

        E[count after] = exp(a + (1 + b) log d + e log T),   by Poisson regression over the items; returns e

    d and T are those of the histories before the cut, see `log_trend`. The error is right although counts vary more
    than Poisson's.
    """
    degrees, counts = (pairs.item_degrees.astype(float) for pairs in cut)
    known = degrees > 0
    trend = log_trend(Histories.of(cut.before), "items").numpy()[known].astype(float)
    columns = np.column_stack([np.ones_like(trend), np.log(degrees[known]), trend])
    return _last_coefficient(columns, degrees[known], counts[known])


def _last_coefficient(columns: np.ndarray, exposures: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """That of a Poisson regression with its standard error; 0 with an infinite one if the data do not determine it."""

    def rates(numbers: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(np.minimum(columns @ numbers, LARGEST_EXPONENT)) * exposures)

    def loss(numbers: np.ndarray) -> float:
        return float(rates(numbers).sum() - counts @ (columns @ numbers))

    def gradient(numbers: np.ndarray) -> np.ndarray:
        return np.asarray(columns.T @ (rates(numbers) - counts))

    def hessian(numbers: np.ndarray) -> np.ndarray:
        return np.asarray((columns * rates(numbers)[:, None]).T @ columns)

    start = np.zeros(columns.shape[1])
    start[0] = math.log(max(counts.sum(), 1) / exposures.sum())
    found = minimize(loss, start, method="trust-exact", jac=gradient, hess=hessian)
    spread = columns * (counts - rates(found.x))[:, None]
    is_optimum = np.abs(spread.sum(0)).max() < 1e-4 * max(counts.sum(), 1)
    try:
        inverse = np.linalg.inv(hessian(found.x))
    except np.linalg.LinAlgError:
        return 0.0, math.inf
    variance = float((inverse @ (spread.T @ spread) @ inverse)[-1, -1])
    return (float(found.x[-1]), math.sqrt(variance)) if is_optimum and 0 < variance < math.inf else (0.0, math.inf)


def _shrunk(change: float, error: float) -> float:
    """exp of the expected change, given a measured one with its standard error.

    Example:
        >>> round(_shrunk(-0.4, 0.1), 3), round(_shrunk(-0.4, 0.5), 3), _shrunk(3.0, 0.1), _shrunk(3.0, math.inf)
        (0.708, 0.923, 2.0, 1.0)
    """
    expected = change / (1 + (error / USUAL_CHANGE) ** 2)
    return math.exp(max(-MOST_CHANGE, min(MOST_CHANGE, expected))) if math.isfinite(expected) else 1.0

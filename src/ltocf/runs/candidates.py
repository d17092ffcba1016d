"""The candidates of a contest: models and settings that suit the size of the data and the time limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ltocf.models.recency import POWERS
from ltocf.runs.estimate import (
    FITS,
    drift_minutes,
    neighbour_minutes,
    ranking_minutes,
    regression_minutes,
    spectral_minutes,
    start_minutes,
    training_minutes,
)
from ltocf.runs.presets import SOFTMAX_RECIPE
from ltocf.training import SEARCH_USERS

MINUTES, LARGE, MINUTES_PER_MILLION = 1.0, 1_000_000, 20.0
RANKS = (64, 256, 1024)
LARGEST_EASE = 8_000
"""Items; with more, a factorisation takes minutes, and every L2 weight that is tried needs one."""
DIMS = (128, 64)
"""The larger first: it gives the better model."""
SHORTER: dict[str, Any] = {"epochs": 16}
"""If the preset's 32 do not fit. From the spectrum four passes validate as eight from random embeddings do
(docs/scale.md), and a schedule that the time limit cuts off never reaches low rates."""
SHORTEST: dict[str, Any] = {"epochs": 8, "n_negatives": 2048, "validate_every": 4, "validation_users": 4000}
"""If not even those epochs fit: two passes, with fewer negatives, validated by fewer users (docs/auto.md)."""
WEIGHED_USERS = 4000
"""Users by whom the weights of a blend are chosen; for two blends on Gowalla 8,000 users chose the same."""
SHARE_OF_TRAINING = 0.6
"""The share of the time for training by gradient, where all closed forms compete."""
SHARE_PLANNED = 0.84
"""The share of the time that a plan fills; the rest is for reading, weighing and ranking the test set."""
REGRESSION_RANKS = (1024, 512, 256)
"""Twice the rank is the better model, but takes almost three times as long."""
SHORT_SEARCH: dict[str, int] = {"epochs": 1, "validation_users": 4000}
"""Of `sequence-knn` and `history-regression` in a plan: only their recency is chosen. With a tenth of the weight
or less, their other numbers hardly matter."""


class Candidate(NamedTuple):
    """A model with its settings, or why it does not compete.

    Args:
        name: its name in tables and files.
        model: a key of `MODELS`.
        values: settings by name that differ from the preset's.
        skipped: the reason why it does not compete; empty if it does.
        minutes: about how long its selection and its training on all pairs take together, on two cores; 0 if there is
            no plan.
        retraining: those of its training on all pairs, perhaps only for one more pass.
    """

    name: str
    model: str
    values: dict[str, Any]
    skipped: str = ""
    minutes: float = 0.0
    retraining: float = 0.0


def default_minutes(n_pairs: int) -> float:
    """The default time limit of a contest: 1 minute below a million pairs, then 20 minutes for each million.

    Example:
        >>> [round(default_minutes(n)) for n in (60_000, 999_999, 1_027_370)]
        [1, 1, 21]
    """
    return MINUTES if n_pairs < LARGE else MINUTES_PER_MILLION * n_pairs / LARGE


def candidates_for(n_users: int, n_items: int, n_pairs: int, minutes: float, in_order: bool = False) -> list[Candidate]:
    """All candidates, in the order in which they compete.

    All closed forms of a small catalogue compete, before LT-OCF: they give the most in the least time. Those of a large
    one take minutes too. So a plan is made by the minute: the closed forms that add most, then LT-OCF with as many
    epochs as fit, then the other closed forms.

    Args:
        n_users: number of users.
        n_items: number of items.
        n_pairs: number of training pairs.
        minutes: time limit of the whole contest.
        in_order: whether histories have an order.

    Example:
        >>> [c.name for c in candidates_for(1_000, 700, 50_000, 1.0) if not c.skipped]
        ['ease', 'spectral-64', 'spectral-256', 'item-knn', 'ltocf-128']
        >>> gowalla = candidates_for(30_000, 41_000, 640_000, 20.0, in_order=True)
        >>> [(c.name, round(c.minutes, 1)) for c in gowalla if not c.skipped]
        [('sequence-knn', 0.2), ('history-regression', 2.4), ('ltocf-128', 8.4), ('ltocf-64', 5.2)]
        >>> [c.skipped for c in gowalla if c.skipped]
        ['about 3.6 minutes more', 'about 2.5 minutes more', '41,000 items, at most 8,000']
        >>> [c.name for c in candidates_for(30_000, 41_000, 640_000, 5.0, in_order=True) if not c.skipped]
        ['sequence-knn', 'history-regression', 'ltocf-128']
    """
    ranks = [rank for rank in RANKS if rank < min(n_users, n_items)] or [1]
    if n_items > LARGEST_EASE:
        sizes = n_users, n_items, n_pairs
        neighbours, groups = _neighbours(*sizes, in_order), list(_trainings(*sizes))
        regressions = [_regression(*sizes, rank) for rank in REGRESSION_RANKS]
        spectral = [_spectral(*sizes, rank) for rank in ranks[-2:]]
        beside = [[regression] for regression in regressions]
        # As sets, a regression is better by itself than LT-OCF is.
        alone, others, drift = beside, [*spectral, neighbours], 0.0
        if in_order:
            beside = [[neighbours, regression] for regression in regressions] + [[regressions[-1]], [neighbours]]
            alone, others, drift = [], [neighbours, *spectral[::-1]], drift_minutes(n_users, n_items)
        choices = [[*forms, *training] for group in groups for forms in beside for training in group] + alone
        choices += [training for group in groups for training in group]
        ease = Candidate("ease", "ease", {}, f"{n_items:,} items, at most {LARGEST_EASE:,}")
        return [*_planned(choices, [regressions[-1], *others], SHARE_PLANNED * minutes - drift), ease]
    return _of_small_catalogue(n_items, n_pairs, ranks[:2], minutes, in_order)


def _of_small_catalogue(
    n_items: int, n_pairs: int, ranks: list[int], minutes: float, in_order: bool
) -> list[Candidate]:
    candidates = [Candidate("ease", "ease", {})]
    candidates += [Candidate(f"spectral-{rank}", "spectral", {"rank": rank}) for rank in ranks]
    candidates.append(Candidate("item-knn", "item-knn", {}))
    if in_order:
        candidates.append(Candidate("sequence-knn", "sequence-knn", {}))
    left = SHARE_OF_TRAINING * minutes
    for dim in DIMS:
        values, needed = {"dim": dim}, training_minutes(n_items, n_pairs, dim)
        if needed > left:
            values, needed = values | SHORTER, training_minutes(n_items, n_pairs, dim, **SHORTER)
        skipped = "" if needed <= left else _more(needed)
        left -= 0 if skipped else needed
        candidates.append(Candidate(f"ltocf-{dim}", "ltocf", values, skipped))
    return candidates


def _more(minutes: float) -> str:
    return f"about {minutes:.1f} minutes more"


def _planned(choices: list[list[Candidate]], closed: list[Candidate], left: float) -> list[Candidate]:
    """The first of ``choices`` that fits, then the closed forms that fit beside it; the others skipped.

    If none fits, all closed forms compete without a plan: together they may take longer than the limit.
    """
    chosen = next((choice for choice in choices if sum(each.minutes for each in choice) <= left), None)
    if chosen is None:
        chosen = [each._replace(minutes=0.0) for each in closed]
    left -= sum(each.minutes for each in chosen)
    planned, names = list(chosen), {each.name for each in chosen}
    for each in closed:
        if each.name not in names:
            skipped = "" if each.minutes <= left else _more(each.minutes)
            left -= 0 if skipped else each.minutes
            planned.append(each._replace(skipped=skipped))
    names = {each.name for each in planned}
    quickest = {each.name: each for choice in choices for each in choice if each.name not in names}
    return planned + [each._replace(skipped=_more(each.minutes)) for each in quickest.values()]


def _neighbours(n_users: int, n_items: int, n_pairs: int, in_order: bool) -> Candidate:
    """Those by order or, as sets, those by users; beside the former the latter add nothing."""
    if in_order:
        ranked = min(n_users, SHORT_SEARCH["validation_users"])
        needed = neighbour_minutes(ranked, n_items, n_pairs, SHORT_SEARCH["epochs"])
        return Candidate("sequence-knn", "sequence-knn", SHORT_SEARCH, "", needed)
    return Candidate("item-knn", "item-knn", {}, "", neighbour_minutes(min(n_users, SEARCH_USERS), n_items, n_pairs))


def _regression(n_users: int, n_items: int, n_pairs: int, rank: int) -> Candidate:
    # After a few values of recency come the weights of the blend and the lists of all.
    n_tried = len(POWERS) + 2 + SHORT_SEARCH["epochs"]
    n_ranked = n_tried * min(n_users, SHORT_SEARCH["validation_users"]) + min(n_users, WEIGHED_USERS) + n_users
    needed = regression_minutes(n_ranked, n_items, n_pairs, rank)
    return Candidate("history-regression", "history-regression", {"rank": rank, **SHORT_SEARCH}, "", needed)


def _spectral(n_users: int, n_items: int, n_pairs: int, rank: int) -> Candidate:
    needed = spectral_minutes(min(n_users, SEARCH_USERS), n_items, n_pairs, rank)
    return Candidate(f"spectral-{rank}", "spectral", {"rank": rank}, "", needed)


def _trainings(n_users: int, n_items: int, n_pairs: int) -> Iterator[list[list[Candidate]]]:
    """The LT-OCFs that may compete together, the best first, in groups in which the larger is the same.

    The larger never has fewer epochs, but 32 epochs of one are not preferred to 16 of both.
    """
    larger, smaller = (
        [_lt_ocf(n_users, n_items, n_pairs, dim, changed) for changed in ({}, SHORTER, SHORTEST)] for dim in DIMS
    )
    yield [[larger[0], smaller[0]]]
    for place in (1, 2):
        yield [*([larger[place], other] for other in smaller[place:]), [larger[place]]]
    yield [[_lt_ocf(n_users, n_items, n_pairs, DIMS[0], SHORTEST, one_more_pass=True)]]
    yield [[smaller[2]]]


def _lt_ocf(
    n_users: int, n_items: int, n_pairs: int, dim: int, changed: dict[str, Any], one_more_pass: bool = False
) -> Candidate:
    """LT-OCF with some settings changed, and its minutes; one more pass goes on from weights of two passes."""
    values, start = SOFTMAX_RECIPE | changed, start_minutes(n_pairs, dim)
    steps = training_minutes(n_items, n_pairs, dim, values["epochs"], values["n_negatives"]) / FITS
    ranked = min(n_users, values.get("validation_users", n_users))
    rankings = ranking_minutes(ranked, n_items, values["epochs"] // values["validate_every"])
    retraining = steps / 2 if one_more_pass else start + steps
    if values["epochs"] == SHORTEST["epochs"]:
        # On a quarter more pairs; but the best epoch of a longer training comes about a fifth before its end.
        retraining *= 1.25
    needed = start + steps + rankings + retraining
    return Candidate(f"ltocf-{dim}", "ltocf", {"dim": dim, **changed}, "", needed, retraining)

"""The candidates of a contest: models and settings that suit the size of the data and the time limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ltocf.runs.estimate import (
    FITS,
    drift_minutes,
    neighbour_minutes,
    ranking_minutes,
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
SHORTEST: dict[str, Any] = {"epochs": 8, "n_negatives": 2048, "validate_every": 4, "validation_users": SEARCH_USERS}
"""If not even those epochs fit: two passes, with fewer negatives, validated by fewer users (docs/auto.md)."""
SHARE_OF_TRAINING = 0.6
"""The share of the time for training by gradient, where all closed forms compete."""
SHARE_PLANNED = 0.87
"""The share of the time that a plan fills; the rest is for reading, weighing and ranking the test set."""
SHORT_SEARCH = {"epochs": 12}
"""Of `sequence-knn` in a plan: at a twentieth of the weight its numbers hardly matter."""


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
    one take minutes too, and add little to LT-OCF. So a plan is made by the minute: one closed form, then LT-OCF in
    both dimensions with as many epochs as fit, then the other closed forms.

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
        [('sequence-knn', 0.7), ('ltocf-128', 8.4), ('ltocf-64', 5.2), ('spectral-256', 2.5)]
        >>> [(c.name, c.skipped) for c in gowalla if c.skipped]
        [('spectral-1024', 'about 3.6 minutes more'), ('ease', '41,000 items, at most 8,000')]
        >>> [c.name for c in candidates_for(30_000, 41_000, 640_000, 5.0, in_order=True) if not c.skipped]
        ['sequence-knn', 'ltocf-128']
    """
    ranks = [rank for rank in RANKS if rank < min(n_users, n_items)] or [1]
    if n_items > LARGEST_EASE:
        closed = _closed_forms(n_users, n_items, n_pairs, ranks[-2:], in_order)
        ease = Candidate("ease", "ease", {}, f"{n_items:,} items, at most {LARGEST_EASE:,}")
        trainings, first = list(_trainings(n_users, n_items, n_pairs)), closed[0]
        # As sets, the first is better by itself than LT-OCF is.
        alone = trainings if in_order else [[first], *trainings]
        choices = [[first, *training] for training in trainings] + alone
        drift = drift_minutes(n_users, n_items) if in_order else 0.0
        return [*_planned(choices, closed, SHARE_PLANNED * minutes - drift), ease]
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


def _closed_forms(n_users: int, n_items: int, n_pairs: int, ranks: list[int], in_order: bool) -> list[Candidate]:
    """Those of a plan, the first the most useful beside LT-OCF. Beside `sequence-knn`, `item-knn` adds nothing."""
    ranked = min(n_users, SEARCH_USERS)
    spectral = [
        Candidate(f"spectral-{rank}", "spectral", {"rank": rank}, "", spectral_minutes(ranked, n_items, n_pairs, rank))
        for rank in ranks
    ]
    if not in_order:
        return [*spectral, Candidate("item-knn", "item-knn", {}, "", neighbour_minutes(ranked, n_items, n_pairs))]
    needed = neighbour_minutes(ranked, n_items, n_pairs, **SHORT_SEARCH)
    return [Candidate("sequence-knn", "sequence-knn", SHORT_SEARCH, "", needed), *reversed(spectral)]


def _trainings(n_users: int, n_items: int, n_pairs: int) -> Iterator[list[Candidate]]:
    """The LT-OCFs that may compete together, the best first; the last ones are a single LT-OCF.

    The larger never has fewer epochs, but 32 epochs of one are not preferred to 16 of both.
    """
    larger, smaller = (
        [_lt_ocf(n_users, n_items, n_pairs, dim, changed) for changed in ({}, SHORTER, SHORTEST)] for dim in DIMS
    )
    yield [larger[0], smaller[0]]
    for place in (1, 2):
        for other in smaller[place:]:
            yield [larger[place], other]
        yield [larger[place]]
    yield [_lt_ocf(n_users, n_items, n_pairs, DIMS[0], SHORTEST, one_more_pass=True)]
    yield [smaller[2]]


def _lt_ocf(
    n_users: int, n_items: int, n_pairs: int, dim: int, changed: dict[str, Any], one_more_pass: bool = False
) -> Candidate:
    """LT-OCF with some settings changed, and its minutes; one more pass goes on from weights of two passes."""
    values, start = SOFTMAX_RECIPE | changed, start_minutes(n_pairs, dim)
    steps = training_minutes(n_items, n_pairs, dim, values["epochs"], values["n_negatives"]) / FITS
    ranked = min(n_users, values.get("validation_users", n_users))
    rankings = ranking_minutes(ranked, n_items, values["epochs"] // values["validate_every"])
    retraining = steps / 2 if one_more_pass else start + steps
    needed = start + steps + rankings + retraining
    return Candidate(f"ltocf-{dim}", "ltocf", {"dim": dim, **changed}, "", needed, retraining)

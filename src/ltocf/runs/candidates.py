"""The candidates of a contest: models and settings that suit the size of the data and the time limit."""

from __future__ import annotations

from typing import Any, NamedTuple

from ltocf.runs.estimate import ranking_minutes, training_minutes
from ltocf.training import SEARCH_USERS

MINUTES, LARGE, MINUTES_PER_MILLION = 1.0, 1_000_000, 20.0
RANKS = (64, 256, 1024)
LARGEST_EASE = 8_000
"""Items; with more, a factorisation takes minutes, and every L2 weight that is tried needs one."""
DIMS = (128, 64)
"""The larger first: it gives the better model."""
SHORTER = 16
"""Epochs if the preset's 32 do not fit. From the spectrum four passes validate as eight from random embeddings do
(docs/scale.md), and a schedule that the time limit cuts off never reaches low rates."""
SHARE_OF_TRAINING = 0.6
"""The share of the time for training by gradient; the rest is for models in closed form, which took 35 % on Gowalla,
and for ranking."""
SHORTEST: dict[str, Any] = {"epochs": 8, "n_negatives": 2048, "validate_every": 4, "validation_users": SEARCH_USERS}
"""If not even those epochs fit: two passes, with fewer negatives, validated by fewer users (docs/auto.md)."""
ONE_MORE_PASS = 0.75
"""The share of its training if, after the two passes of its selection, the selected weights are trained for one more
pass over all pairs and not for two from the start."""
SHORT_SEARCH = {"epochs": 12}
"""Of `sequence-knn` in haste: at a twentieth of the weight its numbers hardly matter."""
SPECTRAL_MINUTES = 0.52, 0.6
"""Of `spectral-256`: for each 10,000 items, ranked for 8,000 users, and for each million training pairs."""
SEQUENCE_MINUTES = 1.0
"""Of `sequence-knn`, for each million training pairs. Both are from contests on Gowalla and Yelp2018 (results/auto)."""
START_MINUTES = 0.1
"""Of the start from the spectrum at dimension 64, which grows with it, for each million training pairs."""
SHARE_PLANNED = 0.87
"""Of the time limit in haste; the rest is for reading, weighing and ranking the test set."""


class Candidate(NamedTuple):
    """A model with its settings, or why it does not compete.

    Args:
        name: its name in tables and files.
        model: a key of `MODELS`.
        values: settings by name that differ from the preset's.
        skipped: the reason why it does not compete; empty if it does.
        minutes: about how long its selection and its training on all pairs take together, on two cores, the latter
            perhaps only for one more pass; 0 if there is no plan.
    """

    name: str
    model: str
    values: dict[str, Any]
    skipped: str = ""
    minutes: float = 0.0


def default_minutes(n_pairs: int) -> float:
    """The default time limit of a contest: 1 minute below a million pairs, then 20 minutes for each million.

    Example:
        >>> [round(default_minutes(n)) for n in (60_000, 999_999, 1_027_370)]
        [1, 1, 21]
    """
    return MINUTES if n_pairs < LARGE else MINUTES_PER_MILLION * n_pairs / LARGE


def candidates_for(n_users: int, n_items: int, n_pairs: int, minutes: float, in_order: bool = False) -> list[Candidate]:
    """All candidates, in the order in which they compete: closed forms first, which give the most in the least time.

    If there is no time for LT-OCF beside them, and the catalogue is so large that they take minutes too, some of both
    are planned by the minute, see `SHORTEST`.

    Args:
        n_users: number of users.
        n_items: number of items.
        n_pairs: number of training pairs.
        minutes: time limit of the whole contest.
        in_order: whether histories have an order.

    Example:
        >>> [c.name for c in candidates_for(1_000, 700, 50_000, 1.0) if not c.skipped]
        ['ease', 'spectral-64', 'spectral-256', 'item-knn', 'ltocf-128']
        >>> gowalla = candidates_for(30_000, 41_000, 640_000, 10.0)
        >>> [(c.name, c.skipped) for c in gowalla if c.skipped]
        [('ease', '41,000 items, at most 8,000'), ('ltocf-128', 'about 7.6 minutes more')]
        >>> gowalla[-1].values
        {'dim': 64, 'epochs': 16}
        >>> [c.name for c in candidates_for(30_000, 41_000, 640_000, 5.0, in_order=True) if not c.skipped]
        ['sequence-knn', 'ltocf-128']
    """
    too_many = f"{n_items:,} items, at most {LARGEST_EASE:,}" if n_items > LARGEST_EASE else ""
    candidates = [Candidate("ease", "ease", {}, too_many)]
    ranks = [rank for rank in RANKS if rank < min(n_users, n_items)] or [1]
    ranks = ranks[-2:] if n_items > LARGEST_EASE else ranks[:2]  # a low rank is for few items
    candidates += [Candidate(f"spectral-{rank}", "spectral", {"rank": rank}) for rank in ranks]
    candidates.append(Candidate("item-knn", "item-knn", {}))
    if in_order:
        candidates.append(Candidate("sequence-knn", "sequence-knn", {}))
    trained, left = list[Candidate](), SHARE_OF_TRAINING * minutes
    for dim in DIMS:
        values, needed = {"dim": dim}, training_minutes(n_items, n_pairs, dim)
        if needed > left:
            values, needed = values | {"epochs": SHORTER}, training_minutes(n_items, n_pairs, dim, SHORTER)
        skipped = "" if needed <= left else f"about {needed:.1f} minutes more"
        left -= 0 if skipped else needed
        trained.append(Candidate(f"ltocf-{dim}", "ltocf", values, skipped))
    known = candidates + trained
    if too_many and all(each.skipped for each in trained):
        return _in_haste(known, _planned(n_users, n_items, n_pairs, in_order), SHARE_PLANNED * minutes)
    return known


def _in_haste(known: list[Candidate], planned: list[Candidate], left: float) -> list[Candidate]:
    """Those of a plan that fit into the time, before the others; all closed forms if LT-OCF does not fit at all."""
    fitting, names = list[Candidate](), {each.name for each in known}
    for each in planned:
        if each.name in names and each.minutes <= left:
            fitting.append(each)
            names.remove(each.name)
            left -= each.minutes
    if not any(each.values.items() >= SHORTEST.items() for each in fitting):
        return known
    needed, competing = {each.name: each.minutes for each in planned}, {each.name for each in fitting}
    others = [each for each in known if each.name not in competing]
    return fitting + [
        each if each.skipped and each.name not in needed else each._replace(skipped=_more(needed.get(each.name)))
        for each in others
    ]


def _more(minutes: float | None) -> str:
    return "too long beside the others" if minutes is None else f"about {minutes:.1f} minutes more"


def _planned(n_users: int, n_items: int, n_pairs: int, in_order: bool) -> list[Candidate]:
    """What may compete in haste, the most useful first; the larger LT-OCF also with no more than another pass."""
    by_items, by_pairs = SPECTRAL_MINUTES
    ranked = min(n_users, SEARCH_USERS)
    spectral = by_items * n_items / 1e4 * ranked / SEARCH_USERS + by_pairs * n_pairs / 1e6
    closed = [Candidate("spectral-256", "spectral", {"rank": 256}, minutes=spectral)]
    if in_order:
        needed = SEQUENCE_MINUTES * n_pairs / 1e6
        closed.insert(0, Candidate("sequence-knn", "sequence-knn", SHORT_SEARCH, minutes=needed))
    trained = list[Candidate]()
    sizes = {name: SHORTEST[name] for name in ("epochs", "n_negatives")}
    for dim in DIMS:
        start = START_MINUTES * dim / 64 * n_pairs / 1e6
        steps, rankings = training_minutes(n_items, n_pairs, dim, **sizes), ranking_minutes(ranked, n_items)
        needed = steps + 2 * start + rankings
        trained.append(Candidate(f"ltocf-{dim}", "ltocf", {"dim": dim, **SHORTEST}, minutes=needed))
        if dim == DIMS[0]:
            trained.append(trained[0]._replace(minutes=ONE_MORE_PASS * steps + start + rankings))
    return closed[:1] + trained + closed[1:]

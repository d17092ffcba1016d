"""The candidates of a contest: models and settings that suit the size of the data and the time limit."""

from __future__ import annotations

from typing import Any, NamedTuple

from ltocf.runs.estimate import ranking_minutes, training_minutes
from ltocf.runs.presets import SOFTMAX_RECIPE
from ltocf.training import SEARCH_USERS

MINUTES, LARGE, MINUTES_PER_MILLION = 1.0, 1_000_000, 20.0
LARGEST_EASE, EASE_MINUTES = 8_000, 0.12
"""Items, and the minutes that so many take, which grow with the third power: each L2 weight needs a factorisation."""
SHORT: dict[str, Any] = {"epochs": 8, "n_negatives": 2048, "validate_every": 4}
"""A training of two passes that suits few minutes: from the spectrum, with half of the passes and a quarter of the
negatives, dimension 64 validates 1.3 % lower on Gowalla in a third of the time, and the time buys more dimensions."""
LONG_DIMS, SHORT_DIMS = (128, 64), (64, 128, 256)
FOR_SETS = ("spectral-256", "ltocf-128", "ltocf-64", "spectral-1024", "ltocf-256", "item-knn")
IN_ORDER = ("sequence-knn", "ltocf-128", "ltocf-64", "spectral-256", "ltocf-256", "spectral-1024", "item-knn")
"""What gives the most for its time comes first. With an order that is two unlike models that read it: on Gowalla a
twentieth of SequenceKNN beside LT-OCF gains 5 % of NDCG on validation."""
RANKS = (64, 256, 1024)
SPECTRAL_MINUTES = {64: (0.45, 0.5), 256: (0.52, 0.6), 1024: (0.57, 1.15)}
"""By rank: for each 10,000 items, ranked for 8,000 users, and for each million training pairs."""
NEIGHBOUR_MINUTES = {"item-knn": 1.1, "sequence-knn": 1.0}
"""For each million training pairs. Both from contests on Gowalla and Yelp2018, on two cores (results/auto)."""
SHARE_PLANNED = 0.9
"""Of the time limit; the rest is for reading, weighing and ranking the test set."""


class Candidate(NamedTuple):
    """A model with its settings, or why it does not compete.

    Args:
        name: its name in tables and files.
        model: a key of `MODELS`.
        values: settings by name that differ from the preset's.
        skipped: the reason why it does not compete; empty if it does.
        minutes: about how long its selection and its training on all pairs take together, on two cores.
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
    """All candidates, in the order in which they compete.

    If there is enough time for everything, LT-OCF takes all epochs of the preset, after the closed forms. If not, it
    takes the settings of `SHORT`, and the candidates come in the order of `IN_ORDER` or `FOR_SETS` while they fit.

    Args:
        n_users: number of users.
        n_items: number of items.
        n_pairs: number of training pairs.
        minutes: time limit of the whole contest.
        in_order: whether histories have an order.

    Example:
        >>> [c.name for c in candidates_for(1_000, 700, 50_000, 2.0) if not c.skipped]
        ['ease', 'spectral-64', 'spectral-256', 'item-knn', 'ltocf-128', 'ltocf-64']
        >>> gowalla = candidates_for(30_000, 41_000, 640_000, 4.0, in_order=True)
        >>> [(c.name, c.skipped) for c in gowalla][:4]
        [('sequence-knn', ''), ('ltocf-64', ''), ('item-knn', ''), ('ease', '41,000 items, at most 8,000')]
        >>> gowalla[1].values
        {'dim': 64, 'epochs': 8, 'n_negatives': 2048, 'validate_every': 4}
    """
    sizes = n_users, n_items, n_pairs
    closed, left = _closed_forms(*sizes, in_order), SHARE_PLANNED * minutes
    everything = closed + [_ltocf(dim, *sizes, {}) for dim in LONG_DIMS]
    if sum(each.minutes for each in everything if not each.skipped) <= left:
        return everything
    known = {each.name: each for each in closed + [_ltocf(dim, *sizes, SHORT) for dim in SHORT_DIMS]}
    order = [*(IN_ORDER if in_order else FOR_SETS)]
    order = [name for name in known if name not in order] + [name for name in order if name in known]
    fitting, others = list[Candidate](), list[Candidate]()
    for each in (known[name] for name in order):
        if each.skipped or each.minutes > left:
            others.append(each if each.skipped else each._replace(skipped=f"about {each.minutes:.1f} minutes more"))
            continue
        left -= each.minutes
        fitting.append(each)
    if not fitting:  # its search can end at any time
        first = next(each for each in others if each.model == "spectral")
        others.remove(first)
        fitting.append(first._replace(skipped=""))
    return fitting + others


def _closed_forms(n_users: int, n_items: int, n_pairs: int, in_order: bool) -> list[Candidate]:
    too_many = f"{n_items:,} items, at most {LARGEST_EASE:,}" if n_items > LARGEST_EASE else ""
    ranks = [rank for rank in RANKS if rank < min(n_users, n_items)] or [1]
    if n_items > LARGEST_EASE:
        ranks = ranks[-2:]  # a low rank is for few items
    found = [Candidate("ease", "ease", {}, too_many, EASE_MINUTES * (n_items / LARGEST_EASE) ** 3)]
    for rank in ranks:
        by_items, by_pairs = SPECTRAL_MINUTES.get(rank, SPECTRAL_MINUTES[RANKS[0]])
        needed = by_items * n_items / 1e4 * min(n_users / SEARCH_USERS, 1) + by_pairs * n_pairs / 1e6
        found.append(Candidate(f"spectral-{rank}", "spectral", {"rank": rank}, minutes=needed))
    names = ["item-knn", "sequence-knn"] if in_order else ["item-knn"]
    return found + [Candidate(name, name, {}, minutes=NEIGHBOUR_MINUTES[name] * n_pairs / 1e6) for name in names]


def _ltocf(dim: int, n_users: int, n_items: int, n_pairs: int, values: dict[str, Any]) -> Candidate:
    if n_items <= SOFTMAX_RECIPE["n_negatives"]:  # they are compared with the whole catalogue
        values = {name: value for name, value in values.items() if name != "n_negatives"}
    counted = {name: value for name, value in values.items() if name != "validate_every"}
    minutes = training_minutes(n_items, n_pairs, dim, **counted) + ranking_minutes(n_users, n_items)
    return Candidate(f"ltocf-{dim}", "ltocf", {"dim": dim, **values}, minutes=minutes)

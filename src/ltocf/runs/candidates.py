"""The candidates of a contest: models and settings that suit the size of the data and the time limit."""

from __future__ import annotations

from typing import Any, NamedTuple

from ltocf.runs.estimate import training_minutes

MINUTES, LARGE, MINUTES_PER_MILLION = 1.0, 1_000_000, 20.0
RANKS = (64, 256, 1024)
LARGEST_EASE = 8_000
"""Items; with more, a factorisation takes minutes, and every L2 weight that is tried needs one."""
DIMS = (128, 64)
"""The larger first: twice the length costs a seventh more time (results/gowalla), and gives the better model."""
SHORTER = 16
"""Epochs if the preset's 32 do not fit. From the spectrum four passes validate as eight from random embeddings do
(docs/scale.md), and a schedule that the time limit cuts off never reaches low rates."""
SHARE_OF_TRAINING = 0.6
"""The share of the time for training by gradient; the rest is for models in closed form, which took 35 % on Gowalla,
and for ranking."""


class Candidate(NamedTuple):
    """A model with its settings, or why it does not compete.

    Args:
        name: its name in tables and files.
        model: a key of `MODELS`.
        values: settings by name that differ from the preset's.
        skipped: the reason why it does not compete; empty if it does.
    """

    name: str
    model: str
    values: dict[str, Any]
    skipped: str = ""


def default_minutes(n_pairs: int) -> float:
    """The default time limit of a contest: 1 minute below a million pairs, then 20 minutes for each million.

    Example:
        >>> [round(default_minutes(n)) for n in (60_000, 999_999, 1_027_370)]
        [1, 1, 21]
    """
    return MINUTES if n_pairs < LARGE else MINUTES_PER_MILLION * n_pairs / LARGE


def candidates_for(n_users: int, n_items: int, n_pairs: int, minutes: float, in_order: bool = False) -> list[Candidate]:
    """All candidates, in the order in which they compete: closed forms first, which give the most in the least time.

    Args:
        n_users: number of users.
        n_items: number of items.
        n_pairs: number of training pairs.
        minutes: time limit of the whole contest.
        in_order: whether histories have an order.

    Example:
        >>> [c.name for c in candidates_for(1_000, 700, 50_000, 1.0) if not c.skipped]
        ['ease', 'spectral-64', 'spectral-256', 'item-knn', 'ltocf-128', 'ltocf-64']
        >>> gowalla = candidates_for(30_000, 41_000, 810_000, 12.5)
        >>> [(c.name, c.skipped) for c in gowalla if c.skipped]
        [('ease', '41,000 items, at most 8,000'), ('ltocf-128', 'about 7.9 minutes more')]
        >>> gowalla[-1].values
        {'dim': 64, 'epochs': 16}
    """
    too_many = f"{n_items:,} items, at most {LARGEST_EASE:,}" if n_items > LARGEST_EASE else ""
    candidates = [Candidate("ease", "ease", {}, too_many)]
    ranks = [rank for rank in RANKS if rank < min(n_users, n_items)] or [1]
    if n_items > LARGEST_EASE:
        ranks = ranks[-2:]  # a low rank is for few items
    candidates += [Candidate(f"spectral-{rank}", "spectral", {"rank": rank}) for rank in ranks]
    candidates.append(Candidate("item-knn", "item-knn", {}))
    if in_order:
        candidates.append(Candidate("sequence-knn", "sequence-knn", {}))
    left = SHARE_OF_TRAINING * minutes
    for dim in DIMS:
        values, needed = {"dim": dim}, training_minutes(n_items, n_pairs, dim)
        if needed > left:
            values, needed = values | {"epochs": SHORTER}, training_minutes(n_items, n_pairs, dim, SHORTER)
        skipped = "" if needed <= left else f"about {needed:.1f} minutes more"
        left -= 0 if skipped else needed
        candidates.append(Candidate(f"ltocf-{dim}", "ltocf", values, skipped))
    return candidates

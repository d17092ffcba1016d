"""Interactions become the sets of a `Split`: by chance, by time, or as the source gave them."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from ltocf.data.dataset import Dataset
from ltocf.data.interactions import Interactions
from ltocf.data.report import counted
from ltocf.data.split import Split
from ltocf.shapes import PairIndices, PairMask, PairTimestamps

logger = logging.getLogger(__name__)


def random_split(interactions: Interactions, test_fraction: float = 0.2, seed: int = 0) -> Split:
    """Move round(test_fraction * n) random items of each user's n to test, never all of them.

    If that is 0 for everybody because histories are short, one item each of some users is moved: of as many users as
    make up that share of all pairs.

    Raises:
        ValueError: ``test_fraction`` outside (0, 1), or too small to give anybody a test item.

    Example:
        >>> split = random_split(Interactions.from_pairs([0] * 5 + [1], [0, 1, 2, 3, 4, 0]))
        >>> len(split.train), split.test.users.tolist()
        (5, [0])
    """
    moved = _share(interactions, test_fraction, _random_order(interactions, seed), "test_fraction")
    return Split(interactions.where(~moved), interactions.where(moved))


def leave_last_out(interactions: Interactions, n_last: int = 1) -> Split:
    """Move each user's latest ``n_last`` items to test, but never the user's only item.

    Of items with the same timestamp the one with the larger index counts as later.

    Raises:
        ValueError: ``n_last`` < 1, no timestamps, or nobody has two items.

    Example:
        >>> log = Interactions.from_pairs([0, 0, 0], [0, 1, 2], timestamps=[20, 30, 10])
        >>> leave_last_out(log).test.items.tolist()
        [1]
    """
    if n_last < 1:
        raise ValueError(f"`n_last` must be >= 1, got {n_last}")
    timestamps = _timestamps(interactions, "leave-last-out")
    counts = np.minimum(n_last, interactions.user_degrees - 1)
    moved = last_of_each_user(interactions, counts, np.lexsort((interactions.items, timestamps, interactions.users)))
    if not moved.any():
        raise ValueError(f"leave-last-out needs a user with two items, got {len(interactions)} users with one each")
    return Split(interactions.where(~moved), interactions.where(moved))


def time_split(interactions: Interactions, test_fraction: float = 0.2) -> Split:
    """Move all pairs at or after one moment to test: the latest that moves round(test_fraction * n) of n pairs or more.

    Unlike `random_split` and `leave_last_out`, no training pair is later than a test pair of another user, so
    nothing leaks from the future; users and items that come late are cold.

    Raises:
        ValueError: ``test_fraction`` outside (0, 1), no timestamps, or a set that would be empty.

    Example:
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 0, 1], timestamps=[1, 2, 3, 4])
        >>> time_split(log, 0.5).test.users.tolist()
        [1, 1]
    """
    _check_fraction(test_fraction, "test_fraction")
    timestamps = _timestamps(interactions, "time")
    n_test = max(1, round(test_fraction * len(interactions)))
    cut = np.sort(timestamps)[len(timestamps) - n_test]
    moved = timestamps >= cut
    if moved.all():
        raise ValueError(
            f"a time split needs pairs before and after its cut, got all {len(interactions)} at or after {cut}"
        )
    return Split(interactions.where(~moved), interactions.where(moved))


def no_split(interactions: Interactions) -> Split:
    """All pairs to train, none to test: for a model that is to be used, not measured.

    Example:
        >>> split = no_split(Interactions.from_pairs([0, 1], [0, 0]))
        >>> len(split.train), len(split.test)
        (2, 0)
    """
    return Split(interactions, interactions.where(np.zeros(len(interactions), bool)))


def given_split(dataset: Dataset) -> Split:
    """The training and test sets that the source gave.

    Raises:
        ValueError: the source gave no test set, or one that overlaps.
    """
    if dataset.test is None:
        others = [name for name in SPLITS if name not in ("auto", "given")]
        raise ValueError(f"{dataset.name} has no test set of its own; choose a split of {others}")
    return Split(dataset.interactions, dataset.test)


def carve_validation(
    split: Split, fraction: float = 0.1, seed: int = 0, how: str = "random", core: int = 0, n_last: int = 0
) -> Split:
    """Move round(fraction * n) of each user's n training items to validation, as `random_split` does to test.

    Args:
        split: without a validation set.
        fraction: share of each user's items, in (0, 1).
        seed: seed of the random choice.
        how: ``random``, or ``last``: the latest items by their timestamps. A validation set should be to train what
            the test set is to both: if the test set is the end of every user's history, a random one is too easy.
        core: take pairs only from the `Interactions.core` of this degree; the others stay in train. In a data set that
            is a 10-core, an item with 5 training pairs has at least 5 test pairs, so the test set asks for rare items
            more often than a share of the training set would, unless that is taken from a 10-core too. With ``last``
            pairs outside the core stay in train although they may be later: not for models that read the order.
        n_last: with ``last``, take this many items of each user, as `leave_last_out` does; 0: take the share.

    Raises:
        ValueError: ``fraction``, ``core`` or ``n_last`` out of range or leaving nothing to move, an unknown name, no
            timestamps for ``last``, or there is a validation set already.

    Example:
        >>> train, test = (Interactions.from_pairs([0] * 10, range(10 * i, 10 * i + 10), n_items=20) for i in (0, 1))
        >>> carved = carve_validation(Split(train, test))
        >>> len(carved.train), len(carved.validation), len(carved.test)
        (9, 1, 10)
    """
    if split.validation is not None:
        raise ValueError(f"the split must have no validation set yet, got one with {len(split.validation)} pairs")
    if how not in VALIDATION_SPLITS:
        raise ValueError(f"`how` must be one of {list(VALIDATION_SPLITS)}, got {how!r}")
    source = split.train.core(core)
    if not len(source):
        raise ValueError(f"`core` must be small enough to leave pairs to choose from, got {core}")
    if n_last and how != "last":
        raise ValueError(f'`n_last` must be 0 unless `how` is "last", got {n_last}')
    if n_last:
        return _moved_to_validation(split, leave_last_out(source, n_last).test)
    if how == "last":
        order = np.lexsort((source.items, _timestamps(source, "last"), source.users))
    else:
        order = _random_order(source, seed)
    validation = source.where(_share(source, fraction, order, "fraction"))
    return _moved_to_validation(split, validation)


def _moved_to_validation(split: Split, validation: Interactions) -> Split:
    moved = np.isin(split.train.keys, validation.keys, assume_unique=True)
    return Split(split.train.where(~moved), split.test, validation)


def split_dataset(dataset: Dataset, how: str = "auto", *, test_fraction: float = 0.2, seed: int = 0) -> Split:
    """Split by name, see `SPLITS`; ``auto`` takes the given test set if there is one and is random otherwise.

    A given test set is united with the training pairs before any other split.

    Raises:
        ValueError: a name that is not in `SPLITS`, or what the split itself raises.

    Example:
        >>> from ltocf.data.names import Names
        >>> log = Interactions.from_pairs([0, 0, 0, 0, 0], [0, 1, 2, 3, 4])
        >>> split = split_dataset(Dataset("tiny", log, Names.identity(1, 5)), "random")
        >>> len(split.train), len(split.test)
        (4, 1)
    """
    if how not in SPLITS:
        raise ValueError(f"`how` must be one of {list(SPLITS)}, got {how!r}")
    split = SPLITS[how](dataset, test_fraction, seed)
    if cold := [counted(n, what) for n, what in ((split.cold_users, "user"), (split.cold_items, "item")) if n]:
        logger.info("test set: %s without training pairs; their pairs count as misses", " and ".join(cold))
    return split


def _auto_split(dataset: Dataset, test_fraction: float, seed: int) -> Split:
    return random_split(dataset.interactions, test_fraction, seed) if dataset.test is None else given_split(dataset)


SPLITS: dict[str, Callable[[Dataset, float, int], Split]] = {
    "auto": _auto_split,
    "given": lambda dataset, _fraction, _seed: given_split(dataset),
    "random": lambda dataset, fraction, seed: random_split(_all_pairs(dataset), fraction, seed),
    "leave-last-out": lambda dataset, _fraction, _seed: leave_last_out(_all_pairs(dataset)),
    "time": lambda dataset, fraction, _seed: time_split(_with_clock(dataset), fraction),
    "none": lambda dataset, _fraction, _seed: no_split(_all_pairs(dataset)),
}
"""The ways to split by their names: functions of a data set, the share of test pairs and a seed."""

VALIDATION_SPLITS = ("random", "last")


def _with_clock(dataset: Dataset) -> Interactions:
    if not dataset.has_clock:
        raise ValueError(f"a time split needs timestamps, {dataset.name} has only the order of each user's items")
    return _all_pairs(dataset)


def _all_pairs(dataset: Dataset) -> Interactions:
    if dataset.test is None:
        return dataset.interactions
    logger.info("%s: its own test set is put aside, all pairs are split again", dataset.name)
    return dataset.interactions.union(dataset.test)


def _random_order(interactions: Interactions, seed: int) -> PairIndices:
    """The order that sorts pairs by user, at random within each."""
    return np.lexsort((np.random.default_rng(seed).random(len(interactions)), interactions.users))


def _share(interactions: Interactions, fraction: float, order: PairIndices, name: str) -> PairMask:
    """Which pairs are among the last round(fraction * n) of each user's n in an order; at least one is left."""
    _check_fraction(fraction, name)
    degrees = interactions.user_degrees
    counts = np.minimum(np.rint(fraction * degrees).astype(np.int64), degrees - 1)
    if not (counts > 0).any():
        counts = _one_from_some(degrees, fraction)
        if not counts.any():
            raise ValueError(
                f"`{name}` must take an item from somebody who has another one, got {fraction} of "
                f"{len(interactions)} pairs of users with at most one item each"
            )
        logger.info("no history is long enough for %g of it: 1 item of %d users is taken", fraction, counts.sum())
    return last_of_each_user(interactions, counts, order)


def _one_from_some(degrees: np.ndarray, fraction: float) -> np.ndarray:
    """1 for evenly spaced users with two items or more, as many as make up that share of all pairs; else 0."""
    eligible = np.flatnonzero(degrees > 1)
    n_taken = min(len(eligible), max(1, round(fraction * int(degrees.sum()))))
    counts = np.zeros(len(degrees), np.int64)
    if n_taken:
        counts[eligible[np.linspace(0, len(eligible) - 1, n_taken).astype(np.int64)]] = 1
    return counts


def last_of_each_user(interactions: Interactions, counts: np.ndarray, order: PairIndices) -> PairMask:
    """Which pairs are among the last ``counts[user]`` of their user in an order that sorts by user first."""
    users = interactions.users
    place_from_end = np.cumsum(interactions.user_degrees)[users] - np.arange(len(users))
    taken = np.zeros(len(users), bool)
    taken[order] = place_from_end <= counts[users]
    return taken


def _check_fraction(fraction: float, name: str) -> None:
    if not 0 < fraction < 1:
        raise ValueError(f"`{name}` must be between 0 and 1, both excluded, got {fraction}")


def _timestamps(interactions: Interactions, how: str) -> PairTimestamps:
    if interactions.timestamps is None:
        raise ValueError(
            f"a {how} split needs timestamps, got interactions without; name their column (`timestamp_column`) or "
            "split at random"
        )
    return interactions.timestamps

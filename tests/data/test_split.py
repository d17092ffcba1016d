"""Splits: exact on tiny logs, and a partition with the promised sizes on any log."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data import (
    SPLITS,
    Dataset,
    Interactions,
    Names,
    Split,
    carve_validation,
    given_split,
    leave_last_out,
    load_dataset,
    load_named,
    random_split,
    split_dataset,
    time_split,
)


@st.composite
def logs(draw: st.DrawFn) -> Interactions:
    """Logs with timestamps and ties; user 0 has five items at two times, so every split has something to move."""
    pairs = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9), st.integers(0, 3)), max_size=40))
    pairs += [(0, item, item % 2) for item in range(5)]
    users, items, timestamps = np.array(pairs).T
    return Interactions.from_pairs(users, items, 6, 10, timestamps)


def dataset(log: Interactions, test: Interactions | None = None) -> Dataset:
    return Dataset("d", log, Names.identity(log.n_users, log.n_items), test)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("split", [random_split, leave_last_out, time_split])
@given(log=logs())
def test_training_and_test_set_are_a_partition(split: Callable[[Interactions], Split], log: Interactions) -> None:
    parts = split(log)
    assert sorted([*parts.train.keys, *parts.test.keys]) == log.keys.tolist()
    assert len(parts.train) > 0
    assert len(parts.test) > 0
    assert parts.train.timestamps is not None
    assert parts.test.timestamps is not None


@given(log=logs(), fraction=st.floats(0.15, 0.9), seed=st.integers(0, 2**32))
def test_a_random_split_takes_the_given_share_of_each_user(log: Interactions, fraction: float, seed: int) -> None:
    parts = random_split(log, fraction, seed)
    expected = [max(0, min(round(fraction * n), n - 1)) for n in log.user_degrees.tolist()]
    assert parts.test.user_degrees.tolist() == expected
    assert parts.test.keys.tolist() == random_split(log, fraction, seed).test.keys.tolist()


@given(log=logs(), n_last=st.integers(1, 3))
def test_leave_last_out_takes_the_latest_items_of_each_user(log: Interactions, n_last: int) -> None:
    parts = leave_last_out(log, n_last)
    assert parts.test.user_degrees.tolist() == [max(0, min(n_last, n - 1)) for n in log.user_degrees.tolist()]
    for user in np.unique(parts.test.users):
        train, test = (
            list(zip(part.timestamps[part.users == user], part.items[part.users == user], strict=True))
            for part in (parts.train, parts.test)
            if part.timestamps is not None
        )
        assert max(train) < min(test)


@given(log=logs(), fraction=st.floats(0.05, 0.45))
def test_in_a_time_split_every_training_pair_is_earlier_than_every_test_pair(
    log: Interactions, fraction: float
) -> None:
    try:
        parts = time_split(log, fraction)
    except ValueError as error:
        assert "got all" in str(error)  # noqa: PT017
        return
    assert parts.train.timestamps is not None
    assert parts.test.timestamps is not None
    assert parts.train.timestamps.max() < parts.test.timestamps.min()
    assert len(parts.test) >= round(fraction * len(log))


@given(log=logs(), fraction=st.floats(0.15, 0.9), seed=st.integers(0, 2**32))
def test_the_validation_set_is_taken_from_the_training_set_alone(log: Interactions, fraction: float, seed: int) -> None:
    before = leave_last_out(log)
    after = carve_validation(before, fraction, seed)
    assert after.validation is not None
    assert sorted([*after.train.keys, *after.validation.keys]) == before.train.keys.tolist()
    expected = [max(0, min(round(fraction * n), n - 1)) for n in before.train.user_degrees.tolist()]
    assert after.validation.user_degrees.tolist() == expected
    assert after.test is before.test


def test_a_random_split_takes_every_item_equally_often() -> None:
    log = Interactions.from_pairs([0] * 5, range(5))
    chosen = np.bincount([random_split(log, seed=seed).test.items[0] for seed in range(1000)], minlength=5)
    assert chosen.sum() == 1000
    assert (abs(chosen - 200) < 4 * np.sqrt(1000 * 0.2 * 0.8)).all()  # four standard deviations


def test_the_last_of_equal_timestamps_is_the_highest_item_and_an_only_item_stays_in_training() -> None:
    log = Interactions.from_pairs([0, 0, 0, 1], [2, 0, 1, 0], timestamps=[5, 5, 4, 9])
    parts = leave_last_out(log)
    assert (parts.test.users.tolist(), parts.test.items.tolist()) == ([0], [2])


def test_a_time_split_does_not_cut_within_a_moment() -> None:
    log = Interactions.from_pairs([0, 1, 2, 3], [0, 0, 0, 0], timestamps=[1, 2, 2, 2])
    assert time_split(log, 0.25).test.users.tolist() == [1, 2, 3]


def test_cold_users_and_items_stay_in_the_test_set_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 2, 3], timestamps=[1, 2, 3, 4])
    dataset = Dataset("tiny", log, Names.identity(2, 4))
    with caplog.at_level("INFO"):
        parts = split_dataset(dataset, "time", test_fraction=0.5)
    assert (parts.cold_users, parts.cold_items, len(parts.test)) == (1, 2, 2)
    assert caplog.messages == ["test set: 1 user and 2 items without training pairs; their pairs count as misses"]


def test_cold_counts_include_the_validation_set() -> None:
    log = Interactions.from_pairs([0, 0, 1], [0, 1, 2])
    train, test, validation = (log.where(np.array(mask)) for mask in np.eye(3, dtype=bool))
    assert (Split(train, test).cold_users, Split(train, test).cold_items) == (0, 1)
    parts = Split(train, test, validation)
    assert (parts.cold_users, parts.cold_items) == (1, 2)


def test_without_cold_users_and_items_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    train, test = Interactions.from_pairs([0, 1], [0, 1]), Interactions.from_pairs([0], [1], 2, 2)
    with caplog.at_level("INFO"):
        split_dataset(Dataset("tiny", train, Names.identity(2, 2), test))
    assert "without training pairs" not in caplog.text


def test_sets_of_different_sizes_and_overlapping_sets_are_refused() -> None:
    log, wider = Interactions.from_pairs([0], [0]), Interactions.from_pairs([0], [1])
    with pytest.raises(ValueError, match="got 1 x 1 in train and 1 x 2 in test"):
        Split(log, wider)
    with pytest.raises(ValueError, match="sets must not overlap, got 1 pairs in both train and test"):
        Split(log, log)
    empty = log.where(np.array([False]))
    with pytest.raises(ValueError, match="got 1 pairs in both train and validation"):
        Split(log, empty, log)


def test_a_given_split_has_the_test_set_of_the_data() -> None:
    train, test = Interactions.from_pairs([0], [0], 1, 2), Interactions.from_pairs([0], [1])
    assert given_split(dataset(train, test)).test is test
    with pytest.raises(ValueError, match=r"d has no test set of its own; choose a split of \['random', 'leave-last"):
        given_split(dataset(train))


def test_auto_takes_a_given_test_set_and_other_splits_divide_all_pairs_anew() -> None:
    log = Interactions.from_pairs([0] * 10, range(10), timestamps=range(10))
    test = log.items == 3
    with_test = dataset(log.where(~test), log.where(test))
    assert split_dataset(with_test).test.items.tolist() == [3]
    assert split_dataset(with_test, "leave-last-out").test.items.tolist() == [9]
    assert split_dataset(with_test, "time").test.items.tolist() == [8, 9]
    assert len(split_dataset(with_test, "random", test_fraction=0.5).test) == 5
    for how in ("auto", "random"):
        test_items = split_dataset(dataset(log), how, test_fraction=0.3, seed=7).test.items
        assert test_items.tolist() == random_split(log, 0.3, seed=7).test.items.tolist()


def test_splits_have_these_names_and_others_are_refused() -> None:
    assert list(SPLITS) == ["auto", "given", "random", "leave-last-out", "time", "none"]
    with pytest.raises(ValueError, match=r"`how` must be one of \['auto', 'given', .*\], got 'loo'"):
        split_dataset(dataset(Interactions.from_pairs([0], [0])), "loo")


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 2.0, float("nan")])
@pytest.mark.parametrize("split", [random_split, time_split])
def test_fractions_out_of_range_are_refused(split: Callable[[Interactions, float], Split], fraction: float) -> None:
    with pytest.raises(ValueError, match="`test_fraction` must be between 0 and 1, both excluded, got"):
        split(Interactions.from_pairs([0, 0], [0, 1], timestamps=[0, 1]), fraction)


def test_logs_that_cannot_be_split_are_refused() -> None:
    one_each = Interactions.from_pairs([0, 1], [0, 1], timestamps=[4, 4])
    with pytest.raises(ValueError, match=r"`test_fraction` must take an item from somebody .* got 0\.2 of 2 pairs"):
        random_split(one_each)
    with pytest.raises(ValueError, match="leave-last-out needs a user with two items"):
        leave_last_out(one_each)
    with pytest.raises(ValueError, match="needs pairs before and after its cut, got all 2 at or after 4"):
        time_split(one_each)
    with pytest.raises(ValueError, match="`n_last` must be >= 1, got 0"):
        leave_last_out(one_each, 0)
    without_timestamps = Interactions.from_pairs([0, 0], [0, 1])
    for split, name in ((leave_last_out, "leave-last-out"), (time_split, "time")):
        with pytest.raises(ValueError, match=f"a {name} split needs timestamps"):
            split(without_timestamps)
    carved = carve_validation(leave_last_out(Interactions.from_pairs([0] * 3, range(3), timestamps=range(3))), 0.5)
    with pytest.raises(ValueError, match="must have no validation set yet, got one with 1 pairs"):
        carve_validation(carved)


def test_a_time_split_of_movielens_has_the_given_share_and_cold_users() -> None:
    parts = split_dataset(load_named("movielens-small"), "time")
    assert len(parts.train) + len(parts.test) == 62_106
    assert abs(len(parts.test) / 62_106 - 0.2) < 0.001  # all pairs of the moment of the cut are test pairs
    assert parts.cold_users > 50


def test_a_last_validation_set_is_the_end_of_every_history() -> None:
    times = [9, 8, 7, 6, 5, 4, 3, 2, 5, 9, 1, 7]
    log = Interactions.from_pairs([0] * 8 + [1] * 4, [*range(8), 0, 1, 2, 3], timestamps=times)
    carved = carve_validation(
        Split(log, Interactions.from_pairs([0], [7], 2, 8).where(np.zeros(1, bool))), 0.25, how="last"
    )
    assert carved.validation is not None
    assert list(zip(carved.validation.users, carved.validation.items, strict=True)) == [(0, 0), (0, 1), (1, 1)]


def test_n_last_takes_as_many_items_of_every_user_who_keeps_one() -> None:
    log = Interactions.from_pairs([0, 0, 0, 1, 1, 2], [0, 1, 2, 0, 1, 0], timestamps=[3, 9, 1, 8, 2, 5])
    split = Split(log, log.where(np.zeros(len(log), bool)))
    for n_last, expected in ((1, [(0, 1), (1, 0)]), (2, [(0, 0), (0, 1), (1, 0)])):
        carved = carve_validation(split, how="last", n_last=n_last)
        assert carved.validation is not None
        assert list(zip(carved.validation.users, carved.validation.items, strict=True)) == expected
        assert carved.train.union(carved.validation).keys.tolist() == log.keys.tolist()
    with pytest.raises(ValueError, match='`n_last` must be 0 unless `how` is "last", got 1'):
        carve_validation(split, n_last=1)


def test_unknown_validation_sets_and_a_last_one_without_an_order_are_refused() -> None:
    split = random_split(Interactions.from_pairs([0] * 5, range(5)))
    with pytest.raises(ValueError, match=r"`how` must be one of \['random', 'last'\], got 'first'"):
        carve_validation(split, how="first")
    with pytest.raises(ValueError, match="a last split needs timestamps"):
        carve_validation(split, how="last")


def test_a_validation_set_of_the_core_leaves_all_other_pairs_in_training() -> None:
    """Users 0-2 and items 0-3 are the 3-core; user 3 and item 4 are outside it."""
    rows = {0: [0, 1, 2, 3], 1: [0, 1, 2, 3], 2: [0, 1, 2, 3, 4], 3: [0, 4]}
    users, items = zip(*[(user, item) for user, row in rows.items() for item in row], strict=True)
    log = Interactions.from_pairs(list(users), list(items), timestamps=range(len(users)))
    split = Split(log, log.where(np.zeros(len(log), bool)))
    assert sorted(set(log.core(3).users)) == [0, 1, 2]
    assert sorted(set(log.core(3).items)) == [0, 1, 2, 3]
    carved = carve_validation(split, 0.25, how="last", core=3)
    assert carved.validation is not None
    assert list(zip(carved.validation.users, carved.validation.items, strict=True)) == [(0, 3), (1, 3), (2, 3)]
    assert carved.train.union(carved.validation).keys.tolist() == log.keys.tolist()
    with pytest.raises(ValueError, match="`core` must be small enough to leave pairs to choose from, got 5"):
        carve_validation(split, core=5)


def test_a_text_folder_has_an_order_within_each_user_and_no_clock(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("1 4 0 3 2\n0 3 1 2 0\n")
    (tmp_path / "test.txt").write_text("0 4\n1 1\n")
    dataset = load_dataset(tmp_path)
    carved = carve_validation(split_dataset(dataset), 0.25, how="last")
    assert carved.validation is not None
    assert list(zip(carved.validation.users, carved.validation.items, strict=True)) == [(0, 0), (1, 2)]
    with pytest.raises(ValueError, match="has only the order of each user's items"):
        split_dataset(dataset, "time")


TRAIN = ([0, 0, 1, 2], [0, 3, 1, 2])
TEST = ([0, 2], [1, 3])
VALIDATION = ([0, 1], [2, 0])


def make_split(train: tuple[list[int], list[int]] = TRAIN, n_items: int = 4, carved: bool = True) -> Split:
    sets = [Interactions.from_pairs(*pairs, 3, n_items) for pairs in (train, TEST, VALIDATION)]
    return Split(*sets) if carved else Split(*sets[:2])


def test_the_digest_is_the_sha256_of_sizes_and_pairs() -> None:
    numbers = [3, 4, 4, *TRAIN[0], *TRAIN[1], 2, *VALIDATION[0], *VALIDATION[1], 2, *TEST[0], *TEST[1]]
    assert make_split().digest == hashlib.sha256(struct.pack(f"<{len(numbers)}q", *numbers)).hexdigest()
    numbers = [3, 4, 4, *TRAIN[0], *TRAIN[1], -1, 2, *TEST[0], *TEST[1]]
    assert make_split(carved=False).digest == hashlib.sha256(struct.pack(f"<{len(numbers)}q", *numbers)).hexdigest()


def test_different_splits_have_different_digests() -> None:
    base = make_split()
    moved = make_split(([0, 0, 1, 2], [0, 3, 2, 2]))
    larger = make_split(n_items=5)
    swapped = Split(base.train, base.validation, base.test)  # type: ignore[arg-type]
    without_validation = make_split(carved=False)
    assert len({split.digest for split in (base, moved, larger, swapped, without_validation)}) == 5


def test_the_digest_ignores_order_and_timestamps() -> None:
    timed = Interactions.from_pairs([2, 1, 0, 0], [2, 1, 3, 0], 3, 4, timestamps=[9, 8, 7, 6])
    assert Split(timed, make_split().test, make_split().validation).digest == make_split().digest


def test_a_summary_counts_each_set() -> None:
    summary = make_split().summary()
    digest = summary.pop("digest")
    assert summary == {"users": 3, "items": 4, "train": 4, "validation": 2, "test": 2}
    assert digest == make_split().digest
    assert make_split(carved=False).summary()["validation"] is None


def test_where_histories_are_short_evenly_spaced_users_give_one_item_each() -> None:
    users, items = [user for user in range(10) for _ in range(2)], [i for _ in range(10) for i in range(2)]
    split = random_split(Interactions.from_pairs(users, items), 0.2)
    assert len(split.test) == 4  # a fifth of 20 pairs
    assert split.test.users.tolist() == [0, 3, 6, 9]
    tiny = random_split(Interactions.from_pairs([0, 0, 1], [0, 1, 0]), 0.2)
    assert tiny.test.users.tolist() == [0]
    assert len(tiny.train) == 2


def test_the_split_none_holds_nothing_back() -> None:
    log = Interactions.from_pairs([0, 1], [0, 0])
    split = split_dataset(dataset(log), "none")
    assert split.train.keys.tolist() == log.keys.tolist()
    assert (len(split.test), split.cold_users) == (0, 0)

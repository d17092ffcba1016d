"""Ages of pairs against a plain count, and the order of pairs: where it is kept and where it is dropped."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ltocf.data import Histories, Interactions, load_dataset, order
from ltocf.data.order import ages_of
from ltocf.data.readers import catalog
from ltocf.data.storage import pack_interactions, unpack_interactions
from samples import random_interactions


def timed(seed: int = 0, n_moments: int = 5) -> Interactions:
    """Random pairs; several pairs of a user share a moment."""
    log = random_interactions(8, 20, 0.4)
    days = np.random.default_rng(seed).integers(n_moments, size=len(log))
    return Interactions.from_pairs(log.users, log.items, 8, 20, timestamps=days * 86_400)


@pytest.mark.parametrize("pairs_at_a_time", [1, 10, 40, 2**20])
def test_ages_are_counts_of_later_items_and_days_before_the_last(
    pairs_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "PAIRS_AT_A_TIME", pairs_at_a_time)
    log = timed()
    ages = ages_of(log)
    assert ages is not None
    assert ages.days is not None
    for index, (user, timestamp) in enumerate(zip(log.users, log.timestamps, strict=True)):
        of_user = log.timestamps[log.users == user]
        assert ages.later[index] == (of_user > timestamp).sum()
        assert ages.days[index] == (of_user.max() - timestamp) / 86_400


def test_places_give_an_order_but_no_days() -> None:
    places = np.random.default_rng(0).permutation(len(timed()))
    log = replace(timed(), timestamps=None, places=places)
    ages = ages_of(log)
    assert ages is not None
    assert ages.days is None
    for user in range(8):
        own = log.users == user
        assert (np.argsort(-ages.later[own]) == np.argsort(places[own])).all()
        assert sorted(ages.later[own]) == list(range(own.sum()))


def test_ages_are_computed_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a few users at a time, and not for all pairs: a sort of all would take eighty bytes for each."""
    monkeypatch.setattr(order, "PAIRS_AT_A_TIME", 2**17)
    n_users, each = 3_000, 1_000
    users, items = np.repeat(np.arange(n_users), each), np.tile(np.arange(each), n_users)
    log = Interactions(users, items, n_users, each, timestamps=np.arange(n_users * each)[::-1].copy())
    tracemalloc.start()
    try:
        ages = ages_of(log)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ages is not None
    assert (ages.later.reshape(n_users, each) == np.arange(each)).all()
    assert peak < 20 * len(log)


def test_rows_of_histories_keep_their_ages() -> None:
    log = timed()
    histories = Histories.of(log)
    assert histories.later is not None
    three_rows = histories.rows(torch.tensor([5, 0, 5]))
    one_row = histories.rows(torch.tensor([5]))
    assert three_rows.later is not None
    assert one_row.later is not None
    assert one_row.days is not None
    assert three_rows.later[: len(one_row.items)].equal(one_row.later)
    assert one_row.later.equal(histories.later[torch.from_numpy(log.users == 5)])
    assert Histories.of(random_interactions()).later is None


def test_places_survive_files_unions_and_selections() -> None:
    log = Interactions.from_pairs([0, 0, 1, 0], [3, 1, 2, 3], places=[7, 8, 9, 10])
    assert log.places.tolist() == [8, 7, 9]  # a repeated pair has its earliest place
    again = unpack_interactions("seen", pack_interactions("seen", log))
    assert again.places.tolist() == log.places.tolist()
    kept = log.where(log.users == 0)
    assert kept.places.tolist() == [8, 7]
    assert kept.union(log.where(log.users == 1)).places.tolist() == [8, 7, 9]
    assert log.union(replace(log, places=None)).places is None
    with pytest.raises(ValueError, match="place"):
        Interactions.from_pairs([0, 0], [1, 2], places=[1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text("0 3 1 2\n1 2 0\n")
    (tmp_path / "test.txt").write_text("0 0\n")
    return tmp_path


def test_lines_are_in_order_of_time_only_if_the_caller_or_the_catalogue_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not load_dataset(folder).is_in_order
    assert load_dataset(folder, lines_in_time=True).is_in_order
    checksum = "sha256:" + hashlib.sha256((folder / "train.txt").read_bytes()).hexdigest()
    entry = catalog.CatalogEntry(2, 4, 5, 1, files={"train.txt": checksum}, lines_in_time=True)
    monkeypatch.setitem(catalog.CATALOG, "tiny", entry)
    assert load_dataset(folder).is_in_order  # the files of a named set
    assert not load_dataset(folder, lines_in_time=False).is_in_order
    assert {name for name, entry in catalog.CATALOG.items() if entry.lines_in_time} == {
        *("gowalla", "yelp2018", "amazon-book", "tiny")
    }


def test_timestamps_give_an_order_and_lines_in_time_is_refused_without_a_folder() -> None:
    assert load_dataset([("ann", 1, 5), ("ann", 2, 6)]).is_in_order
    assert not load_dataset([("ann", 1), ("ann", 2)]).is_in_order
    with pytest.raises(ValueError, match=r"lines_in_time: only a folder with train\.txt has lines of items"):
        load_dataset([("ann", 1)], lines_in_time=True)

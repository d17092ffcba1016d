"""Mapped pairs give their memory back, and pairs in memory keep theirs."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import numpy as np
import pytest

from ltocf.data import Interactions
from ltocf.data.store import leave_on_disk

STATUS = Path("/proc/self/status")
N_USERS, EACH = 2_000, 1_000


def mapped_megabytes() -> int:
    """Resident megabytes of files."""
    found = re.search(r"^RssFile:\s+(\d+)", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


@pytest.mark.skipif(not STATUS.exists(), reason="reads /proc")
def test_mapped_pairs_give_their_memory_back_and_can_be_read_again(tmp_path: Path) -> None:
    arrays = {"users": np.repeat(np.arange(N_USERS), EACH), "items": np.tile(np.arange(EACH), N_USERS)}
    arrays["timestamps"] = arrays["users"] * 1_000 + arrays["items"]
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = {name: np.lib.format.open_memmap(tmp_path / f"{name}.npy", mode="r") for name in arrays}
    pairs = Interactions(mapped["users"], mapped["items"], N_USERS, EACH, mapped["timestamps"])
    assert pairs.timestamps is not None
    total = sum(int(array.sum()) for array in (pairs.users, pairs.items, pairs.timestamps))
    before = mapped_megabytes()
    leave_on_disk(pairs)
    assert before - mapped_megabytes() >= 40, "of 48"
    assert sum(int(array.sum()) for array in (pairs.users, pairs.items, pairs.timestamps)) == total
    assert (pairs.users[-1], pairs.items[-1]) == (N_USERS - 1, EACH - 1)


def test_pairs_in_memory_stay_as_they_are() -> None:
    pairs = Interactions.from_pairs([0, 0, 1], [0, 1, 1], timestamps=[3, 4, 5])
    leave_on_disk(pairs)
    assert pairs.timestamps is not None
    assert (pairs.users.tolist(), pairs.items.tolist(), pairs.timestamps.tolist()) == ([0, 0, 1], [0, 1, 1], [3, 4, 5])


def test_arrays_that_differ_from_their_file_or_have_none_stay_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "items.npy", np.zeros(3, np.int64))
    changed = np.lib.format.open_memmap(tmp_path / "items.npy", mode="c")
    changed[:] = [0, 1, 2]
    private = np.frombuffer(mmap.mmap(-1, 24, flags=mmap.MAP_PRIVATE), np.int64)
    private[:] = [0, 0, 1]
    for array in (changed, private):
        array.flags.writeable = False
    pairs = Interactions(private, changed, 2, 3)
    assert (pairs.users is private, pairs.items is changed) == (True, True), "kept without a copy"
    leave_on_disk(pairs)
    assert (pairs.users.tolist(), pairs.items.tolist()) == ([0, 0, 1], [0, 1, 2])

"""A store replaces an older one only when it is complete, and is on the disk before its index."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from ltocf.data import load_dataset
from ltocf.files import locked_folder, locked_name
from ltocf.scale import ingest as ingesting
from ltocf.scale.ingest import ingest


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four visits, two of them with a high rating."""
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item,rating,timestamp\nann,7,5,1600000000\nbob,7,4,1600000001\nbob,8,1,1600000002\ncy,8,2,1600000003\n"
    )
    return path


def test_a_store_is_replaced_when_the_new_one_is_finished(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    before = ingest(log, store, min_rating=4, show_progress=False)
    with monkeypatch.context() as patched:
        patched.setattr(ingesting, "_publish", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(log, store, replace=True, show_progress=False)
    assert len(load_dataset(store).interactions) == before.n_pairs
    after = ingest(log, store, replace=True, show_progress=False)
    assert len(load_dataset(store).interactions) == after.n_pairs > before.n_pairs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "store"]
    (store / "notes.txt").write_text("a note")
    with pytest.raises(FileExistsError, match=r"notes.txt in it is no file of a store; move it away first"):
        ingest(log, store, replace=True, show_progress=False)


def test_a_store_that_lost_its_name_is_renamed_back(log: Path, tmp_path: Path) -> None:
    """A process was killed between renaming the old store and the new one."""
    store = tmp_path / "store"
    ingest(log, store, show_progress=False)
    store.rename(tmp_path / ".store.old")
    (tmp_path / ".store.new").mkdir()
    ingest(log, store, replace=True, show_progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "store"]


def test_arrays_and_names_are_on_the_disk_before_the_index(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a crash leaves a complete store or none."""
    events: list[str] = []
    fsync, write_text = os.fsync, ingesting.write_text

    def recorded_fsync(descriptor: int) -> None:
        fsync(descriptor)
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def recorded_write_text(path: Path, text: str, **options: bool) -> None:
        events.append(path.name)
        write_text(path, text, **options)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(ingesting, "write_text", recorded_write_text)
    ingest(log, tmp_path / "store", show_progress=False)
    before = events[: events.index("store.json")]
    for name in ("users.npy", "items.npy", "timestamps.npy", "interactions", "users.parquet", "items.parquet"):
        assert name in before
    assert before[-1] == "store"


def test_files_of_a_process_at_work_are_not_removed(log: Path, tmp_path: Path) -> None:
    """Its store is complete, but its parts are not yet removed."""
    store = tmp_path / "store"
    ingest(log, store, show_progress=False)
    (store / ".ingest").mkdir()
    with locked_folder(store / ".ingest", "lock"), pytest.raises(FileExistsError, match="another process writes"):
        ingest(log, store, show_progress=False)
    assert (store / ".ingest" / "lock").exists()
    with pytest.raises(FileExistsError, match="is already a store"):
        ingest(log, store, show_progress=False)
    assert not (store / ".ingest").exists()


def test_a_second_process_is_refused_while_a_store_is_replaced(log: Path, tmp_path: Path) -> None:
    """Neither while a new store is made nor at the moment when the old one has no name."""
    store = tmp_path / "store"
    ingest(log, store, show_progress=False)
    for nameless in (False, True):
        if nameless:
            store.rename(tmp_path / ".store.old")
        with locked_name(store), pytest.raises(BlockingIOError, match="another process is at work in"):
            ingest(log, store, replace=True, show_progress=False)
    ingest(log, store, replace=True, show_progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "store"]

"""A store takes its place whole: beside an older one, and on the disk before its index is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ltocf.data import load_dataset
from ltocf.files import locked_folder, locked_name
from ltocf.scale import ingest as ingesting
from ltocf.scale.ingest import ingest


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four visits, two of which somebody liked."""
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
        patched.setattr(ingesting, "_publish", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest(log, store, replace=True, show_progress=False)
    assert len(load_dataset(store).interactions) == before.n_pairs
    after = ingest(log, store, replace=True, show_progress=False)
    assert len(load_dataset(store).interactions) == after.n_pairs > before.n_pairs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "store"]
    (store / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes.txt in it is no file of a store; move it away first"):
        ingest(log, store, replace=True, show_progress=False)


def test_a_store_without_its_name_gets_it_back(log: Path, tmp_path: Path) -> None:
    """A process was killed in the moment when the new store was to take its place."""
    store = tmp_path / "store"
    ingest(log, store, show_progress=False)
    store.rename(tmp_path / ".store.old")
    (tmp_path / ".store.new").mkdir()
    ingest(log, store, replace=True, show_progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "store"]


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_arrays_and_names_are_on_the_disk_before_the_index(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash leaves is a store or none."""
    events: list[str] = []
    fsync, write_text = os.fsync, ingesting.write_text

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def index(path: Path, text: str, **how: bool) -> None:
        events.append(path.name)
        write_text(path, text, **how)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(ingesting, "write_text", index)
    ingest(log, tmp_path / "store", show_progress=False)
    before = events[: events.index("store.json")]
    for name in ("users.npy", "items.npy", "timestamps.npy", "interactions", "users.parquet", "items.parquet"):
        assert name in before
    assert before[-1] == "store"


def test_the_last_files_of_a_process_at_work_are_left_to_it(log: Path, tmp_path: Path) -> None:
    """Its store is whole, and its parts are not yet removed."""
    store = tmp_path / "store"
    ingest(log, store, show_progress=False)
    (store / ".ingest").mkdir()
    with locked_folder(store / ".ingest", "lock"), pytest.raises(FileExistsError, match="another process writes"):
        ingest(log, store, show_progress=False)
    assert (store / ".ingest" / "lock").exists()
    with pytest.raises(FileExistsError, match="is already a store"):
        ingest(log, store, show_progress=False)
    assert not (store / ".ingest").exists()


def test_two_processes_do_not_put_stores_in_one_place(log: Path, tmp_path: Path) -> None:
    """Neither while the new one is made nor in the moment when the old one has no name."""
    store = tmp_path / "store"
    ingest(log, store, show_progress=False)
    for nameless in (False, True):
        if nameless:
            store.rename(tmp_path / ".store.old")
        with locked_name(store), pytest.raises(BlockingIOError, match="another process is at work in"):
            ingest(log, store, replace=True, show_progress=False)
    ingest(log, store, replace=True, show_progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "store"]

"""A store holds what `load_dataset` reads from the same files, in however many pieces they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
from filelock import FileLock, Timeout

import ltocf
from ltocf.data import leave_last_out, load_dataset, time_split
from ltocf.scale import ingest as ingesting
from ltocf.scale.ingest import bytes_of, ingest
from ltocf.scale.parts import Part, write_part
from same_datasets import same_datasets, same_pairs

pytestmark = pytest.mark.usefixtures("small_pieces")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with repeated pairs, ratings, weights and times."""
    random = np.random.default_rng(3)
    n_rows = 600
    users, items = random.integers(0, 40, n_rows), (random.pareto(1, n_rows) * 5).astype(int) % 60
    frame = pl.DataFrame(
        {
            "user": [f"u{user}" for user in users],
            "item": items,
            "rating": random.integers(1, 6, n_rows),
            "timestamp": 1_600_000_000 + random.integers(0, 10**6, n_rows),
            "count": random.integers(1, 4, n_rows),
            "event": random.choice(["view", "buy"], n_rows),
        }
    )
    path = tmp_path_factory.mktemp("log") / "log.csv"
    frame.write_csv(path)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"timestamp_column": ""},
        {"min_rating": 3},
        {"weight_column": "count"},
        {"min_user_interactions": 6, "min_item_interactions": 4},
        {"min_rating": 2, "min_user_interactions": 5},
        {"only": {"event": "buy"}},
        {"event_weights": {"event": {"view": 0.25, "buy": 1}}},
        {"since": "2020-09-16", "until": "2020-09-20"},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
def test_a_store_equals_the_data_that_is_read_at_once(log: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    report = ingest(log, tmp_path / "store", show_progress=False, **options)
    read = load_dataset(log, **options)
    stored = load_dataset(tmp_path / "store")
    same_datasets(stored, read)
    assert read.report is not None
    for count in ("n_rows", "n_pairs", "n_merged", "n_also_seen", "n_dropped"):
        assert getattr(report, count) == getattr(read.report, count), count
    assert stored.report == report
    assert not list((tmp_path / "store").glob(".ingest"))


def test_pairs_of_a_store_are_mapped_from_the_disk(log: Path, tmp_path: Path) -> None:
    ingest(log, tmp_path / "store", show_progress=False)
    pairs = load_dataset(tmp_path / "store").interactions
    assert isinstance(pairs.users, np.memmap)
    assert isinstance(pairs.items, np.memmap)


def test_files_of_several_formats_are_one_log(log: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(log).with_columns(item=pl.lit("i") + pl.col("item").cast(pl.String))
    frame[:200].write_csv(tmp_path / "1.csv")
    frame[200:400].write_ndjson(tmp_path / "2.jsonl")
    frame[400:].write_parquet(tmp_path / "3.parquet")
    frame.write_csv(tmp_path / "whole.tsv", separator="\t")
    ingest(tmp_path / "[123].*", tmp_path / "store", show_progress=False)
    same_datasets(load_dataset(tmp_path / "store"), load_dataset(tmp_path / "whole.tsv"))


@pytest.mark.parametrize("split", ["leave-last-out", "time"])
def test_splits_of_a_store_are_those_of_training(log: Path, tmp_path: Path, split: str) -> None:
    ingest(log, tmp_path / "store", split=split, test_fraction=0.15, show_progress=False)
    pairs = load_dataset(log).interactions
    expected = leave_last_out(pairs) if split == "leave-last-out" else time_split(pairs, 0.15)
    stored = load_dataset(tmp_path / "store")
    same_pairs(stored.interactions, expected.train)
    same_pairs(stored.test, expected.test)


def test_an_interrupted_call_continues_with_the_next_part(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_parts: list[str] = []

    def write_four_parts(piece: Any, options: Any, file: Path) -> Part:
        if len(first_parts) == 4:
            raise KeyboardInterrupt
        first_parts.append(file.name)
        return write_part(piece, options, file)

    monkeypatch.setattr(ingesting, "write_part", write_four_parts)
    with pytest.raises(KeyboardInterrupt):
        ingest(log, tmp_path / "store", show_progress=False)
    with pytest.raises(FileNotFoundError, match="not finished"):
        load_dataset(tmp_path / "store")
    second_parts: list[str] = []

    def record_and_write(piece: Any, options: Any, file: Path) -> Part:
        second_parts.append(file.name)
        return write_part(piece, options, file)

    monkeypatch.setattr(ingesting, "write_part", record_and_write)
    ingest(log, tmp_path / "store", show_progress=False)
    assert first_parts[0] == "part-000000.parquet"
    assert second_parts[0] == "part-000004.parquet"
    same_datasets(load_dataset(tmp_path / "store"), load_dataset(log))


def test_half_a_line_and_a_missing_part_are_written_again(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may be killed between any two of its writes."""
    work = tmp_path / "store" / ".ingest"
    with monkeypatch.context() as patched:
        patched.setattr(ingesting, "_publish", Mock(side_effect=KeyboardInterrupt))
        for number in range(3):
            with pytest.raises(KeyboardInterrupt):
                ingest(log, tmp_path / "store", show_progress=False)
            state = work / "progress.jsonl"
            lines = state.read_text().splitlines(keepends=True)
            if number == 0:
                state.write_text("".join([*lines[:4], lines[4][:50]]))
            elif number == 1:
                (work / "part-000002.parquet").unlink()
    ingest(log, tmp_path / "store", show_progress=False)
    same_datasets(load_dataset(tmp_path / "store"), load_dataset(log))


def test_what_a_killed_call_left_in_a_finished_store_is_removed(log: Path, tmp_path: Path) -> None:
    ingest(log, tmp_path / "store", show_progress=False)
    (tmp_path / "store" / ".ingest").mkdir()
    with pytest.raises(FileExistsError, match="already"):
        ingest(log, tmp_path / "store", show_progress=False)
    assert not (tmp_path / "store" / ".ingest").exists()


def test_the_lock_is_held_until_the_store_is_finished(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_lock_and_publish(work: Path, *rest: Any) -> None:
        with pytest.raises(Timeout):
            FileLock(work / "lock").acquire(timeout=0)
        publish(work, *rest)

    publish = ingesting._publish
    monkeypatch.setattr(ingesting, "_publish", check_lock_and_publish)
    ingest(log, tmp_path / "store", show_progress=False)
    assert (tmp_path / "store" / "store.json").exists()


def test_too_little_memory_is_an_error(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(ingesting, "MERGE_SHARE", 1 / 2**9)
        with pytest.raises(MemoryError, match="`memory`"):
            ingest(log, tmp_path / "store", threads=8, show_progress=False)
    ingest(log, tmp_path / "store", threads=1, show_progress=False)
    same_datasets(load_dataset(tmp_path / "store"), load_dataset(log))


def test_other_arguments_do_not_use_earlier_parts(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_some_parts(piece: Any, options: Any, file: Path) -> Part:
        if file.name > "part-000002":
            raise KeyboardInterrupt
        return write_part(piece, options, file)

    with monkeypatch.context() as patched:
        patched.setattr(ingesting, "write_part", write_some_parts)
        with pytest.raises(KeyboardInterrupt):
            ingest(log, tmp_path / "store", show_progress=False)
    ingest(log, tmp_path / "store", min_rating=4, show_progress=False)
    same_datasets(load_dataset(tmp_path / "store"), load_dataset(log, min_rating=4))


def test_two_processes_at_once_are_refused(log: Path, tmp_path: Path) -> None:
    (tmp_path / "store" / ".ingest").mkdir(parents=True)
    with FileLock(tmp_path / "store" / ".ingest" / "lock"), pytest.raises(FileExistsError, match="another process"):
        ingest(log, tmp_path / "store", show_progress=False)


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        ("user,item\n1.0,2\n", "user,item\nx,2\n", "decimals"),
        ("user,item,time\na,1,1600000000\n", "user,item,time\nb,1,1600000000000\n", "one way"),
        ("user,item\na,1\n", "uid,item\na,1\n", "same columns"),
    ],
    ids=["decimals", "timestamps", "columns"],
)
def test_files_that_are_read_in_different_ways_are_refused(tmp_path: Path, first: str, second: str, rule: str) -> None:
    (tmp_path / "1.csv").write_text(first)
    (tmp_path / "2.csv").write_text(second)
    with pytest.raises(ValueError, match=rule):
        ingest(tmp_path / "?.csv", tmp_path / "store", show_progress=False)


def test_files_without_an_interaction_are_counted(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("user,item\nNA,1\n")
    (tmp_path / "2.csv").write_text("user,item\nann,1\n")
    report = ingest(tmp_path / "?.csv", tmp_path / "store", show_progress=False)
    assert (report.n_rows, report.n_dropped, report.n_pairs) == (2, 1, 1)
    (tmp_path / "2.csv").write_text("user,item\nann,\n")
    with pytest.raises(ValueError, match=r"none: .*no user id"):
        ingest(tmp_path / "?.csv", tmp_path / "other", show_progress=False)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"memory": "lots"}, "`memory` must be a size"),
        ({"memory": "100MB"}, "at least 512MiB"),
        ({"split": "random"}, "`split` must be one of"),
        ({"split": "time", "timestamp_column": ""}, "needs timestamps"),
        ({"test_fraction": 1.0}, "`test_fraction`"),
        ({"threads": -1}, "`threads`"),
        ({"items": "items.csv"}, "when the store is used"),
        ({"min_user_interactions": 10**6}, "must leave an interaction"),
    ],
    ids=["size", "little", "split", "untimed", "fraction", "threads", "items", "core"],
)
def test_wrong_options_are_refused(log: Path, tmp_path: Path, options: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        ingest(log, tmp_path / "store", show_progress=False, **options)


def test_nothing_is_overwritten(log: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a note")
    with pytest.raises(FileExistsError, match="not empty"):
        ingest(log, tmp_path / "notes", show_progress=False)
    ingest(log, tmp_path / "store", show_progress=False)
    with pytest.raises(FileExistsError, match="already"):
        ingest(log, tmp_path / "store", show_progress=False)


def test_a_damaged_store_is_refused(log: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    ingest(log, store, show_progress=False)
    array = store / "interactions" / "items.npy"
    content = array.read_bytes()
    for damaged in (content[:-8], b"", content.replace(b"<i8", b"<i4")):
        array.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            load_dataset(store)
    array.write_bytes(content)
    (store / "users.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="damaged"):
        load_dataset(store)
    index = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(index | {"version": 99}))
    with pytest.raises(ValueError, match="version"):
        load_dataset(store)


def test_a_store_can_be_trained_on(log: Path, tmp_path: Path) -> None:
    ingest(log, tmp_path / "store", show_progress=False)
    (tmp_path / "items.csv").write_text("item,title\n1,Ran\n")
    metrics = [
        ltocf.train(source, tmp_path / name, model="popularity", show_progress=False)["recall@20"]
        for name, source in (("a", tmp_path / "store"), ("b", log))
    ]
    assert metrics[0] == metrics[1]
    described = load_dataset(tmp_path / "store", items=str(tmp_path / "items.csv"))
    assert described.titles is not None
    assert "Ran" in described.titles
    with pytest.raises(ValueError, match="ltocf ingest"):
        load_dataset(tmp_path / "store", min_rating=3)


def test_sizes_may_have_binary_or_decimal_units() -> None:
    assert [bytes_of(text) for text in ("512MiB", "1 GB", "2gib")] == [2**29, 10**9, 2**31]

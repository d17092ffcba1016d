"""Frames go to one file, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from ltocf.serving.writing import WRITERS, write_frames

FRAMES = [
    pl.DataFrame({"user": ["a", 'q"'], "score": [0.5, None], "title": ["x, y", "ü"]}),
    pl.DataFrame({"user": ["b"], "score": [2.0], "title": ["z\nz"]}),
]


def read(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path) if path.suffix == ".csv" else pl.read_ndjson(path)


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize(
    "frames", [FRAMES, FRAMES[:1], [FRAMES[0].clear(), *FRAMES]], ids=["two", "one", "empty first"]
)
def test_frames_come_back_as_one(ending: str, frames: list[pl.DataFrame], tmp_path: Path) -> None:
    path = tmp_path / "new" / f"lists{ending}"
    assert write_frames(iter(frames), path) == sum(map(len, frames))
    assert read(path).equals(pl.concat(frames))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("ending", WRITERS)
def test_an_error_on_the_way_leaves_the_old_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"lists{ending}"
    path.write_text("before")

    def broken() -> Iterator[pl.DataFrame]:
        yield FRAMES[0]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_frames(broken(), path)
    with pytest.raises(ValueError, match="there must be a frame to write, got none"):
        write_frames([], path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", WRITERS)
def test_what_a_killed_process_leaves_is_removed_by_the_next_call(ending: str, tmp_path: Path) -> None:
    """The folder of a process that is killed before the second frame."""
    (tmp_path / "now").mkdir()

    def killed() -> Iterator[pl.DataFrame]:
        yield FRAMES[0]
        shutil.copytree(tmp_path / "now", tmp_path / "left")
        with pytest.raises(BlockingIOError, match="another process is at work"):
            write_frames(FRAMES, tmp_path / "now" / f"lists{ending}")
        yield FRAMES[1]

    write_frames(killed(), tmp_path / "now" / f"lists{ending}")
    assert len(list((tmp_path / "left").iterdir())) >= 2
    write_frames(FRAMES, tmp_path / "left" / f"lists{ending}")
    assert [file.name for file in (tmp_path / "left").iterdir()] == [f"lists{ending}"]


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.csv, \.jsonl, \.parquet, got '.*lists\.xlsx'"):
        write_frames(FRAMES, tmp_path / "lists.xlsx")


def test_titles_that_a_spreadsheet_would_compute_are_escaped_in_csv_only(tmp_path: Path) -> None:
    titles = ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "1=1", "It", None]
    frame = pl.DataFrame({"user": ["=u"] * 8, "item": ["@i"] * 8, "title": titles})
    for name in ("a.csv", "a.jsonl"):
        write_frames([frame], tmp_path / name)
    assert pl.read_ndjson(tmp_path / "a.jsonl").equals(frame)
    written = pl.read_csv(tmp_path / "a.csv")
    assert written["title"].to_list() == ["'=1+1", "'+1", "'-1", "'@sum(a1)", "'\t=1", "1=1", "It", None]
    assert written.select("user", "item").equals(frame.select("user", "item"))

"""What only the whole log can decide is decided for the log, not for each piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ltocf.data import load_dataset
from ltocf.scale.ingest import ingest
from same_datasets import same_datasets

pytestmark = pytest.mark.usefixtures("small_pieces")


def _log(values: list[str], name: str = "rating") -> str:
    """A log with a column of these values, as text."""
    rows = "".join(f"u{n % 9},{n % 13},{value},{1_600_000_000 + n}\n" for n, value in enumerate(values))
    return f"user,item,{name},time\n{rows}"


@pytest.mark.parametrize("low", ["1", ""], ids=["low", "unrated"])
def test_items_of_a_piece_with_low_ratings_only_are_seen(tmp_path: Path, low: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(_log([low] * 200 + ["5"] * 100))
    report = ingest(path, tmp_path / "store", min_rating=4, show_progress=False)
    read = load_dataset(path, min_rating=4)
    assert read.report is not None
    assert report.n_also_seen == read.report.n_also_seen > 0
    assert (report.n_rows, report.n_dropped) == (300, 0)
    same_datasets(load_dataset(tmp_path / "store"), read)
    with pytest.raises(ValueError, match=r"none: `min_rating` = 6"):
        ingest(path, tmp_path / "other", min_rating=6, show_progress=False)


@pytest.mark.parametrize("option", ["only", "drop", "event_weights"])
def test_values_that_occur_nowhere_are_refused(tmp_path: Path, option: str) -> None:
    """A value that occurs in some piece is accepted, even if it is the only one in that piece."""
    path = tmp_path / "log.csv"
    path.write_text(_log(["view"] * 200 + ["buy"] * 100, "event"))
    known: Any = {"event": {"view": 0.5, "buy": 1} if option == "event_weights" else "view"}
    ingest(path, tmp_path / "store", show_progress=False, **{option: known})
    same_datasets(load_dataset(tmp_path / "store"), load_dataset(path, **{option: known}))
    unknown: Any = {"event": {"view": 0.5, "buy": 1, "sell": 2} if option == "event_weights" else ["view", "sell"]}
    with pytest.raises(ValueError, match=f"`{option}` must be a value that occurs in column 'event', got 'sell'"):
        ingest(path, tmp_path / "other", show_progress=False, **{option: unknown})


def test_the_share_of_rows_without_a_time_is_over_the_whole_log(tmp_path: Path) -> None:
    """Otherwise each piece could leave out one row, however small it is."""
    path = tmp_path / "log.csv"
    times = ["" if n % 90 == 5 else str(1_600_000_000 + n) for n in range(600)]
    path.write_text("user,item,time\n" + "".join(f"u{n % 97},{n % 89},{time}\n" for n, time in enumerate(times)))
    with pytest.raises(ValueError, match="1 % of the rows, got 7 of 600"):
        ingest(path, tmp_path / "store", show_progress=False)
    path.write_text("user,item,time\n" + "".join(f"u{n % 97},{n},{times[1 + n // 500 * 4]}\n" for n in range(600)))
    with pytest.raises(ValueError, match="in all pieces of the log or in none"):
        ingest(path, tmp_path / "other", show_progress=False)


@pytest.mark.parametrize("first", ["2020-05-01", "99999999"], ids=["dates", "places"])
def test_timestamps_of_a_few_other_forms_do_not_change_the_log(tmp_path: Path, first: str) -> None:
    path = tmp_path / "log.csv"
    times = [first] * 100 + [str(1_600_000_000 + n) for n in range(100)]
    path.write_text("user,item,timestamp\n" + "".join(f"u{n % 9},{n},{time}\n" for n, time in enumerate(times)))
    ingest(path, tmp_path / "store", show_progress=False)
    same_datasets(load_dataset(tmp_path / "store"), load_dataset(path))


def test_dropped_rows_are_reported_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("user,item\nann,1\n")
    (tmp_path / "2.csv").write_text("user,item\nNA,1\nbob,1\n")
    report = ingest(tmp_path / "?.csv", tmp_path / "store", show_progress=False)
    read = load_dataset(str(tmp_path / "?.csv")).report
    assert read is not None
    assert report.dropped == read.dropped


def test_ids_are_integers_only_if_those_of_all_pieces_are(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("user,item\n7,1\n10,2\n")
    (tmp_path / "2.csv").write_text("user,item\n007,1\n8,1\n")
    ingest(tmp_path / "?.csv", tmp_path / "store", show_progress=False)
    stored = load_dataset(tmp_path / "store")
    assert stored.user_ids.ids.to_list() == ["007", "10", "7", "8"]
    assert stored.item_ids.ids.to_list() == [1, 2]

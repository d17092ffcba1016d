"""New events are read as the log was, although one day does not have everything that a log has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import ltocf
from ltocf.cli import main
from ltocf.runs import update as update_module

SMALL: dict[str, Any] = {"model": "lightgcn", "dim": 2, "epochs": 1, "show_progress": False}
LOG = {
    "user": [f"u{u}" for u in range(6) for i in range(4) if u % 3 != i],
    "item": [f"i{i}" for u in range(6) for i in range(4) if u % 3 != i],
}
KINDS = {"event": ["view", "purchase", "return"] * 6}
OPTIONS: dict[str, Any] = {"event_weights": {"event": {"view": 0.5, "purchase": 1}}, "drop": {"event": "return"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "run"
    ltocf.fit(LOG | KINDS, folder, **SMALL, **OPTIONS)
    return folder


def test_a_day_may_lack_some_kinds_of_events(run: Path, tmp_path: Path) -> None:
    newer = ltocf.update(run, {"user": ["new"], "item": ["i0"], "event": ["purchase"]}, tmp_path / "newer")
    assert newer.recommend("new", k=1)["item"][0] != "i0"
    assert "1 row, 1 distinct pair" in (tmp_path / "newer" / "reading.txt").read_text()  # of the new events


def test_filters_given_for_the_new_events_must_occur(run: Path, tmp_path: Path) -> None:
    day = {"user": ["new"], "item": ["i0"], "event": ["purchase"]}
    with pytest.raises(ValueError, match="`drop` must be a value that occurs in column 'event', got 'retrun'"):
        ltocf.update(run, day, tmp_path / "newer", drop={"event": "retrun"}, event_weights={"event": {"purchase": 1}})


def test_a_day_whose_ids_all_look_like_integers_keeps_them_as_texts(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item\n" + "".join(f"{u},{i}\n" for u in ("1", "2", "x") for i in ("5", "6", "y") if u != i))
    ltocf.fit(log, tmp_path / "run", **SMALL)
    (tmp_path / "day.csv").write_text("user,item\n2,7\n30,5\n30,7\n")
    newer = ltocf.update(tmp_path / "run", tmp_path / "day.csv")
    assert newer.user_ids.ids.to_list() == ["1", "2", "x", "30"]
    assert newer.item_ids.ids.to_list() == ["5", "6", "y", "7"]
    assert newer.snapshot.history("2")["item"].to_list() == ["5", "6", "y", "7"]
    assert set(newer.recommend(30, k=2)["item"]) == {"6", "y"}


def test_a_text_among_integer_ids_is_refused(tmp_path: Path) -> None:
    ltocf.fit([(1, 5), (1, 6), (2, 5)], tmp_path / "run", **SMALL)
    with pytest.raises(ValueError, match="user ids of new events must be integers as they were before, got the text"):
        ltocf.update(tmp_path / "run", [("ann", 5)])


def test_integers_that_have_lost_their_leading_zeros_are_refused(tmp_path: Path) -> None:
    ltocf.fit([("a", "007"), ("a", "008"), ("b", "007")], tmp_path / "run", **SMALL)
    with pytest.raises(
        ValueError, match=r"item ids .* must be texts as they were before, got the integer 7 where '007'"
    ):
        ltocf.update(tmp_path / "run", [("b", 9), ("b", 7)])


def test_an_item_table_that_has_moved_must_be_given_again(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,price\n5,1\n6,2\n7,3\n")
    ltocf.fit([(1, 5), (1, 6), (2, 5)], tmp_path / "run", items=items, **SMALL)
    items.rename(tmp_path / "moved.csv")
    with pytest.raises(
        FileNotFoundError, match=r"`items` must be the table of items: .* got '.*items.csv', which does"
    ):
        ltocf.update(tmp_path / "run", [(2, 7)])
    newer = ltocf.update(tmp_path / "run", [(2, 7)], items=tmp_path / "moved.csv")
    assert newer.recommend(1, k=1, where="price > 2")["item"].to_list() == [7]


def test_an_update_is_finished_and_has_nothing_to_measure(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ltocf.update(run, {"user": ["new"], "item": ["i0"], "event": ["purchase"]}, run.parent / "newer")
    main(["train", "--resume", str(run.parent / "newer")])
    assert "updated by new events" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(ValueError, match=r"has no validation set: .*it is an update"):
        ltocf.evaluate_run(run.parent / "newer", on="validation")


def test_the_item_table_is_read_again(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,name,price,in_stock\n5,Tea,1,true\n6,Cup,2,true\n7,Pot,3,true\n")
    ltocf.fit([(1, 5), (1, 6), (2, 5), (2, 7)], tmp_path / "run", items=items, **SMALL)
    items.write_text("item,in_stock,name,colour,price\n5,true,Green tea,red,1.5\n6,false,Cup,blue,2\n8,true,Lid,,4\n")
    names = ltocf.update(tmp_path / "run", [(2, 8)]).names
    assert names.item_ids.ids.to_list() == [5, 6, 7, 8]
    assert names.titles == ("Green tea", "Cup", "Pot", "Lid")  # item 7 is no longer in it and keeps what it had
    assert names.attributes is not None
    assert names.attributes.select("price", "in_stock", "colour").rows() == [
        (1.5, True, "red"),
        (2, False, "blue"),
        (3, True, None),
        (4, True, None),
    ]


def test_an_item_rated_low_in_an_update_is_not_recommended(tmp_path: Path) -> None:
    rows = [(f"u{user}", f"p{item}", 5) for user in range(6) for item in range(4) if user % 3 != item]
    log = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    ltocf.fit(log, tmp_path / "run", model="spectral", min_rating=4, show_progress=False)
    before = ltocf.load(tmp_path / "run").recommend("u0", k=4)["item"].to_list()
    assert before == ["p0"]
    day = pl.DataFrame({"user": ["u0", "u1"], "item": ["p0", "p1"], "rating": [1, 5]})
    newer = ltocf.update(tmp_path / "run", day)
    assert newer.recommend("u0", k=4).is_empty()


def test_an_interrupted_update_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visits = [(user, item) for user in range(6) for item in range(4) if user % 3 != item]
    ltocf.fit(visits, tmp_path / "run", model="lightgcn", dim=4, epochs=1, show_progress=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(update_module, "_train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ltocf.update(tmp_path / "run", [(6, 0)], epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_what_a_killed_update_left_is_removed(tmp_path: Path) -> None:
    visits = [(user, item) for user in range(6) for item in range(4) if user % 3 != item]
    ltocf.fit(visits, tmp_path / "run", model="lightgcn", dim=4, epochs=1, show_progress=False)
    shutil.copytree(tmp_path / "run", tmp_path / ".run-2.part")
    (tmp_path / "run-2").mkdir()  # an empty folder counts as none
    ltocf.update(tmp_path / "run", [(6, 0)], tmp_path / "run-2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run-2"]
    assert not list((tmp_path / "run-2").glob("checkpoint*"))
    with pytest.raises(FileExistsError, match="already holds a run"):
        ltocf.update(tmp_path / "run", [(6, 0)], tmp_path / "run-2")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="exists and is not empty"):
        ltocf.update(tmp_path / "run", [(6, 0)], tmp_path / "notes")

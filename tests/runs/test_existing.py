"""A folder that holds a run already is never half lost, and no other run is taken for the requested one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ltocf
from ltocf.cli import main
from ltocf.files import locked_name
from ltocf.runs import experiment
from ltocf.runs.folder import RunFolder

VISITS = [(user, item) for user in range(20) for item in range(10) if (user + item) % 3]
SETTINGS: dict[str, Any] = {"model": "mf", "dim": 2, "epochs": 1, "n_negatives": 8, "show_progress": False}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    ltocf.train(VISITS, tmp_path / "run", **SETTINGS)
    return tmp_path / "run"


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != ".lock"}


def test_load_returns_the_existing_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(run)
    monkeypatch.setattr(experiment, "Experiment", None)  # nothing is trained
    assert ltocf.train(VISITS, run, exists="load", **SETTINGS) == RunFolder(run).metrics()
    assert content(run) == before


def test_load_starts_a_run_where_there_is_none(tmp_path: Path) -> None:
    metrics = ltocf.train(VISITS, tmp_path / "new", exists="load", **SETTINGS)
    assert RunFolder(tmp_path / "new").metrics() == metrics


def test_load_refuses_another_run(run: Path) -> None:
    with pytest.raises(FileExistsError, match=r"holds another run: dim 2 -> 3; choose another `out`"):
        ltocf.train(VISITS, run, exists="load", **SETTINGS | {"dim": 3})
    with pytest.raises(FileExistsError, match="it has other data"):
        ltocf.train(VISITS[1:], run, exists="load", **SETTINGS)
    (run / "metrics.json").unlink()
    with pytest.raises(FileNotFoundError, match="is not finished; continue it with"):
        ltocf.train(VISITS, run, exists="load", **SETTINGS)


def test_replace_puts_the_whole_new_run_in_the_place_of_the_old(run: Path) -> None:
    ltocf.train(VISITS, run, exists="replace", **SETTINGS | {"dim": 3})
    assert RunFolder(run).config().options["dim"] == 3
    assert [file.name for file in run.parent.iterdir()] == ["run"]
    assert ltocf.load(run).model.dim == 3


def test_a_run_that_another_process_is_replacing_is_left_alone(run: Path) -> None:
    """The old run has no name for a moment; it gets its name back only if no process is at work."""
    old = run.rename(run.with_name(f".{run.name}.old"))
    with locked_name(run), pytest.raises(BlockingIOError, match="another process is at work"):
        ltocf.train(VISITS, run, exists="replace", **SETTINGS)
    assert old.exists()
    assert not run.exists()
    ltocf.train(VISITS, run, exists="load", **SETTINGS)
    assert not old.exists()
    with locked_name(run), pytest.raises(BlockingIOError, match="another process is at work"):
        ltocf.train(VISITS, run, exists="replace", **SETTINGS)


def test_replace_that_fails_leaves_the_old_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(run)

    def interrupted(*_: object) -> None:
        assert content(run) == before  # nothing is moved while the new one is trained
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment.Experiment, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ltocf.train(VISITS, run, exists="replace", **SETTINGS | {"dim": 3})
    assert content(run) == before
    assert [file.name for file in run.parent.iterdir()] == ["run"]


def test_replace_refuses_a_folder_with_other_files(run: Path) -> None:
    (run / "notes.txt").write_text("my notes")
    with pytest.raises(FileExistsError, match=r"notes.txt in it does not belong to a run; move it away first"):
        ltocf.train(VISITS, run, exists="replace", **SETTINGS)
    assert (run / "notes.txt").read_text() == "my notes"


def test_replace_refuses_a_locked_run(run: Path) -> None:
    with RunFolder(run).locked(), pytest.raises(BlockingIOError, match="another process is at work"):
        ltocf.train(VISITS, run, exists="replace", **SETTINGS)


def test_a_run_without_its_name_gets_it_back(run: Path) -> None:
    """A process was killed just before the new run took the place of the old one."""
    before = content(run)
    run.rename(run.with_name(f".{run.name}.old"))
    (run.with_name(f".{run.name}.new")).mkdir()
    assert ltocf.train(VISITS, run, exists="load", **SETTINGS)
    assert content(run) == before
    ltocf.train(VISITS, run, exists="replace", **SETTINGS)
    assert [path.name for path in run.parent.iterdir() if path.name.startswith(".")] == []


def test_fit_loads_and_replaces_too(tmp_path: Path) -> None:
    out = tmp_path / "shop"
    ltocf.fit(VISITS, out, **SETTINGS)
    before = content(out)
    assert ltocf.fit(VISITS, out, exists="load", **SETTINGS).model.dim == 2
    assert content(out) == before
    assert ltocf.fit(VISITS, out, exists="replace", **SETTINGS | {"dim": 3}).model.dim == 3


def test_the_command_line_loads_and_replaces_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in VISITS))
    call = ["train", str(log), "--out", str(tmp_path / "run"), "--model", "popularity"]
    main(call)
    for options in (["--exists", "load"], ["--replace"], ["--exists", "replace"]):
        main([*call, *options])
    capsys.readouterr()
    for options, message in (
        (["--seed", "1", "--exists", "load"], "--exists replace"),
        (["--replace", "--exists", "load"], "one of"),
    ):
        with pytest.raises(SystemExit):
            main([*call, *options])
        assert message in capsys.readouterr().err

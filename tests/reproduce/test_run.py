"""Cells run once, one after another or in parallel, and continue where they were interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltocf.files import read_arrays
from ltocf.reproduce.cells import Cell, Places, make_cells, with_splits
from ltocf.reproduce.run import run_cell, run_cells
from ltocf.runs import experiment
from ltocf.runs.folder import RunFolder
from ltocf.runs.preparation import prepare_data


def test_a_cell_leaves_metrics_history_and_users(source: str, places: Places) -> None:
    (cell,) = with_splits(make_cells(source, ["ltocf"], [1], places))
    assert run_cell(cell).startswith("recall@20 0.")
    assert cell.is_done
    metrics = cell.metrics()
    users = np.unique(prepare_data(cell.config).split.test.users)
    for name in ("recall@20", "ndcg@20"):
        of_users = cell.user_result(name)
        np.testing.assert_array_equal(of_users.users, users)
        assert of_users.values.dtype == np.float32
        assert of_users.values.mean() == pytest.approx(metrics[name], abs=1e-6)
        assert of_users.split == metrics["split"]["digest"]
    assert metrics["seed"] == 1
    assert metrics["ranking_seconds"] > 0
    assert metrics["configuration"]["model"]["dim"] == 4
    assert metrics["configuration"]["data"]["source"] == "log.csv"
    assert str(places.configs.parent) not in cell.file(".json").read_text()
    assert [row["epoch"] for row in cell.history()] == [1, 2, 3]
    assert len(cell.history()[0]["times"]) == 3
    assert not cell.run_folder.exists()


def test_the_result_equals_that_of_a_plain_run(source: str, places: Places, tmp_path: Path) -> None:
    (cell,) = with_splits(make_cells(source, ["mf"], [0], places))
    run_cell(cell)
    metrics = experiment.train_config(cell.config, tmp_path / "plain")
    assert cell.metrics()["recall@20"] == metrics["recall@20"]
    of_users, _ = read_arrays(tmp_path / "plain" / "test-users.safetensors")
    for name in ("recall@20", "ndcg@5"):
        assert of_users[name].mean() == pytest.approx(metrics[name], abs=1e-6)
    np.testing.assert_array_equal(of_users["recall@20"], cell.user_result("recall@20").values)
    np.testing.assert_array_equal(of_users["users"], cell.user_result("recall@20").users)


def test_only_missing_cells_are_run(source: str, places: Places) -> None:
    cells = with_splits(make_cells(source, ["mf", "grmf"], [0], places, {"epochs": 1, "dim": 4}))
    progress = run_cells([*cells, cells[0]], processes=2)
    assert [cell.label for cell in progress.done] == [cell.label for cell in cells]
    assert not progress.failed
    assert not progress.left
    assert (places.configs / "log" / "grmf.toml").read_text() == cells[1].text
    before = [cell.file(".json").stat().st_mtime_ns for cell in cells]
    run_cells(cells)
    assert [cell.file(".json").stat().st_mtime_ns for cell in cells] == before


def test_a_result_of_changed_settings_is_written_beside_the_earlier_one(source: str, places: Places) -> None:
    (before,) = run_cells(make_cells(source, ["mf"], [0], places)).done
    toml = places.configs / "log" / "mf.toml"
    toml.write_text(toml.read_text().replace("learning_rate = 0.01", "learning_rate = 0.5"))
    (after,) = run_cells(make_cells(source, ["mf"], [0], places)).done
    assert before.metrics()["training"]["learning_rate"] == 0.01
    assert after.metrics()["training"]["learning_rate"] == 0.5
    assert {path.name for path in (places.results / "log").glob("*.json")} == {
        "mf-seed0.json",
        f"mf-seed0-{after.key[:8]}.json",
    }


def test_one_failure_does_not_stop_the_others(source: str, places: Places) -> None:
    cells = with_splits(make_cells(source, ["mf", "lightgcn"], [0], places))
    with RunFolder.started(cells[0].run_folder, cells[0].config.with_values({"dim": 9})):
        pass
    progress = run_cells(cells)
    assert [cell.name for cell in progress.done] == ["lightgcn"]
    assert "was started with dim 9 (now 4); remove it" in progress.failed["log/mf-seed0"]


def test_data_that_changes_between_reading_and_training_is_noticed(source: str, places: Places) -> None:
    (cell,) = with_splits(make_cells(source, ["mf"], [0], places))
    with Path(source).open("a") as log:
        log.write("999,0\n999,1\n999,2\n")
    with pytest.raises(ValueError, match="the data of log/mf-seed0 has changed since it was first read"):
        run_cell(cell)
    assert not cell.file(".json").exists()


@pytest.fixture
def interrupted(source: str, places: Places, monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A cell that was interrupted in its second epoch, with a checkpoint of the first."""
    (cell,) = with_splits(make_cells(source, ["mf"], [0], places))
    add_history = RunFolder.add_history

    def stop(folder: RunFolder, record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt
        add_history(folder, record)

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "add_history", stop)
        with pytest.raises(KeyboardInterrupt):
            run_cells([cell])
    return cell


def test_an_interrupted_cell_is_resumed_to_the_same_result(interrupted: Cell, tmp_path: Path) -> None:
    assert list(interrupted.run_folder.glob("checkpoint-*"))
    (done,) = run_cells([interrupted]).done
    metrics = experiment.train_config(interrupted.config, tmp_path / "plain")
    assert done.metrics()["recall@20"] == metrics["recall@20"]
    assert len(done.history()) == 3


def test_cells_that_run_out_of_time_are_left(source: str, places: Places) -> None:
    """With a limit each cell runs in its own process, which is ended wherever it is."""
    toml = places.configs / "log" / "mf.toml"
    toml.write_text(toml.read_text().replace("epochs = 3", "epochs = 100000000\npatience = 100000000"))
    cells = with_splits(make_cells(source, ["mf", "lightgcn"], [0], places))
    progress = run_cells(cells, max_minutes=1 / 60)
    assert not progress.done
    assert not progress.failed
    assert [cell.name for cell in progress.left] == ["mf", "lightgcn"]
    assert not cells[1].run_folder.exists()


def test_results_have_the_options_of_the_model(source: str, places: Places) -> None:
    (cell,) = run_cells(make_cells(source, ["mf"], [0], places)).done
    assert json.loads(cell.file(".json").read_text())["options"]["dim"] == 4

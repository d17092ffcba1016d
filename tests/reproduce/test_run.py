"""Cells run once, one after the other or side by side, and go on where they were cut off."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ltocf.files import read_arrays
from ltocf.reproduce.cells import Places, make_cells
from ltocf.reproduce.run import run_cell, run_cells
from ltocf.runs import experiment
from ltocf.tuning.processes import run_all


def test_a_cell_leaves_metrics_history_and_users(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["ltocf"], [1], places)
    assert run_cell(cell).startswith("recall@20 0.")
    assert cell.is_done
    metrics, users = cell.metrics(), cell.user_values()
    for name, values in users.items():
        assert values.mean() == pytest.approx(metrics[name], abs=1e-6)
    assert metrics["seed"] == 1
    assert metrics["ranking_seconds"] > 0
    assert [row["epoch"] for row in cell.history()] == [1, 2, 3]
    assert len(cell.history()[0]["times"]) == 3
    assert not cell.run_folder.exists()


def test_the_result_is_that_of_a_plain_run(source: str, places: Places, tmp_path: Path) -> None:
    (cell,) = make_cells(source, ["mf"], [0], places)
    run_cell(cell)
    metrics = experiment.train_config(cell.config, tmp_path / "plain")
    assert cell.metrics()["recall@20"] == metrics["recall@20"]
    of_users, _ = read_arrays(tmp_path / "plain" / "test-users.safetensors")
    for name in ("recall@20", "ndcg@5"):
        assert of_users[name].mean() == pytest.approx(metrics[name], abs=1e-6)
    np.testing.assert_array_equal(of_users["recall@20"], cell.user_values()["recall@20"])


def test_a_plan_runs_what_is_missing(source: str, places: Places, caplog: pytest.LogCaptureFixture) -> None:
    cells = make_cells(source, ["mf", "lightgcn"], [0], places)
    progress = run_cells([*cells, cells[0]], processes=2)
    assert [cell.label for cell in progress.done] == [cell.label for cell in cells]
    assert not progress.failed
    assert not progress.left
    before = [cell.file(".json").stat().st_mtime_ns for cell in cells]
    run_cells(cells)
    assert [cell.file(".json").stat().st_mtime_ns for cell in cells] == before
    toml = places.configs / "log" / "mf.toml"
    toml.write_text(toml.read_text().replace("learning_rate = 0.01", "learning_rate = 0.5"))
    with caplog.at_level(logging.WARNING):
        run_cells(make_cells(source, ["mf"], [0], places))
    assert "mf-seed0.json was made with another learning_rate; remove it to run it again" in caplog.text


def test_one_failure_does_not_stop_the_others(source: str, places: Places) -> None:
    cells = make_cells(source, ["mf", "lightgcn"], [0], places)
    cells[0].run_folder.mkdir(parents=True)
    (cells[0].run_folder / "config.toml").write_text(cells[1].config.to_toml())
    progress = run_cells(cells)
    assert [cell.name for cell in progress.done] == ["lightgcn"]
    assert "was started with other settings" in progress.failed["log/mf-seed0"]


def test_out_of_time_leaves_the_rest_and_the_next_call_goes_on(source: str, places: Places) -> None:
    toml = places.configs / "log" / "mf.toml"
    toml.write_text(toml.read_text().replace("epochs = 3", "epochs = 100000\npatience = 100000"))
    cells = make_cells(source, ["mf", "lightgcn"], [0], places)
    progress = run_cells(cells, max_minutes=12 / 60)
    assert not progress.done
    assert [cell.name for cell in progress.left] == ["mf", "lightgcn"]
    assert (cells[0].run_folder / "config.toml").exists()
    assert not (cells[1].run_folder).exists()
    # A checkpoint is what the next call goes on from.
    assert list(cells[0].run_folder.glob("checkpoint-*"))


def test_workers_tell_of_a_process_that_dies() -> None:
    outcomes = list(run_all(iter([0, 7]), os._exit, processes=2))
    assert sorted(str(outcome.error) for outcome in outcomes) == [
        "the process ended with exit code 0 and without a word",
        "the process ended with exit code 7 and without a word",
    ]
    with pytest.raises(ValueError, match="`processes` must be >= 1, got 0"):
        list(run_all(iter([]), os._exit, processes=0))


def test_user_values_are_small(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["mf"], [0], places)
    run_cell(cell)
    assert all(values.dtype == np.float32 for values in cell.user_values().values())
    assert json.loads(cell.file(".json").read_text())["options"]["dim"] == 4


LONG_TASK = """
import threading, time, multiprocessing
from ltocf.tuning.processes import run_all

def tell():
    while not multiprocessing.active_children():
        time.sleep(0.05)
    print("started", flush=True)

threading.Thread(target=tell).start()
list(run_all(iter([600.0]), time.sleep))
"""


def test_workers_end_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", LONG_TASK], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"started\n"
    parent.kill()
    # The worker has the same standard output, so this ends when the worker does.
    parent.communicate(timeout=60)

"""What the processes are given, what becomes of their outcomes, and what is kept of a run; nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ltocf.reproduce.cells import Cell, Places, make_cells
from ltocf.reproduce.run import run_cell, run_cells
from ltocf.runs.folder import RunFolder
from ltocf.training.processes import FailedError, Outcome
from reproduce_fixtures import plant

SUMMARY = {"digest": "one", "users": 3}


@pytest.fixture
def waiting(places: Places) -> list[Cell]:
    """Three cells without a result, for which no data is read."""
    cells = make_cells("log.csv", ["mf", "lightgcn", "ltocf"], [0], places)
    return [replace(cell, split=SUMMARY) for cell in cells]


class Processes:
    """A stand-in for `run_all`: the first cell fails, the second has a result, and the limit ends the others."""

    def __init__(self) -> None:
        self.tasks: list[Cell] = []
        self.arguments: dict[str, Any] = {}

    def __call__(self, tasks: Iterator[Cell], work: Callable[[Cell], str], **arguments: Any) -> Iterator[Outcome[Cell]]:
        self.tasks, self.arguments = list(tasks), {"work": work, **arguments}
        if len(self.tasks) > 1:
            yield Outcome(self.tasks[0], error=FailedError("a trace\nValueError: a reason\n"))
            yield Outcome(plant(self.tasks[1], [0.5]), "recall 1")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    made = Processes()
    monkeypatch.setattr("ltocf.reproduce.run.run_all", made)
    return made


def test_each_cell_ends_as_done_failed_or_left(
    waiting: list[Cell], processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        progress = run_cells(waiting)
    assert progress.done == [waiting[1]]
    assert progress.failed == {"log/mf-seed0": "a trace\nValueError: a reason\n"}
    assert progress.left == [waiting[2]]
    assert caplog.messages == ["log/mf-seed0 failed: ValueError: a reason", "log/lightgcn-seed0: recall 1"]


def test_only_missing_cells_are_run_and_each_once(waiting: list[Cell], processes: Processes) -> None:
    plant(waiting[2], [0.5])
    elsewhere = replace(waiting[0], split={"digest": "two"})
    progress = run_cells([*waiting, waiting[0], elsewhere])
    assert processes.tasks == [waiting[0], waiting[1], elsewhere]
    # `elsewhere` has the label of the failed cell, but is only left.
    assert (progress.done, progress.left) == ([waiting[1], waiting[2]], [elsewhere])


@pytest.mark.parametrize(("minutes", "seconds"), [(0.0, float("inf")), (1.5, 90.0)])
def test_the_limit_is_in_minutes_and_0_means_none(
    minutes: float, seconds: float, waiting: list[Cell], processes: Processes
) -> None:
    run_cells(waiting, processes=3, max_minutes=minutes)
    assert processes.arguments == {"work": run_cell, "processes": 3, "max_seconds": seconds}


def test_one_process_and_no_limit_is_the_default(waiting: list[Cell], processes: Processes) -> None:
    run_cells(waiting)
    assert processes.arguments == {"work": run_cell, "processes": 1, "max_seconds": float("inf")}


def test_configurations_are_written_before_anything_runs(places: Places, processes: Processes) -> None:
    cell = replace(make_cells("log.csv", ["grmf"], [0], places)[0], split=SUMMARY)
    run_cells([cell])
    assert cell.configuration_file.read_text() == cell.text


class Bar:
    """A stand-in for a progress bar that records its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, *, enabled: bool) -> Bar:
        self.calls.append(enabled)
        return self

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append("closed")

    def add_task(self, description: str, **fields: Any) -> int:
        self.calls.append((description, fields))
        return 7

    def update(self, task: int, **fields: Any) -> None:
        self.calls.append((task, fields))


def test_the_progress_bar_counts_cells_that_are_done(
    waiting: list[Cell], processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = Bar()
    monkeypatch.setattr("ltocf.reproduce.run.progress_bar", bar)
    plant(waiting[2], [0.5])
    run_cells(waiting, show_progress=True)
    assert bar.calls == [
        True,
        ("cells", {"total": 3, "completed": 1, "note": ""}),
        (7, {"advance": 1, "note": "log/mf-seed0"}),
        (7, {"advance": 1, "note": "log/lightgcn-seed0"}),
        "closed",
    ]
    bar.calls.clear()
    run_cells(waiting)
    assert bar.calls[0] is False


METRICS = {"recall@20": 0.25, "ndcg@20": 0.123456, "recall@5": 0.5, "split": SUMMARY, "seed": 0}
USERS = {
    "users": np.array([4, 2]),
    "recall@20": np.array([0.5, 0.0], np.float32),
    "ndcg@20": np.array([0.25, 0.0], np.float32),
    "recall@5": np.array([1.0, 0.0], np.float32),
}


class Experiment:
    """A stand-in for `experiment` that writes the files of a run and records its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.metrics = METRICS

    def train_config(self, config: Any, folder: Path, *, show_progress: bool) -> dict[str, Any]:
        self.calls.append(("train", config, folder, show_progress))
        with RunFolder.started(folder, config):
            return self.write_files(folder)

    def resume(self, folder: Path, *, show_progress: bool) -> dict[str, Any]:
        self.calls.append(("resume", folder, show_progress))
        return self.write_files(folder)

    def write_files(self, folder: Path) -> dict[str, Any]:
        run = RunFolder(folder)
        run.history_file.write_text('{"phase": "selection", "epoch": 1, "note": "é"}\n', encoding="utf-8")
        save_file(USERS, run.test_users_file)
        return dict(self.metrics)


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> Experiment:
    made = Experiment()
    monkeypatch.setattr("ltocf.reproduce.run.experiment", made)
    return made


def test_a_result_has_the_metrics_the_history_and_the_users(waiting: list[Cell], experiment: Experiment) -> None:
    cell = waiting[0]
    assert run_cell(cell) == "recall@20 0.2500, ndcg@20 0.1235"
    assert experiment.calls == [("train", cell.config, cell.run_folder, False)]
    assert cell.is_done
    text = cell.file(".json").read_text(encoding="utf-8")
    assert text == json.dumps(METRICS | {"configuration": cell.recorded}, indent=2) + "\n"
    assert cell.file(".jsonl").read_text(encoding="utf-8") == '{"phase": "selection", "epoch": 1, "note": "é"}\n'
    kept = load_file(cell.file(".safetensors"))
    assert set(kept) == {"users", "recall@20", "ndcg@20"}
    for name, values in kept.items():
        np.testing.assert_array_equal(values, USERS[name])
    assert not cell.run_folder.exists()


def start_run(cell: Cell, **values: Any) -> None:
    """Make the run folder of a cell, with some other settings."""
    with RunFolder.started(cell.run_folder, cell.config.with_values(values)):
        pass


def test_a_run_that_was_started_is_resumed(waiting: list[Cell], experiment: Experiment) -> None:
    cell = waiting[0]
    start_run(cell, threads=2)
    run_cell(cell)
    assert experiment.calls == [("resume", cell.run_folder, False)]
    assert cell.is_done


def test_a_run_that_was_started_with_other_settings_is_left_alone(waiting: list[Cell], experiment: Experiment) -> None:
    cell = waiting[0]
    start_run(cell, dim=9)
    with pytest.raises(ValueError, match=r"mf-seed0-\w{8} was started with dim 9 \(now 4\); remove it"):
        run_cell(cell)
    assert not experiment.calls
    assert cell.run_folder.exists()


def test_a_result_of_other_data_is_not_kept(waiting: list[Cell], experiment: Experiment) -> None:
    cell = waiting[0]
    experiment.metrics = METRICS | {"split": {"digest": "two"}}
    with pytest.raises(ValueError, match="the data of log/mf-seed0 has changed since it was first read; remove"):
        run_cell(cell)
    assert not cell.places.results.exists()
    assert cell.run_folder.exists()


def test_the_split_is_computed_if_it_is_not_known(
    waiting: list[Cell], experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltocf.tuning.identity.Splits.summary", lambda self, config: SUMMARY)
    run_cell(replace(waiting[0], split=None))
    assert waiting[0].is_done

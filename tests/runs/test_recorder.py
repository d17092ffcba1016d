"""What happens in each epoch: lines of the history, and TensorBoard's own reader for its files."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import pytest

from ltocf.runs.folder import RunFolder
from ltocf.runs.recorder import recorder
from ltocf.training import EpochRecord


def record(epoch: int) -> EpochRecord:
    return {"epoch": epoch, "loss": epoch / 4, "times": [0.5, epoch / 2], "seconds": 0.25, "n_steps": 3}


def epochs_of(folder: RunFolder) -> list[tuple[str, int]]:
    return [(row["phase"], row["epoch"]) for row in folder.history()]


def test_a_resumed_phase_overwrites_the_epochs_that_it_repeats(started_run: RunFolder) -> None:
    with ExitStack() as stack:
        record_epoch = recorder(started_run, "selection", stack)
        for epoch in (1, 2, 3):
            record_epoch(record(epoch))
    assert started_run.history() == [{"phase": "selection", **record(epoch)} for epoch in (1, 2, 3)]
    with ExitStack() as stack:
        record_epoch = recorder(started_run, "selection", stack)
        for epoch in (2, 3, 4):
            record_epoch(record(epoch) | {"loss": 9.0})
    assert epochs_of(started_run) == [("selection", epoch) for epoch in (1, 2, 3, 4)]
    assert [row["loss"] for row in started_run.history()] == [0.25, 9.0, 9.0, 9.0]
    with ExitStack() as stack:
        recorder(started_run, "retraining", stack)(record(1))
    assert epochs_of(started_run)[3:] == [("selection", 4), ("retraining", 1)], "the other phase is left alone"
    assert not (started_run.path / "tensorboard").exists()


def scalars(folder: RunFolder, phase: str) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder.path / "tensorboard" / phase)).Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_tensorboard_shows_each_epoch_once_after_a_run_was_cut_off(started_run: RunFolder) -> None:
    """Three epochs, of which a crash kept one in the history: the repeated ones take the place of the others."""
    for epoch in (1, 2, 3):
        started_run.add_history({"phase": "selection", **record(epoch)})
    with ExitStack() as stack:
        record_epoch = recorder(started_run, "retraining", stack, tensorboard=True)
        for epoch in (1, 2, 3):
            record_epoch(record(epoch))
    started_run.cut_history("retraining", 2)
    with ExitStack() as stack:
        record_epoch = recorder(started_run, "retraining", stack, tensorboard=True)
        for epoch in (2, 3):
            record_epoch(record(epoch) | {"loss": epoch / 8})
    assert scalars(started_run, "retraining") == {
        "loss": [(1, 0.25), (2, 0.25), (3, 0.375)],
        "t_1": [(1, 0.5), (2, 0.5), (3, 0.5)],
        "t_2": [(1, 0.5), (2, 1.0), (3, 1.5)],
        "seconds": [(1, 0.25), (2, 0.25), (3, 0.25)],
    }
    assert epochs_of(started_run) == [(phase, epoch) for phase in ("selection", "retraining") for epoch in (1, 2, 3)]


def test_a_model_without_times_shows_none_in_tensorboard(started_run: RunFolder) -> None:
    with ExitStack() as stack:
        recorder(started_run, "selection", stack, tensorboard=True)({"epoch": 1, "loss": 2.0})
    assert scalars(started_run, "selection") == {"loss": [(1, 2.0)]}


def test_a_missing_tensorboard_is_named(started_run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with ExitStack() as stack, pytest.raises(ImportError, match=r"pip install .*\[tracking\]"):
        recorder(started_run, "selection", stack, tensorboard=True)

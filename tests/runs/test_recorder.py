"""What happens in each epoch: lines of the history, and TensorBoard's own reader for its files."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ltocf.runs.folder import RunFolder
from ltocf.runs.recorder import recorder
from ltocf.training import EpochRecord

EARLIER = Path(__file__).with_name("earlier_version")


def record(epoch: int) -> EpochRecord:
    return {"epoch": epoch, "loss": epoch / 4, "times": [0.5, epoch / 2], "seconds": 0.25, "n_steps": 3}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that has its configuration and nothing else."""
    shutil.copy(EARLIER / "run-ltocf" / "config.toml", tmp_path)
    return RunFolder(tmp_path)


def epochs_of(folder: RunFolder) -> list[tuple[str, int]]:
    return [(row["phase"], row["epoch"]) for row in folder.history()]


def test_a_resumed_phase_writes_over_what_it_does_again(folder: RunFolder) -> None:
    with ExitStack() as stack:
        record_epoch = recorder(folder, "selection", stack)
        for epoch in (1, 2, 3):
            record_epoch(record(epoch))
    assert folder.history() == [{"phase": "selection", **record(epoch)} for epoch in (1, 2, 3)]
    with ExitStack() as stack:
        record_epoch = recorder(folder, "selection", stack)
        for epoch in (2, 3, 4):
            record_epoch(record(epoch) | {"loss": 9.0})
    assert epochs_of(folder) == [("selection", epoch) for epoch in (1, 2, 3, 4)]
    assert [row["loss"] for row in folder.history()] == [0.25, 9.0, 9.0, 9.0]
    with ExitStack() as stack:
        recorder(folder, "retraining", stack)(record(1))
    assert epochs_of(folder)[3:] == [("selection", 4), ("retraining", 1)], "the other phase is left alone"
    assert not (folder.path / "tensorboard").exists()


def scalars(folder: RunFolder, phase: str) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder.path / "tensorboard" / phase)).Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_tensorboard_shows_each_epoch_once_after_a_run_was_cut_off(folder: RunFolder) -> None:
    """Three epochs, of which a crash kept one in the history: what is done again takes the place of the others."""
    for epoch in (1, 2, 3):
        folder.add_history({"phase": "selection", **record(epoch)})
    with ExitStack() as stack:
        record_epoch = recorder(folder, "retraining", stack, tensorboard=True)
        for epoch in (1, 2, 3):
            record_epoch(record(epoch))
    folder.cut_history("retraining", 2)
    with ExitStack() as stack:
        record_epoch = recorder(folder, "retraining", stack, tensorboard=True)
        for epoch in (2, 3):
            record_epoch(record(epoch) | {"loss": epoch / 8})
    assert scalars(folder, "retraining") == {
        "loss": [(1, 0.25), (2, 0.25), (3, 0.375)],
        "t_1": [(1, 0.5), (2, 0.5), (3, 0.5)],
        "t_2": [(1, 0.5), (2, 1.0), (3, 1.5)],
        "seconds": [(1, 0.25), (2, 0.25), (3, 0.25)],
    }
    assert epochs_of(folder) == [(phase, epoch) for phase in ("selection", "retraining") for epoch in (1, 2, 3)]


def test_a_model_without_times_has_none_on_the_board(folder: RunFolder) -> None:
    with ExitStack() as stack:
        recorder(folder, "selection", stack, tensorboard=True)({"epoch": 1, "loss": 2.0})
    assert scalars(folder, "selection") == {"loss": [(1, 2.0)]}


def test_tensorboard_that_is_not_installed_is_named(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with ExitStack() as stack, pytest.raises(ImportError, match=r"pip install .*\[tracking\]"):
        recorder(folder, "selection", stack, tensorboard=True)

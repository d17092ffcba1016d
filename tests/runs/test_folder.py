"""A run folder has one process at a time, one configuration for ever, no other files; each file has its content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import ltocf
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.training import Runtime

EARLIER = Path(__file__).with_name("earlier_version")
LOG = EARLIER / "log.csv"
SETTINGS: dict[str, Any] = {
    "model": "ngcf",
    "preset": "paper",
    "dim": 4,
    "n_layers": 1,
    "epochs": 4,
    "validate_every": 2,
    "select_by": "recall@5",
    "threads": 1,
}


class CrashError(Exception):
    """Stands for a crash: nothing in the package catches it."""


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that stopped in its third epoch, with a checkpoint of the first."""

    def stop(run: RunFolder, record: dict[str, Any]) -> None:
        if record["epoch"] == 3:
            raise CrashError
        add(run, record)

    add = RunFolder.add_history
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "add_history", stop)
        with pytest.raises(CrashError):
            ltocf.train(LOG, tmp_path / "run", **SETTINGS)
    return RunFolder(tmp_path / "run")


def test_a_second_process_is_refused(interrupted: RunFolder) -> None:
    with interrupted.locked(), pytest.raises(BlockingIOError, match="another process is at work in"):
        ltocf.resume(interrupted.path)
    with interrupted.locked(), pytest.raises(FileExistsError, match="already holds a run"):
        ltocf.train(LOG, interrupted.path, **SETTINGS)
    assert len(interrupted.history()) == 2
    assert ltocf.resume(interrupted.path)["fits"]["selection"]["epochs"] == 4


def test_a_finished_run_removes_what_a_killed_process_left(interrupted: RunFolder) -> None:
    checkpoint = interrupted.checkpoint_file("selection")
    kept = checkpoint.read_bytes()
    metrics = ltocf.resume(interrupted.path)
    for file in (
        checkpoint,
        interrupted.path / "candidate-ease.json",
        interrupted.path / ".metrics.json.0123abcd.part",
    ):
        file.write_bytes(kept)
    assert ltocf.resume(interrupted.path) == metrics
    left = {file.name for file in interrupted.path.iterdir()}
    assert not {name for name in left if name.startswith(("checkpoint", "candidate", ".metrics"))}


def test_a_new_run_is_refused_where_another_process_starts_one(tmp_path: Path) -> None:
    """Both processes saw an empty folder; the second to lock it finds the file of the first."""
    config = RunFolder(EARLIER / "run-ltocf").config()
    second = RunFolder.started(tmp_path / "run", config)
    with RunFolder.started(tmp_path / "run", config), pytest.raises(BlockingIOError), second:
        pytest.fail("two processes in one folder")
    with pytest.raises(FileExistsError, match="already holds a run"), RunFolder.started(tmp_path / "run", config):
        pytest.fail("a run was overwritten")


def test_a_dead_process_holds_no_lock(interrupted: RunFolder) -> None:
    program = (
        "import os, sys; from ltocf.files import locked_folder; from pathlib import Path\n"
        "with locked_folder(Path(sys.argv[1])): print('locked', flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", program, interrupted.path], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (9, "locked"), done.stderr
    with interrupted.locked():
        pass


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("learning_rate = 0.001", "learning_rate = 0.5", "learning_rate 0.001 -> 0.5"),
        ("\nseed = 0", "\nseed = 3", "seed 0 -> 3"),
        ("n_layers = 1", "n_layers = 2", "n_layers 1 -> 2"),
        ("test_fraction = 0.2", "test_fraction = 0.3", "test_fraction 0.2 -> 0.3"),
    ],
)
def test_an_edited_configuration_is_noticed(interrupted: RunFolder, old: str, new: str, change: str) -> None:
    text = interrupted.config_file.read_text()
    assert old in text
    interrupted.config_file.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=f"was changed after the run was started: {change}; restore it"):
        ltocf.resume(interrupted.path)
    interrupted.config_file.write_text(text)
    assert ltocf.resume(interrupted.path)["seed"] == 0


def test_the_device_and_the_time_limit_may_change(interrupted: RunFolder) -> None:
    text = interrupted.config_file.read_text()
    changed = text.replace("max_minutes = 0.0", "max_minutes = 60.0").replace('device = "auto"', 'device = "cpu"')
    interrupted.config_file.write_text(changed)
    configuration = ltocf.resume(interrupted.path)["configuration"]
    assert (configuration["training"]["max_minutes"], configuration["run"]["device"]) == (60, "cpu")


def test_a_checkpoint_of_another_run_is_refused(interrupted: RunFolder, tmp_path: Path) -> None:
    checkpoint = interrupted.checkpoint_file("selection")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(checkpoint, other)
    with pytest.raises(FileExistsError, match=r"holds checkpoint-selection.safetensors of a run without its config"):
        ltocf.train(LOG, other, **SETTINGS)
    config = interrupted.config().with_values({"seed": 5})
    with RunFolder.started(tmp_path / "third", config) as run:
        run.write_data(interrupted.read_data())
    shutil.copy(checkpoint, tmp_path / "third")
    with pytest.raises(ValueError, match="belongs to a run with other settings or data"):
        ltocf.resume(tmp_path / "third")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.json", b"{", "metrics.json is damaged"),
        ("checkpoint-selection.safetensors", b"\x00" * 9, "is damaged or no checkpoint"),
        ("data.safetensors", b"\xff" * 100, "data.safetensors"),
        ("config.toml", b"epochs = [", "not valid TOML"),
    ],
    ids=["metrics", "checkpoint", "data", "configuration"],
)
def test_a_damaged_file_is_named(interrupted: RunFolder, name: str, content: bytes, message: str) -> None:
    (interrupted.path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        ltocf.resume(interrupted.path)


def test_a_run_is_not_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("my notes")
    with pytest.raises(NotADirectoryError, match="is a file; choose a folder"):
        ltocf.train(LOG, tmp_path / "file", **SETTINGS)
    assert (tmp_path / "file").read_text() == "my notes"


def test_the_callers_threads_and_random_numbers_are_left_alone(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    ltocf.train(LOG, tmp_path / "run", **{**SETTINGS, "message_dropout": 0.3})
    assert torch.rand(3).equal(expected)
    assert torch.get_num_threads() == threads
    with Runtime(threads=1).active():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_no_more_threads_than_cores(caplog: pytest.LogCaptureFixture) -> None:
    with Runtime(threads=99_999).active():
        assert torch.get_num_threads() <= 1024
    assert "`threads` is 99999" in caplog.text


def record(phase: str, epoch: int) -> dict[str, Any]:
    return {"phase": phase, "epoch": epoch, "loss": 0.5}


def test_a_history_grows_by_lines_and_is_cut_where_a_run_continues(started_run: RunFolder) -> None:
    rows = [record("selection", 1), record("selection", 2), record("retraining", 1), record("retraining", 2)]
    assert started_run.history() == []
    for row in rows:
        started_run.add_history(row)
    assert started_run.history() == rows
    assert started_run.history_file.read_text() == "".join(json.dumps(row) + "\n" for row in rows)
    with started_run.history_file.open("a") as file:
        file.write('{"phase": "retraining", "epo')
    assert started_run.history() == rows, "a line that a crash cut short"
    started_run.cut_history("retraining", 2)
    assert started_run.history() == rows[:3]
    started_run.cut_history("selection", 2)
    assert started_run.history() == rows[:1]
    started_run.add_history(rows[1])
    assert started_run.history() == rows[:2], "the new line is one of its own"


def test_data_come_back_as_they_were(started_run: RunFolder) -> None:
    data = RunFolder(EARLIER / "run-ltocf").read_data()
    titles = tuple(f"Théâtre {item}" for item in range(data.split.n_items))
    data = dataclasses.replace(data, name="théâtre", names=dataclasses.replace(data.names, titles=titles))
    assert data.split.validation is not None
    for split in (data.split, dataclasses.replace(data.split, validation=None)):
        started_run.write_data(dataclasses.replace(data, split=split))
        loaded = started_run.read_data()
        assert (loaded.name, loaded.split.digest) == ("théâtre", split.digest)
        assert loaded.names.user_ids.ids.equals(data.names.user_ids.ids)
        assert loaded.names.item_ids.ids.equals(data.names.item_ids.ids)
        assert loaded.names.titles == titles


def test_a_fingerprint_is_that_of_what_matters(started_run: RunFolder) -> None:
    data = RunFolder(EARLIER / "run-ltocf").read_data()
    text, first = started_run.config_file.read_text(), started_run.fingerprint(data.split)
    content = json.dumps([started_run.config().that_matters(), data.split.digest], sort_keys=True)
    assert first == hashlib.sha256(content.encode()).hexdigest()
    started_run.config_file.write_text(text.replace("max_minutes = 0.0", "max_minutes = 9.0"))
    assert started_run.fingerprint(data.split) == first
    assert started_run.fingerprint(dataclasses.replace(data.split, validation=None)) != first


def test_the_data_remember_the_configuration_they_were_read_with(started_run: RunFolder) -> None:
    text = started_run.config_file.read_text()
    started_run.config_file.write_text(text.replace("seed = 0", "seed = 3"))
    assert started_run.config().run.seed == 3, "without data the run has not started"
    started_run.config_file.write_text(text)
    started_run.write_data(RunFolder(EARLIER / "run-ltocf").read_data())
    assert started_run.config() == Config.from_toml(text)
    started_run.config_file.write_text(text.replace("\nseed = 0", "\nseed = 3").replace("\nepochs = 6", "\nepochs = 7"))
    with pytest.raises(ValueError, match=r"changed after the run was started: epochs 6 -> 7, seed 0 -> 3; restore it"):
        started_run.config()


def test_metrics_are_text_that_people_read(started_run: RunFolder) -> None:
    with pytest.raises(FileNotFoundError, match="is not finished; continue it with `ltocf train --resume"):
        started_run.metrics()
    started_run.write_metrics({"recall@20": 0.5, "dataset": "a"})
    assert started_run.metrics_file.read_text() == '{\n  "recall@20": 0.5,\n  "dataset": "a"\n}\n'
    assert started_run.metrics() == {"recall@20": 0.5, "dataset": "a"}


def test_the_names_of_the_files_are_those_of_the_pages(started_run: RunFolder) -> None:
    paths = {value.name for value in vars(started_run).values()} - {started_run.path.name}
    assert paths == {
        "config.toml",
        "data.safetensors",
        "diverged.safetensors",
        "history.jsonl",
        "metrics.json",
        "test-users.safetensors",
        "model.safetensors",
        "model-selection.safetensors",
    }
    assert started_run.checkpoint_file("selection") == started_run.path / "checkpoint-selection.safetensors"
    assert {value.parent for name, value in vars(started_run).items() if name != "path"} == {started_run.path}

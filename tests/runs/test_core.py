"""`core` in a run: the last model expects rare items more often, the selected one does not, and wrong values end it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import ltocf
from ltocf.models import LTOCF, Blend
from ltocf.models.core import log_core_ratio
from ltocf.runs import protocol
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.runs.settings import DataSettings
from ltocf.tuning.identity import differences, recorded, run_key
from samples import random_interactions

CORE = 10
SETTINGS: dict[str, Any] = {"model": "ltocf", "dim": 4, "epochs": 2, "threads": 1, "show_progress": False}


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    log = random_interactions(60, 50, 0.25).core(1, CORE)
    path = tmp_path / "log.csv"
    rows = (f"{user},{item}" for user, item in zip(log.users, log.items, strict=True))
    path.write_text("\n".join(["user,item", *rows]))
    return path


@pytest.mark.parametrize("more", [{}, {"retraining": "continued"}], ids=str)
def test_only_the_last_model_expects_the_core(log_file: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    plain, metrics = (ltocf.train(log_file, tmp_path / str(core), core=core, **SETTINGS, **more) for core in (0, CORE))
    run, other = (RunFolder(tmp_path / str(core)) for core in (CORE, 0))
    split = run.read_data().split
    held_out = len(split.test) / (len(split.train) + len(split.validation or ()) + len(split.test))
    assert metrics["learned"].items() >= {"core": CORE, "held_out": pytest.approx(held_out)}.items()
    assert "core" not in plain["learned"]
    users = torch.arange(split.n_users)
    selected, not_expecting = (ltocf.load(each.selection_model_file).model for each in (run, other))
    assert selected.scores(users).equal(not_expecting.scores(users))
    assert split.validation is not None
    degrees = torch.from_numpy(split.train.item_degrees + split.validation.item_degrees).float()
    added = log_core_ratio(degrees, CORE, held_out)
    assert added.any()
    final, before = (ltocf.load(each.model_file).model.scores(users) for each in (run, other))
    torch.testing.assert_close(final - before, added.expand(len(users), -1), atol=1e-5, rtol=0)


def test_a_contest_gives_it_to_its_members(log_file: Path, tmp_path: Path) -> None:
    ltocf.train(log_file, tmp_path / "run", core=CORE, max_minutes=5.0, threads=1, show_progress=False)
    run = RunFolder(tmp_path / "run")
    assert "core" not in ltocf.load(run.selection_model_file).model.learned()
    blend = ltocf.load(run.model_file).model
    assert isinstance(blend, Blend)
    expecting = ["core" in model.learned() for model in blend.models]
    assert expecting == [isinstance(model, LTOCF) for model in blend.models]
    assert any(expecting)


def test_a_run_without_a_selection_has_it(tmp_path: Path) -> None:
    """Nobody has two items to train on, so that there is no validation set."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.txt").write_text("".join(f"{user} {user % 3}\n" for user in range(6)))
    (folder / "test.txt").write_text("".join(f"{user} {(user + 1) % 3}\n" for user in range(6)))
    metrics = ltocf.train(folder, tmp_path / "run", core=4, **SETTINGS)
    assert metrics["learned"].items() >= {"core": 4.0, "held_out": pytest.approx(0.5)}.items()


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_run_has_it_when_it_is_resumed(
    log_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ltocf.train(log_file, tmp_path / "whole", core=CORE, **SETTINGS)
    with monkeypatch.context() as patched:
        patched.setattr(protocol.Experiment, "finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ltocf.train(log_file, tmp_path / "run", core=CORE, **SETTINGS)
    resumed = ltocf.resume(tmp_path / "run", show_progress=False)
    assert resumed["learned"] == whole["learned"]
    assert resumed["recall@20"] == whole["recall@20"]


def test_it_belongs_to_the_identity_of_a_run() -> None:
    """The split is the same, the result is not."""
    without, with_core = (Config(DataSettings("log.csv", core=core), "ltocf") for core in (0, CORE))
    assert run_key(without, "a") != run_key(with_core, "a")
    found = differences(recorded(without), recorded(with_core), with_data=False)
    assert found == {"core": (0, CORE)}


def test_the_papers_protocol_refuses_it(log_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='got `select_on = "test"`; set `core` to 0'):
        ltocf.train(log_file, tmp_path / "run", core=CORE, select_on="test", **SETTINGS)


def test_without_a_test_set_nothing_is_held_out(log_file: Path, tmp_path: Path) -> None:
    fitted = ltocf.fit(log_file, tmp_path / "run", core=CORE, **SETTINGS)
    assert "core" not in fitted.model.learned()


def test_a_model_that_cannot_use_it_says_so(log_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ltocf.train(log_file, tmp_path / "run", model="spectral", core=CORE, threads=1, show_progress=False)
    assert "spectral does not use `core`" in caplog.text


def test_a_source_that_is_no_such_core_is_refused(log_file: Path, tmp_path: Path) -> None:
    counts = [line.rpartition(",")[2] for line in log_file.read_text().splitlines()[1:]]
    fewest = min(counts.count(item) for item in set(counts))
    with pytest.raises(ValueError, match=rf"got {fewest + 1} and an item with {fewest}$"):
        ltocf.train(log_file, tmp_path / "run", core=fewest + 1, **SETTINGS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"core": -1}, r"`core` must be in 0\.\.1000, got -1"),
        ({"core": 1001}, r"`core` must be in 0\.\.1000, got 1001"),
        ({"core": 10, "validation_core": 5}, "`core` and `validation_core` exclude each other, got 10 and 5"),
    ],
    ids=str,
)
def test_values_that_mean_nothing_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSettings("gowalla", **values)

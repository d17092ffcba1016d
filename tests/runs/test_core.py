"""`core` in a run: the last model expects rare items more often, the selected one does not, and wrong values end it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import ltocf
from ltocf.models.core import log_core_ratio
from ltocf.runs.folder import RunFolder
from ltocf.runs.settings import DataSettings
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
    degrees = torch.from_numpy(split.train.item_degrees + split.validation.item_degrees).float()  # type: ignore[union-attr]
    added = log_core_ratio(degrees, CORE, held_out)
    assert added.any()
    final, before = (ltocf.load(each.model_file).model.scores(users) for each in (run, other))
    torch.testing.assert_close(final - before, added.expand(len(users), -1), atol=1e-5, rtol=0)


def test_a_contest_gives_it_to_its_members(log_file: Path, tmp_path: Path) -> None:
    ltocf.train(log_file, tmp_path / "run", core=CORE, max_minutes=5.0, threads=1, show_progress=False)
    run = RunFolder(tmp_path / "run")
    assert "core" not in ltocf.load(run.selection_model_file).model.learned()
    blend = ltocf.load(run.model_file).model
    learned = {type(model).__name__: model.learned() for model in blend.models}  # type: ignore[union-attr]
    assert {name: "core" in numbers for name, numbers in learned.items()} == {name: name == "LTOCF" for name in learned}
    assert "LTOCF" in learned


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
        ({"core": -1}, r"`core` must be in 0\.\.100, got -1"),
        ({"core": 101}, r"`core` must be in 0\.\.100, got 101"),
        ({"core": 10, "validation_core": 5}, "`core` and `validation_core` exclude each other, got 10 and 5"),
    ],
    ids=str,
)
def test_values_that_mean_nothing_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSettings("gowalla", **values)

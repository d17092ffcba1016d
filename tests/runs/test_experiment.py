"""The calls around a run: what each passes to the experiment, what it refuses, and what it leaves behind."""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ltocf
from ltocf.data import Interactions, carve_validation, load_dataset, split_dataset
from ltocf.evaluation import evaluate
from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.runs import experiment, preparation
from ltocf.runs.config import Config
from ltocf.runs.data_file import RunData
from ltocf.runs.experiment import evaluate_run, resume, select, train_config
from ltocf.runs.folder import RunFolder
from ltocf.runs.preparation import prepare_data
from ltocf.runs.settings import DataSettings
from ltocf.runs.time_budget import TimeBudget
from ltocf.serving import TrainedModel
from ltocf.training import FitResult

EARLIER = Path(__file__).with_name("earlier_version")
LOG = EARLIER / "log.csv"
CONFIG = Config(DataSettings(str(LOG)), "mf").with_values(
    {"preset": "paper", "dim": 3, "epochs": 3, "validate_every": 1, "select_by": "recall@5", "threads": 1}
)
FITTED = FitResult(3, 2, 0.5, 1.0, "epochs")
TRIALS: list[Any] = []


@dataclass
class FakeExperiment:
    """Stands for an experiment: keeps its arguments, and checks threads and lock where it would run."""

    folder: RunFolder
    config: Config
    data: RunData
    device: torch.device
    show_progress: bool
    budget: TimeBudget
    ranks: Ranks = ALONE

    def run(self) -> dict[str, Any]:
        assert torch.get_num_threads() == 1
        with pytest.raises(BlockingIOError), self.folder.locked():
            pytest.fail("the folder is not locked while the run is at work")
        return {"experiment": self}

    def phase(self, name: str, pairs: Interactions, truth: Interactions) -> tuple[None, FitResult]:
        self.run()
        assert (name, pairs, truth) == ("selection", self.data.split.train, self.data.split.validation)
        TRIALS.append(self)
        return None, FITTED


@pytest.fixture
def experiment_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], FakeExperiment]:
    monkeypatch.setattr(experiment, "Experiment", FakeExperiment)
    return lambda metrics: metrics["experiment"]


def expected_split(config: Config) -> str:
    """The digest of the split that the settings describe."""
    settings = config.data
    split = split_dataset(load_dataset(LOG), settings.split, test_fraction=settings.test_fraction, seed=3)
    core, fraction = settings.validation_core, settings.validation_fraction
    return carve_validation(split, fraction, 3, settings.validation_split, core).digest


def test_the_data_are_split_as_the_settings_say() -> None:
    values = {"split_seed": 3, "split": "random", "test_fraction": 0.3, "validation_fraction": 0.25}
    values["validation_split"] = "random"
    last = {**values, "split": "leave-last-out", "validation_split": "last", "validation_core": 2}
    digests = set()
    half = {**values, "test_fraction": 0.5, "validation_fraction": 0.5}
    for changed in (values, last, half, {**half, "validation_core": 3}):
        config = CONFIG.with_values(changed)
        data = prepare_data(config)
        assert data.split.digest == expected_split(config)
        digests.add(data.split.digest)
        assert data.name == load_dataset(LOG).name
        assert data.names.user_ids.ids.equals(load_dataset(LOG).names.user_ids.ids)
    assert len(digests) == 4


def test_a_run_that_selects_on_the_test_set_has_no_validation_part() -> None:
    split = prepare_data(CONFIG.with_values({"select_on": "test", "split_seed": 3})).split
    assert split.validation is None
    assert split.digest == split_dataset(load_dataset(LOG), "auto", test_fraction=0.2, seed=3).digest


def test_named_sets_are_looked_for_in_the_folder_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def load(source: str, *, data_dir: str | None) -> Any:
        calls.append((source, data_dir))
        return load_dataset(LOG)

    monkeypatch.setattr(preparation, "load_dataset", load)
    for folder in ("", "sets"):
        prepare_data(replace(CONFIG, data=DataSettings("gowalla", data_dir=folder)))
    assert calls == [("gowalla", None), ("gowalla", "sets")]


@pytest.mark.parametrize("show_progress", [True, False])
def test_training_passes_on_its_arguments(show_progress: bool, experiment_of: Any, tmp_path: Path) -> None:
    config = CONFIG.with_values({"max_minutes": 1.5})
    started = experiment_of(train_config(config, tmp_path / "deep" / "run", show_progress=show_progress))
    assert (started.folder.path, started.config, started.show_progress) == (
        tmp_path / "deep" / "run",
        config,
        show_progress,
    )
    assert (started.budget.seconds, started.device) == (90, torch.device("cpu"))
    assert started.folder.config() == config
    assert started.folder.read_data().split.digest == started.data.split.digest == prepare_data(config).split.digest


def test_without_a_limit_the_budget_is_infinite_and_a_bar_is_shown(experiment_of: Any, tmp_path: Path) -> None:
    started = experiment_of(train_config(CONFIG, tmp_path / "run"))
    assert started.budget.seconds == math.inf
    assert started.show_progress
    assert experiment_of(ltocf.train(LOG, tmp_path / "second", model="mf")).show_progress
    assert experiment_of(resume(tmp_path / "run")).show_progress
    assert not experiment_of(
        ltocf.train(LOG, tmp_path / "third", model="mf", threads=1, show_progress=False)
    ).show_progress


def test_the_model_is_that_of_the_call_or_else_of_the_file_or_else_ltocf(experiment_of: Any, tmp_path: Path) -> None:
    file = tmp_path / "mf.toml"
    file.write_text('[model]\nname = "mf"\n[run]\nthreads = 1\n')
    models = [
        experiment_of(ltocf.train(LOG, tmp_path / str(number), threads=1, **given)).config.model
        for number, given in enumerate(
            ({"dim": 3}, {"config": file}, {"config": file, "model": "ngcf"}, {"model": "gc-mc"})
        )
    ]
    assert models == ["ltocf", "mf", "ngcf", "gc-mc"]


@pytest.mark.parametrize("show_progress", [True, False])
def test_a_resumed_run_has_the_rest_of_its_time(show_progress: bool, experiment_of: Any, tmp_path: Path) -> None:
    experiment_of(train_config(CONFIG.with_values({"max_minutes": 2.0}), tmp_path / "run"))
    run = RunFolder(tmp_path / "run")
    for epoch, seconds in enumerate((20.0, 12.5), start=1):
        run.add_history({"phase": "selection", "epoch": epoch, "seconds": seconds})
    before = run.data_file.read_bytes()
    started = experiment_of(resume(run.path, show_progress=show_progress))
    assert (started.budget.seconds, started.show_progress) == (120 - 32.5, show_progress)
    assert (started.folder.path, started.config) == (run.path, run.config())
    assert run.data_file.read_bytes() == before
    run.data_file.unlink()
    assert experiment_of(resume(run.path)).data.split.digest == started.data.split.digest


def test_resuming_a_finished_run_returns_its_metrics(experiment_of: Any) -> None:
    run = RunFolder(EARLIER / "run-fast")
    assert resume(run.path) == run.metrics()


def test_a_trial_is_the_selection_of_a_run_and_is_trained_once(tmp_path: Path) -> None:
    metrics = train_config(CONFIG, tmp_path / "run", show_progress=False)
    found = select(CONFIG, tmp_path / "trial")
    whole = metrics["fits"]["selection"]
    assert (found.best_epoch, found.best_value) == (whole["best_epoch"], whole["best_value"])
    trial = RunFolder(tmp_path / "trial")
    assert not trial.model_file.exists()
    assert [row["phase"] for row in trial.history()] == ["selection"] * 3
    before = trial.history_file.read_bytes()
    assert select(CONFIG, trial.path)[:3] == found[:3]
    assert trial.history_file.read_bytes() == before, "an epoch was trained twice"
    with pytest.raises(FileExistsError, match="already holds a run"):
        select(CONFIG.with_values({"seed": 1}), trial.path)


def test_a_trial_passes_on_its_arguments(experiment_of: Any, tmp_path: Path) -> None:
    config = CONFIG.with_values({"max_minutes": 1.5})
    for _ in range(2):
        assert select(config, tmp_path / "trial") == FITTED
        started = TRIALS.pop()
        assert (started.config, started.show_progress, started.budget.seconds) == (config, False, 90)
        assert started.data.split.digest == prepare_data(config).split.digest
        started.folder.data_file.unlink()
    with pytest.raises(ValueError, match="settings are chosen on the validation set, got select_on = 'test'"):
        select(CONFIG.with_values({"select_on": "test"}), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_missing_extra_is_named_before_anything_is_written(
    experiment_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else installed(name))
    with pytest.raises(ImportError, match=r"`tensorboard` needs the `tracking` extra"):
        train_config(CONFIG.with_values({"tensorboard": True}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train_config(CONFIG, tmp_path / "run")
    monkeypatch.undo()
    monkeypatch.setattr(experiment, "Experiment", FakeExperiment)
    assert experiment_of(
        train_config(CONFIG.with_values({"tensorboard": True}), tmp_path / "other")
    ).config.run.tensorboard


def test_a_run_is_measured_again_at_any_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(EARLIER / "run-ltocf")
    split, shown = run.read_data().split, []
    assert split.validation is not None

    def watched(*arguments: Any, show_progress: bool, **given: Any) -> dict[str, float]:
        shown.append(show_progress)
        return evaluate(*arguments, **given)

    monkeypatch.setattr(experiment, "evaluate", watched)
    for on, file, truth in (
        ("test", run.model_file, split.test),
        ("validation", run.selection_model_file, split.validation),
    ):
        trained = TrainedModel.load(file)
        expected = evaluate(trained.model.scorer(), truth, seen=trained.seen, ks=[3, 7])
        assert evaluate_run(run.path, on=on, ks=[3, 7], show_progress=True) == expected
    assert {"recall@5", "recall@10", "recall@20"} < set(evaluate_run(str(run.path)))
    assert shown == [True, True, False]
    with pytest.raises(ValueError, match="`on` must be test or validation, got 'train'"):
        evaluate_run(run.path, on="train")


def test_a_run_that_selected_on_its_test_set_has_nothing_to_validate(experiment_of: Any, tmp_path: Path) -> None:
    train_config(CONFIG.with_values({"select_on": "test"}), tmp_path / "run")
    with pytest.raises(ValueError, match=r"has no validation set: it was selected on its test set"):
        evaluate_run(tmp_path / "run", on="validation")


def test_loading_takes_the_model_retrained_on_all_pairs_and_says_what_is_missing(tmp_path: Path) -> None:
    run = RunFolder(EARLIER / "run-ltocf")
    data = run.read_data().split
    assert len(ltocf.load(str(run.path)).seen) > len(data.train)
    assert len(ltocf.load(run.selection_model_file).seen) == len(data.train)
    shutil.copytree(EARLIER / "run-interrupted", tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"is not finished; continue it with `ltocf train --resume"):
        ltocf.load(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"holds no run \(no config.toml\)"):
        ltocf.load(tmp_path)

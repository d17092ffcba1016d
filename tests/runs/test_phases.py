"""One experiment, step by step: what a phase passes to the training, how time is shared, what is recorded of a run."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ltocf.data import Interactions
from ltocf.evaluation import evaluate_per_user
from ltocf.files import read_arrays
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, STARTS, build_model
from ltocf.runs import protocol
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.runs.preparation import prepare_data
from ltocf.runs.protocol import Experiment
from ltocf.runs.retraining import Selected
from ltocf.runs.settings import DataSettings
from ltocf.runs.time_budget import TimeBudget
from ltocf.serving import TrainedModel
from ltocf.training import FitContext, FitResult, environment, sample_users

LOG = Path(__file__).with_name("earlier_version") / "log.csv"
CPU = torch.device("cpu")
MODEL: dict[str, Any] = {"dim": 3, "n_times": 2, "preset": "paper"}
VALUES = {**MODEL, "epochs": 7, "seed": 4, "select_by": "ndcg@5", "validation_users": 12}
NOW = 1000.0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def experiment(
    path: Path, stack: ExitStack, seconds: float = math.inf, *, show_progress: bool = False, **values: Any
) -> Experiment:
    """An experiment in a new folder that was given so many seconds at `NOW`."""
    config = Config(DataSettings(str(LOG))).with_values(VALUES | values)
    folder = stack.enter_context(RunFolder.started(path / "run", config))
    folder.write_data(prepare_data(config))
    return Experiment(folder, config, folder.read_data(), CPU, show_progress, TimeBudget(seconds, started=NOW))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until a test moves it."""
    clock = SimpleNamespace(now=NOW)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace) -> list[SimpleNamespace]:
    """The arguments and initial weights of each training; none takes place, but each takes 5 s on the clock."""
    calls: list[SimpleNamespace] = []

    def train_on(self: LTOCF, pairs: Interactions, **given: Any) -> FitResult:
        weights = {name: value.clone() for name, value in self.state_dict().items()}
        calls.append(SimpleNamespace(model=self, pairs=pairs, weights=weights, **given))
        clock.now += 5
        given["context"].on_epoch({"epoch": 1, "loss": 0.5})
        return FitResult(7, 3, 0.25, 11.0, "epochs")

    monkeypatch.setattr(LTOCF, "train_on", train_on)
    return calls


@pytest.mark.parametrize("show_progress", [True, False])
def test_what_a_phase_passes_to_the_training(
    show_progress: bool, trainings: list[Any], tmp_path: Path, stack: ExitStack
) -> None:
    run = experiment(tmp_path, stack, show_progress=show_progress)
    split = run.data.split
    assert split.validation is not None
    trained, result = run.phase("selection", split.train, split.validation)
    (call,) = trainings
    assert (call.pairs, call.settings, call.seed) == (split.train, run.config.training, 4)
    context: FitContext = call.context
    assert context.checkpoint == run.folder.path / "checkpoint-selection.safetensors"
    assert context.fingerprint == run.folder.fingerprint(run.data.split)
    assert (context.select_by, context.description) == ("ndcg@5", "ltocf selection")
    assert (context.deadline, context.validation_seconds) == (math.inf, 0)
    assert context.show_progress == show_progress
    assert run.folder.history() == [{"phase": "selection", "epoch": 1, "loss": 0.5}]
    assert not (run.folder.path / "tensorboard").exists()
    graph = BipartiteGraph.from_interactions(split.train)
    expected = build_model("ltocf", graph, run.config.options, seed=4).state_dict()
    assert all(call.weights[name].equal(value) for name, value in expected.items())
    assert (trained.model, trained.seen, trained.names) == (call.model, split.train, run.data.names)
    assert (trained.name, trained.options) == ("ltocf", run.config.options)
    assert trained.notes == {"dataset": "log.csv", "phase": "selection", "select_on": "validation", "seed": "4"}
    assert result.best_epoch == 3


def test_retraining_has_no_validation_and_takes_over_what_was_chosen(
    trainings: list[Any], tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_over: list[Any] = []
    monkeypatch.setattr(LTOCF, "take_over", lambda _, chosen: taken_over.append(chosen))
    run = experiment(tmp_path, stack, tensorboard=True)
    chosen, selection = run.phase("selection", run.data.split.train, run.data.split.validation)
    assert taken_over == []
    selected = Selected(chosen.model, selection)
    run.phase("retraining", run.data.split.train, None, selected)
    assert (taken_over, selected.model) == ([chosen.model], None)
    assert trainings[1].validation is None
    assert trainings[1].context.description == "ltocf retraining"
    assert (run.folder.path / "tensorboard" / "retraining").is_dir()


@pytest.mark.parametrize("select_on", ["validation", "test"])
def test_a_validation_may_sample_users_and_a_test_has_all(select_on: str, tmp_path: Path, stack: ExitStack) -> None:
    run = experiment(tmp_path, stack, select_on=select_on)
    split = run.data.split
    validation = run.validation(split.test, split.train)
    assert (validation.seen, validation.depth, validation.n_users, validation.seed) == (split.train, 5, 12, 4)
    assert validation.may_sample == (select_on == "validation")
    expected = sample_users(split.test, 4, 12) if validation.may_sample else split.test
    assert validation.truth.keys.tolist() == expected.keys.tolist()


@pytest.mark.parametrize(("of_steps", "expected"), [(4.0, 7.0), (0.0, 0.0)], ids=["by gradient", "a closed form"])
def test_repeating_a_training_repeats_its_start(
    of_steps: float,
    expected: float,
    trainings: list[Any],
    clock: SimpleNamespace,
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(STARTS, "mf", lambda *_: setattr(clock, "now", clock.now + 3))
    train_on = LTOCF.train_on
    monkeypatch.setattr(
        LTOCF, "train_on", lambda *a, **given: train_on(*a, **given)._replace(repeating_seconds=of_steps)
    )
    run = experiment(tmp_path, stack, init="mf")
    _, result = run.phase("selection", run.data.split.train, run.data.split.validation)
    assert result.repeating_seconds == expected


@pytest.mark.parametrize(("settings", "l2"), [({"l2": 0.5}, 0.5), ({"l2": 0.5, "init_l2": 0.0}, 0.0)])
def test_initial_embeddings_have_their_own_settings_and_half_of_the_time(
    settings: dict[str, Any],
    l2: float,
    trainings: list[Any],
    clock: SimpleNamespace,
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[Any] = []
    monkeypatch.setitem(STARTS, "mf", lambda *start: started.append(start))
    monkeypatch.setattr(protocol, "ranking_seconds", lambda *_: 40.0)
    run = experiment(tmp_path, stack, 440.0, init="mf", init_epochs=9, **settings)
    train = run.data.split.train
    run.phase("selection", train, run.data.split.validation)
    (model, graph, pairs, start_settings, seed, context) = started[0]
    assert (model, pairs, seed) == (trainings[0].model, train, 4)
    assert graph.n_users == train.n_users
    assert start_settings == dataclasses.replace(run.config.training, epochs=9, l2=l2)
    assert (context.deadline, trainings[0].context.deadline) == (NOW + 100, NOW + 200), "half of half of the time"
    assert trainings[0].context.validation_seconds == 40
    run.folder.checkpoint_file("selection").touch()
    run.phase("selection", train, run.data.split.validation)
    assert len(started) == 1, "a checkpoint has its own embeddings"


@pytest.mark.parametrize(
    ("select_on", "phase", "seconds"),
    [("validation", "selection", 35.0), ("validation", "retraining", 70.0), ("test", "selection", 70.0)],
)
def test_a_phase_ends_early_enough_for_what_follows(
    select_on: str,
    phase: str,
    seconds: float,
    clock: SimpleNamespace,
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 100 s, 20 have passed and the test takes 10: 70 are left, for selection half of them if training follows."""
    run = experiment(tmp_path, stack, 100.0, select_on=select_on)
    split, measured = run.data.split, list[Any]()
    model = build_model("ltocf", BipartiteGraph.from_interactions(split.train), run.config.options)

    def ranking_seconds(*given: Any) -> float:
        measured.append(given)
        return 10.0

    monkeypatch.setattr(protocol, "ranking_seconds", ranking_seconds)
    clock.now += 20
    assert run.deadline(phase, model, split.train) == clock.now + seconds
    assert measured == [(model, split.train, split.test)]
    validation = run.validation(split.test, split.train)
    assert run._validation_seconds(model, validation) == 10
    assert measured[1:] == [(model, split.train, validation.truth)]
    assert run._validation_seconds(model, None) == 0
    unlimited = dataclasses.replace(run, budget=TimeBudget(math.inf))
    assert unlimited.deadline(phase, model, split.train) == math.inf
    assert unlimited._validation_seconds(model, validation) == 0
    assert len(measured) == 2, "nothing is measured where there is no limit"


@pytest.mark.parametrize("show_progress", [True, False])
@pytest.mark.parametrize(("n_items", "ks"), [(30, [5, 10, 20]), (10, [5, 10]), (4, [4])])
def test_the_test_set_is_measured_and_its_values_kept_for_each_user(
    n_items: int,
    ks: list[int],
    show_progress: bool,
    clock: SimpleNamespace,
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = experiment(tmp_path, stack, show_progress=show_progress)
    split = run.data.split
    parts = {
        name: Interactions.from_pairs(part.users[kept], part.items[kept], split.n_users, n_items)
        for name, part in (("train", split.train), ("test", split.test))
        for kept in [part.items < n_items]
    }
    run = dataclasses.replace(
        run, data=dataclasses.replace(run.data, split=dataclasses.replace(split, **parts, validation=None))
    )
    model = build_model("ltocf", BipartiteGraph.from_interactions(parts["train"]), run.config.options)
    expected = evaluate_per_user(model.scorer(), parts["test"], seen=parts["train"], ks=ks)

    def watched(*arguments: Any, **given: Any) -> Any:
        clock.now += 3
        assert given.pop("show_progress") == show_progress
        return evaluate_per_user(*arguments, **given)

    monkeypatch.setattr(protocol, "evaluate_per_user", watched)
    trained = TrainedModel("ltocf", run.config.options, model, parts["train"], run.data.names)
    assert run.measured(trained) == expected.means(n_items) | {"ranking_seconds": 3.0}
    kept, _ = read_arrays(run.folder.test_users_file)
    assert kept.pop("users").tolist() == expected.users.tolist()
    assert {name: values.tolist() for name, values in kept.items()} == {
        name: values.float().tolist() for name, values in expected.values.items()
    }


def test_what_is_recorded_beside_the_metrics(tmp_path: Path, stack: ExitStack) -> None:
    run = experiment(tmp_path, stack)
    split = run.data.split
    model = build_model("ltocf", BipartiteGraph.from_interactions(split.train), run.config.options)
    trained = TrainedModel("ltocf", run.config.options, model, split.train, run.data.names)
    fits = {
        "selection": FitResult(7, 3, 0.25, 11.0, "patience", 4.0),
        "retraining": FitResult(3, None, None, 4.5, "epochs"),
    }
    times = model.state_dict()["times.values"].tolist()
    found = run.provenance(trained, fits)
    assert found.pop("memory").keys() == {"stated", "peak"}
    assert found == {
        "dataset": "log.csv",
        "split": split.summary(),
        "configuration": run.config.tables(),
        "model": "ltocf",
        "history": "as a set",
        "preset": "paper",
        "protocol": "epoch selected on the validation set, then trained on the whole training set, test set read once",
        "select_on": "validation",
        "seed": 4,
        "options": run.config.options,
        "training": vars(run.config.training),
        "times": times,
        "learned": {"t_1": times[0], "t_2": times[1]},
        "selected": {"ndcg@5": 0.25, "epoch": 3},
        "fits": {
            "selection": {
                "epochs": 7,
                "best_epoch": 3,
                "best_value": 0.25,
                "seconds": 11.0,
                "stopped_by": "patience",
                "repeating_seconds": 4.0,
            },
            "retraining": fits["retraining"]._asdict(),
        },
        "cold_users": 0,
        "cold_items": 0,
        "seconds": 15.5,
        "environment": environment(CPU),
    }


@pytest.mark.parametrize("select_on", ["validation", "test"])
def test_a_run_is_its_phases_and_the_test(
    select_on: str, trainings: list[Any], tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_over: list[Any] = []
    monkeypatch.setattr(LTOCF, "take_over", lambda _, chosen: taken_over.append(chosen))
    run = experiment(tmp_path, stack, select_on=select_on)
    split = run.data.split
    assert (split.validation is None) == (select_on == "test")
    phases = ["selection", "retraining"] if select_on == "validation" else ["selection"]
    for phase in ("selection", "retraining"):
        run.folder.checkpoint_file(phase).touch()
    metrics = run.run()
    assert metrics["seconds_of_this_process"] == 5.0 * len(phases)
    assert [call.context.checkpoint.name for call in trainings] == [f"checkpoint-{name}.safetensors" for name in phases]
    assert list(metrics["fits"]) == phases
    assert metrics["seconds"] == 11.0 * len(phases)
    if split.validation is None:
        assert trainings[0].validation.truth == split.test
        assert not run.folder.selection_model_file.exists()
    else:
        assert trainings[0].validation.truth.n_users == split.validation.n_users
        assert trainings[1].settings == dataclasses.replace(run.config.training, epochs=3)
        assert taken_over == [trainings[0].model]
        assert len(trainings[1].pairs) == len(split.train) + len(split.validation)
        assert len(TrainedModel.load(run.folder.selection_model_file).seen) == len(split.train)
    assert len(TrainedModel.load(run.folder.model_file).seen) == len(trainings[-1].pairs)
    assert json.loads(run.folder.metrics_file.read_text()) == json.loads(json.dumps(metrics))
    assert not list(run.folder.path.glob("checkpoint-*"))

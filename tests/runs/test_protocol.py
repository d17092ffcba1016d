"""The protocol by hand: what a run trains, selects and reports, from plain calls of its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch

import ltocf
from ltocf.data import Interactions, Split, carve_validation, load_dataset, split_dataset
from ltocf.evaluation import evaluate, evaluate_per_user
from ltocf.graph import BipartiteGraph
from ltocf.models import MF, MODELS, STARTS, Recommender, build_model
from ltocf.runs import protocol
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.training import FitContext, TrainingSettings, fit, sample_users
from ltocf.training.step import Stepper
from samples import random_interactions

SETTINGS: dict[str, Any] = {"epochs": 6, "validate_every": 1, "batch_size": 64, "learning_rate": 0.05, "threads": 1}


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    log = random_interactions()
    path = tmp_path / "log.csv"
    rows = (f"{user},{item}" for user, item in zip(log.users, log.items, strict=True))
    path.write_text("\n".join(["user,item", *rows]))
    return path


def train_by_hand(
    name: str, options: dict[str, Any], pairs: Interactions, epochs: int, truth: Interactions | None = None
) -> tuple[Recommender, int]:
    """The model after so many epochs, or after the best of them if there is a truth, and the number of its epochs."""
    model = build_model(name, BipartiteGraph.from_interactions(pairs), options)
    assert hasattr(model, "batches")
    settings = TrainingSettings(epochs=epochs, validate_every=1, batch_size=64, learning_rate=0.05)
    best = (-1.0, 0)

    def validate() -> dict[str, float]:
        nonlocal best
        assert truth is not None
        found = evaluate(model.scorer(), truth, seen=pairs, ks=[20])
        records.append(found["recall@20"])
        best = max(best, (found["recall@20"], -len(records)))
        return found

    records: list[float] = []
    fit(model, model.batches(pairs, 64, 0), settings=settings, validate=None if truth is None else validate)
    return model, -best[1]


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    left, right = first.state_dict(), second.state_dict()
    return left.keys() == right.keys() and all(left[name].equal(right[name]) for name in left)


@pytest.mark.parametrize(
    ("name", "options"),
    [("ltocf", {"dim": 4}), ("ngcf", {"dim": 4, "n_layers": 1, "message_dropout": 0.3}), ("mf", {"dim": 3})],
    ids=lambda value: str(value),
)
def test_a_run_is_selection_then_retraining_on_training_and_validation_set(
    log_file: Path, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    metrics = ltocf.train(log_file, tmp_path / "run", model=name, preset="paper", **options, **SETTINGS)
    split = carve_validation(split_dataset(load_dataset(log_file), "auto", test_fraction=0.2, seed=0), 0.1, 0)
    assert split.validation is not None
    chosen, best_epoch = train_by_hand(name, options, split.train, SETTINGS["epochs"], split.validation)
    assert metrics["selected"]["epoch"] == best_epoch < SETTINGS["epochs"], "or all epochs would do as well"
    everything = split.train.union(split.validation)
    retrained, _ = train_by_hand(name, options, everything, best_epoch)
    run = RunFolder(tmp_path / "run")
    assert same_weights(ltocf.load(run.selection_model_file).model, chosen)
    assert same_weights(ltocf.load(run.model_file).model, retrained)
    by_user = evaluate_per_user(retrained.scorer(), split.test, seen=everything, ks=(20,))
    assert metrics["ndcg@20"] == float(by_user.values["ndcg@20"].mean())
    assert metrics["fits"]["retraining"]["epochs"] == best_epoch


def test_retraining_takes_the_steps_of_selection_at_its_rates(log_file: Path, tmp_path: Path) -> None:
    settings = SETTINGS | {"schedule": "cosine", "warm_up": 0.1, "epochs": 12}
    run, split, best_epoch = run_and_split(log_file, tmp_path, settings, retraining="repeated")
    everything = split.train.union(split.validation)
    model = MF(BipartiteGraph.from_interactions(everything), dim=3)
    training_settings = TrainingSettings(epochs=12, batch_size=64, learning_rate=0.05, schedule="cosine", warm_up=0.1)
    stepper, batches = Stepper(model, training_settings), model.batches(everything, 64, 0)
    (step,) = stepper.steps()
    model.train()
    for epoch in range(best_epoch):
        for place, batch in enumerate(batches.epoch(epoch)):
            stepper.set_rates((epoch + place / len(batches)) / 12)
            step(batch)
    assert same_weights(ltocf.load(run.model_file).model, model)


def test_retraining_continues_from_the_selected_model_for_one_pass(log_file: Path, tmp_path: Path) -> None:
    settings = SETTINGS | {"epoch_share": 0.5, "epochs": 12}
    run, split, _ = run_and_split(log_file, tmp_path, settings, retraining="continued", choose_ranking=True)
    everything = split.train.union(split.validation)
    model = MF(BipartiteGraph.from_interactions(everything), dim=3, choose_ranking=True)
    chosen = ltocf.load(run.selection_model_file).model
    model.load_state_dict(chosen.state_dict())
    training_settings = TrainingSettings(
        epochs=2, epoch_share=0.5, batch_size=64, learning_rate=0.1 * 0.05, time_learning_rate=1e-4, schedule="cosine"
    )
    fit(model, model.batches(everything, 64, 0), settings=training_settings)
    retrained = ltocf.load(run.model_file).model
    assert same_weights(retrained, model)
    assert not same_weights(retrained, chosen)
    assert retrained.learned() == chosen.learned()


@pytest.mark.parametrize(("retraining", "starts"), [("continued", 1), ("repeated", 2)])
def test_weights_that_go_on_need_no_initial_embeddings(
    log_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retraining: str, starts: int
) -> None:
    started: list[object] = []
    monkeypatch.setitem(protocol.STARTS, "spectral", lambda model, *_: started.append(model))
    run_and_split(log_file, tmp_path, SETTINGS, retraining=retraining, init="spectral")
    assert len(started) == starts


def run_and_split(
    log_file: Path, tmp_path: Path, settings: dict[str, Any], **more: Any
) -> tuple[RunFolder, Split, int]:
    """A run of MF, its split, and the epoch it selected, which is not the last one."""
    metrics = ltocf.train(log_file, tmp_path / "run", model="mf", preset="paper", dim=3, **settings, **more)
    assert metrics["selected"]["epoch"] < settings["epochs"], "or all rates would do as well"
    run = RunFolder(tmp_path / "run")
    return run, run.read_data().split, metrics["selected"]["epoch"]


def test_selection_on_test_reports_the_best_epoch_on_it(log_file: Path, tmp_path: Path) -> None:
    metrics = ltocf.train(log_file, tmp_path / "run", model="mf", preset="paper", dim=3, select_on="test", **SETTINGS)
    split: Split = split_dataset(load_dataset(log_file), "auto", test_fraction=0.2, seed=0)
    chosen, best_epoch = train_by_hand("mf", {"dim": 3}, split.train, SETTINGS["epochs"], split.test)
    assert metrics["selected"]["epoch"] == best_epoch
    assert same_weights(ltocf.load(tmp_path / "run").model, chosen)
    assert "optimistic" in metrics["protocol"]


@pytest.mark.parametrize(("options", "l2"), [({}, 0.1), ({"init_l2": 0.002}, 0.002)])
def test_a_factorisation_has_its_own_epochs_and_l2(
    log_file: Path, tmp_path: Path, options: dict[str, Any], l2: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_settings: list[TrainingSettings] = []
    monkeypatch.setitem(STARTS, "mf", lambda *start: start_settings.append(start[3]))
    settings = {"epochs": 1, "dim": 4, "batch_size": 64, "l2": 0.1, "init": "mf", "init_epochs": 3, **options}
    ltocf.train(log_file, tmp_path / "run", model="cmn", preset="paper", **settings)
    assert [(start.epochs, start.l2) for start in start_settings] == [(3, l2)] * 2


def test_a_validation_can_sample_users(log_file: Path, tmp_path: Path) -> None:
    settings = {"epochs": 2, "dim": 4, "batch_size": 64, "validate_every": 1, "validation_users": 5}
    metrics = ltocf.train(log_file, tmp_path / "run", model="mf", preset="paper", **settings)
    run = RunFolder(tmp_path / "run")
    split = run.read_data().split
    assert split.validation is not None
    sample = sample_users(split.validation, seed=0, n_users=5)
    scorer = ltocf.load(run.selection_model_file).model.scorer()
    assert metrics["selected"]["recall@20"] == evaluate(scorer, sample, seen=split.train, ks=(20,))["recall@20"]


def test_a_test_can_sample_users_and_says_so(log_file: Path, tmp_path: Path) -> None:
    settings = {"epochs": 1, "dim": 4, "batch_size": 64, "test_users": 5, "split_seed": 3}
    metrics = ltocf.train(log_file, tmp_path / "run", model="mf", preset="paper", **settings)
    trained = ltocf.load(tmp_path / "run")
    test = RunFolder(tmp_path / "run").read_data().split.test
    n_users = len(set(test.users.tolist()))
    assert n_users > 5
    sample = sample_users(test, seed=3, n_users=5)
    expected = evaluate(trained.model.scorer(), sample, seen=trained.seen, ks=(20,))
    assert {name: metrics[name] for name in expected} == expected
    assert metrics["protocol"].endswith(f"test set read once; an estimate from 5 of the {n_users} test users")


def test_a_sample_of_all_test_users_is_no_estimate(log_file: Path, tmp_path: Path) -> None:
    settings = {"epochs": 1, "dim": 4, "batch_size": 64, "test_users": 10_000}
    metrics = ltocf.train(log_file, tmp_path / "run", model="mf", preset="paper", **settings)
    assert metrics["protocol"].endswith("test set read once")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_users": -1}, "`test_users` must be >= 0, got -1"),
        (
            {"model": "mult-vae", "init": "mf"},
            "mult-vae has no `init` 'mf'; it has random. Models that have it: ltocf, ",
        ),
        ({"model": "lr-gccf", "init": "spectral"}, "lr-gccf has no `init` 'spectral'"),
        ({"model": "mult-vae", "init": "spectral"}, "mult-vae has no `init` 'spectral'"),
        ({"cuda_graphs": True, "device": "cpu"}, "`cuda_graphs` needs a CUDA GPU"),
        ({"seed": -1}, r"`seed` must be in \[0, 2\^63\), got -1"),
        ({"horizon": 1e9, "model": "ltocf"}, "shorten the `horizon`"),
        ({"device": "cuda:99"}, "`device` is 'cuda:99'"),
        ({"device": "cpu:3"}, "`device` must be one of auto, cpu, cuda"),
        ({"temperature": 0.001}, r"`temperature` must be 0 \(set by the number of pairs\) or finite and >= 0.025"),
        ({"split": "time"}, "timestamps"),
    ],
    ids=str,
)
def test_nothing_is_written_when_settings_are_wrong(
    log_file: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, FloatingPointError), match=message):
        ltocf.train(log_file, tmp_path / "new" / "run", **settings)
    assert not (tmp_path / "new").exists()


def test_every_start_is_accepted_by_the_models_that_declare_it(log_file: Path, tmp_path: Path) -> None:
    """Each start changes what an untrained model scores, and only for those who declare it."""
    log = random_interactions()
    graph = BipartiteGraph.from_interactions(log)
    users = torch.arange(log.n_users)
    for name, model_class in MODELS.items():
        for start in set(STARTS) - {"random"}:
            model = build_model(name, graph, {"dim": 4} if "dim" in model_class.options() else {})
            model.prepare()
            before = model.scores(users)
            if start in model_class.starts:
                STARTS[start](model, graph, log, TrainingSettings(epochs=1, batch_size=64), 0, FitContext())
                assert torch.isfinite(model.scores(users)).all()
                assert not model.scores(users).equal(before), (name, start)
            else:
                with pytest.raises(ValueError, match=f'`init = "{start}"` needs a model'):
                    STARTS[start](model, graph, log, TrainingSettings(epochs=1), 0, FitContext())


def test_metrics_contain_the_whole_configuration_and_the_split(log_file: Path, tmp_path: Path) -> None:
    settings = {"epochs": 1, "dim": 4, "batch_size": 64, "init": "mf", "init_epochs": 1, "validation_fraction": 0.2}
    ltocf.train(log_file, tmp_path / "run", model="mf", preset="paper", **settings)
    run = RunFolder(tmp_path / "run")
    metrics, split = run.metrics(), run.read_data().split
    assert metrics["split"] == split.summary()
    assert metrics["split"]["validation"] > 0
    assert Config.from_toml(tomli_w.dumps(metrics["configuration"])) == run.config()
    assert metrics["configuration"]["data"]["validation_fraction"] == 0.2
    assert (metrics["configuration"]["model"]["name"], metrics["configuration"]["run"]["init"]) == ("mf", "mf")

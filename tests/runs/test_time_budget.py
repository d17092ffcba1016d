"""``max_minutes`` holds for the whole run: what is measured, how it is shared, and what is cut."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file

import ltocf
from ltocf.models import MF, STARTS, Popularity, Recommender
from ltocf.progress import readable_seconds
from ltocf.runs import protocol, time_budget
from ltocf.runs.time_budget import TimeBudget, ranking_seconds
from ltocf.training import EpochRecord, FitContext, FitResult
from samples import random_interactions

LOG = Path(__file__).with_name("earlier_version") / "log.csv"


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def test_ranking_is_measured_on_a_few_users_and_scaled(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds to prepare, 0.01 s for each user: 400 users take 6 s, though few are ranked.

    The first ranking takes a minute more, as it does on a cold GPU; its time is ignored.
    """
    log = random_interactions(400, 30)
    n_ranked: list[int] = []

    class Slow(Recommender):
        def train_on(self, *_: Any, **__: Any) -> FitResult:
            raise NotImplementedError

        def scorer(self) -> Popularity:
            clock.now += 2
            return Popularity(log)

    def rank(_scorer: Any, users: torch.Tensor, k: int, *, seen: Any) -> None:
        assert (k, seen) == (20, log), "the lists of the test itself"
        clock.now += 0.01 * len(users) + (0 if n_ranked else 60)
        n_ranked.append(len(users))

    monkeypatch.setattr(time_budget, "rank", rank)
    assert ranking_seconds(Slow(400, 30), log, log) == pytest.approx(6)
    assert n_ranked == [8, 8, 16, 32]


def test_a_budget_runs_down(clock: Clock) -> None:
    budget = TimeBudget(60.0)
    clock.now += 45
    assert budget.seconds_left() == 15
    assert TimeBudget(math.inf).seconds_left() == math.inf


@pytest.mark.parametrize("model", ["ltocf", "mf", "spectral", "neumf", "mult-vae"])
def test_a_spent_budget_leaves_a_finished_run(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test alone would take longer than the limit: one step for selection, one for retraining, and the test."""
    monkeypatch.setattr(protocol, "ranking_seconds", lambda *_: 3600.0)
    options: dict[str, Any] = {"model": model, "select_by": "recall@5", "batch_size": 16, "max_minutes": 1.0}
    metrics = ltocf.train(LOG, tmp_path / "run", preset="paper", epochs=50, **options)
    assert metrics["fits"]["selection"]["stopped_by"] == "max_minutes"
    assert metrics["fits"]["selection"]["epochs"] == 1
    assert 0 <= metrics["recall@20"] <= 1


def test_a_retraining_that_is_cut_short_keeps_the_selected_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One epoch of the nine that were selected would be a model that nobody measured."""
    train_on = MF.train_on

    def slow(self: MF, pairs: Any, **given: Any) -> FitResult:
        if given["validation"] is None:
            given["context"] = replace(given["context"], deadline=time.monotonic())
            return train_on(self, pairs, **given)
        return train_on(self, pairs, **given)._replace(best_epoch=9)

    monkeypatch.setattr(MF, "train_on", slow)
    options: dict[str, Any] = {"model": "mf", "select_by": "recall@5", "batch_size": 16, "preset": "paper"}
    metrics = ltocf.train(LOG, tmp_path / "cut", epochs=9, max_minutes=600.0, **options)
    assert metrics["fits"]["retraining"]["stopped_by"] == "max_minutes"
    assert "left 1 of the 9 epochs" in caplog.text
    selected, final = (load_file(tmp_path / "cut" / f"{name}.safetensors") for name in ("model-selection", "model"))
    weights = [name for name in final if name.startswith("weights.")]
    assert weights
    assert all((selected[name] == final[name]).all() for name in weights)


@pytest.fixture
def slow_selection(monkeypatch: pytest.MonkeyPatch) -> list[FitContext]:
    """A selection that reports days for its nine epochs; the context of each retraining."""
    train_on, contexts = MF.train_on, list[FitContext]()

    def slow(self: MF, pairs: Any, **given: Any) -> FitResult:
        if given["validation"] is None:
            contexts.append(given["context"])
            return train_on(self, pairs, **given)
        return train_on(self, pairs, **given)._replace(best_epoch=9, repeating_seconds=1e6)

    monkeypatch.setattr(MF, "train_on", slow)
    return contexts


SLOW: dict[str, Any] = {"model": "mf", "select_by": "recall@5", "batch_size": 16, "preset": "paper", "epochs": 9}


@pytest.mark.parametrize("retraining", ["compressed", "repeated"])
def test_too_little_time_to_retrain_is_spent_on_one_more_pass(
    retraining: str, slow_selection: list[FitContext], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same weights as with `continued` from the start, without the days that nine epochs would take."""
    caplog.set_level("INFO")
    settings = SLOW | {"retraining": retraining, "epoch_share": 0.5}
    metrics = ltocf.train(LOG, tmp_path / "short", max_minutes=600.0, **settings)
    sizes = metrics["split"]
    growth = (sizes["train"] + sizes["validation"]) / sizes["train"]
    needed = readable_seconds(growth * 1e6)
    assert f"9 epochs would take about {needed}, longer than the time limit leaves" in caplog.text
    assert (metrics["fits"]["retraining"]["epochs"], metrics["fits"]["retraining"]["stopped_by"]) == (2, "epochs")
    ltocf.train(LOG, tmp_path / "continued", **settings | {"retraining": "continued"})
    found, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("short", "continued"))
    assert all((found[name] == expected[name]).all() for name in found if name.startswith("weights."))
    assert not list((tmp_path / "short").glob("checkpoint-*"))
    assert ltocf.train(LOG, tmp_path / "long", **settings)["fits"]["retraining"]["epochs"] == 9


def test_an_interrupted_extra_pass_is_resumed_as_one(
    slow_selection: list[FitContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SLOW | {"epoch_share": 0.1, "max_minutes": 600.0}
    undisturbed = ltocf.train(LOG, tmp_path / "undisturbed", **settings)

    def interrupted(self: MF, pairs: Any, **given: Any) -> FitResult:
        def after_three(record: EpochRecord) -> None:
            if given["validation"] is None and record["epoch"] == 3:
                raise KeyboardInterrupt

        context = replace(given["context"], on_epoch=after_three, seconds_between_checkpoints=0.0)
        return train_on(self, pairs, **given | {"context": context})

    with monkeypatch.context() as patched:
        train_on = MF.train_on
        patched.setattr(MF, "train_on", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ltocf.train(LOG, tmp_path / "run", **settings)
    assert [file.name for file in (tmp_path / "run").glob("checkpoint-ret*")] == [
        "checkpoint-retraining-continued.safetensors"
    ]
    resumed = ltocf.resume(tmp_path / "run")
    assert resumed["fits"]["retraining"]["epochs"] == undisturbed["fits"]["retraining"]["epochs"] == 10
    found, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "undisturbed"))
    assert all((found[name] == expected[name]).all() for name in found if name.startswith("weights."))


def test_initial_embeddings_have_half_of_the_time_of_a_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ranking_seconds", lambda *_: 60.0)
    seconds_left: list[float] = []
    monkeypatch.setitem(STARTS, "mf", lambda *start: seconds_left.append(start[5].seconds_left()))
    ltocf.train(LOG, tmp_path / "run", model="mf", init="mf", epochs=1, select_by="recall@5", max_minutes=101.0)
    # Selection: half of 6,060 s less the test's 60; retraining: all that is left of these.
    assert seconds_left == pytest.approx([1500, 3000], rel=0.05)

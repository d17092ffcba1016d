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
from ltocf.runs import protocol, time_budget
from ltocf.runs.time_budget import TimeBudget, ranking_seconds
from ltocf.training import FitResult
from samples import random_interactions

LOG = Path(__file__).with_name("earlier_version") / "log.csv"


class Clock:
    """Time that passes only when something is said to take it."""

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
    """Two seconds to prepare, 0.01 s for each user: 400 users take 6 s, of which few are really ranked.

    The first ranking takes a minute more, as it does on a cold GPU; it counts for nothing.
    """
    log = random_interactions(400, 30)
    asked: list[int] = []

    class Slow(Recommender):
        def train_on(self, *_: Any, **__: Any) -> FitResult:
            raise NotImplementedError

        def scorer(self) -> Popularity:
            clock.now += 2
            return Popularity(log)

    def rank(_scorer: Any, users: torch.Tensor, k: int, *, seen: Any) -> None:
        assert (k, seen) == (20, log), "the lists of the test itself"
        clock.now += 0.01 * len(users) + (0 if asked else 60)
        asked.append(len(users))

    monkeypatch.setattr(time_budget, "rank", rank)
    assert ranking_seconds(Slow(400, 30), log, log) == pytest.approx(6)
    assert asked == [8, 8, 16, 32]


def test_a_budget_runs_down(clock: Clock) -> None:
    budget = TimeBudget(60.0)
    clock.now += 45
    assert budget.seconds_left() == 15
    assert TimeBudget(math.inf).seconds_left() == math.inf


@pytest.mark.parametrize("model", ["ltocf", "mf", "spectral", "neumf", "mult-vae"])
def test_a_budget_that_is_spent_leaves_a_finished_run(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test alone would take longer than there is: one step for selection, one for retraining, and the test."""
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
    real = MF.train_on

    def slow(self: MF, pairs: Any, **given: Any) -> FitResult:
        if given["validation"] is None:
            given["context"] = replace(given["context"], deadline=time.monotonic())
            return real(self, pairs, **given)
        return real(self, pairs, **given)._replace(best_epoch=9)

    monkeypatch.setattr(MF, "train_on", slow)
    options: dict[str, Any] = {"model": "mf", "select_by": "recall@5", "batch_size": 16, "preset": "paper"}
    metrics = ltocf.train(LOG, tmp_path / "cut", epochs=9, max_minutes=600.0, **options)
    assert metrics["fits"]["retraining"]["stopped_by"] == "max_minutes"
    assert "left 1 of the 9 epochs" in caplog.text
    selected, final = (load_file(tmp_path / "cut" / f"{name}.safetensors") for name in ("model-selection", "model"))
    weights = [name for name in final if name.startswith("weights.")]
    assert weights
    assert all((selected[name] == final[name]).all() for name in weights)


def test_initial_embeddings_have_half_of_the_time_of_a_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ranking_seconds", lambda *_: 60.0)
    left: list[float] = []
    monkeypatch.setitem(STARTS, "mf", lambda *start: left.append(start[5].seconds_left()))
    ltocf.train(LOG, tmp_path / "run", model="mf", init="mf", epochs=1, select_by="recall@5", max_minutes=101.0)
    # Selection: half of 6,060 s less the test's 60; retraining: all that is left of them.
    assert left == pytest.approx([1500, 3000], rel=0.05)

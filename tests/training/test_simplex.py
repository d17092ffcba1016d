"""The search finds the maximum of a known function and stops at its limits; a run keeps the numbers that it found."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import ltocf
from ltocf.data.interactions import Interactions
from ltocf.evaluation import rank
from ltocf.graph import BipartiteGraph
from ltocf.models import SpectralLTOCF
from ltocf.runs.folder import RunFolder
from ltocf.training import FitContext, FitResult, Shortlist, sample_users, search
from ltocf.training.simplex import SHORTLIST

BEST = [4.2, 0.1, 0.3, 0.55, -0.1, 0.1]


@pytest.fixture
def model(graph: BipartiteGraph) -> SpectralLTOCF:
    return SpectralLTOCF(graph, rank=4)


def closeness(model: SpectralLTOCF) -> dict[str, float]:
    """Highest, 1, at BEST."""
    return {"recall@20": 1 - float((model.numbers - torch.tensor(BEST)).square().sum())}


def test_the_search_finds_the_maximum(model: SpectralLTOCF) -> None:
    result = search(model, validate=lambda: closeness(model), evaluations=400)
    assert result.stopped_by == "converged"
    assert result.best_value == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(model.numbers.numpy(), BEST, atol=0.05)


def test_the_search_keeps_the_best_evaluation_and_records_each(model: SpectralLTOCF) -> None:
    records: list[dict[str, Any]] = []
    result = search(
        model, validate=lambda: closeness(model), evaluations=12, context=FitContext(on_epoch=records.append)
    )
    assert (result.epochs, result.stopped_by) == (12, "epochs")
    assert [record["epoch"] for record in records] == list(range(1, 13))
    best = max(records, key=lambda record: record["recall@20"])
    assert (result.best_epoch, result.best_value) == (best["epoch"], best["recall@20"])
    assert {name: best[name] for name in model.learned()} == model.learned()


def test_the_start_is_measured_first(model: SpectralLTOCF) -> None:
    start = model.numbers.clone()
    search(model, validate=lambda: closeness(model), evaluations=1)
    assert model.numbers.equal(start)
    assert model.singular_values.min() > 0


def test_the_first_simplex_is_the_start_and_a_step_along_each_number(model: SpectralLTOCF) -> None:
    start, tried = model.numbers.clone(), []

    def validate() -> dict[str, float]:
        tried.append(model.numbers.clone())
        return {"recall@20": 0.5}

    search(model, validate=validate, evaluations=len(start) + 1)
    expected = torch.cat([start[None], start + torch.diag(model.search_steps)])
    torch.testing.assert_close(torch.stack(tried), expected)


def test_a_number_without_a_step_stays(model: SpectralLTOCF, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step along each other number, and then the simplex moves on, in their directions only."""
    start, tried = model.numbers.clone(), []
    steps = model.search_steps
    steps[2] = 0.0
    monkeypatch.setattr(SpectralLTOCF, "search_steps", steps)

    def validate() -> dict[str, float]:
        tried.append(model.numbers.clone())
        return {"recall@20": float(model.numbers.square().sum())}

    search(model, validate=validate, evaluations=3 * len(start))
    numbers = torch.stack(tried)
    torch.testing.assert_close(numbers[: len(start)], torch.cat([start[None], start + torch.diag(steps)[steps != 0]]))
    assert len(numbers) == 3 * len(start)
    assert (numbers[:, 2] == start[2]).all()
    assert (numbers[len(start) :] != start)[:, steps != 0].any(0).all()


def test_without_steps_only_the_start_is_measured(model: SpectralLTOCF, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpectralLTOCF, "search_steps", torch.zeros_like(model.numbers))
    found = search(model, validate=lambda: closeness(model))
    assert (found.epochs, found.stopped_by) == (1, "converged")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds on the clock of the search, which stands still unless a test moves it."""
    now = [1000.0]
    fake_time = SimpleNamespace(perf_counter=lambda: now[0], monotonic=lambda: now[0])
    monkeypatch.setattr("ltocf.training.simplex.time", fake_time)
    monkeypatch.setattr("ltocf.training.context.time", fake_time)
    return now


@pytest.mark.parametrize(("seconds", "evaluations"), [(0.0, 1), (19.0, 1), (20.0, 2), (49.0, 2), (50.0, 3), (1e9, 4)])
def test_no_evaluation_starts_that_may_not_end_in_time(
    seconds: float, evaluations: int, model: SpectralLTOCF, clock: list[float]
) -> None:
    costs, records = iter([10.0, 20.0, 10.0, 10.0]), []

    def validate() -> dict[str, float]:
        clock[0] += next(costs)
        return closeness(model)

    context = FitContext(deadline=clock[0] + seconds, on_epoch=records.append)
    result = search(model, validate=validate, evaluations=4, context=context)
    spent = [10.0, 20.0, 10.0, 10.0][:evaluations]
    assert [(record["seconds"], record["times"]) for record in records] == [(second, []) for second in spent]
    assert (result.epochs, result.seconds) == (evaluations, sum(spent))
    assert result.stopped_by == ("epochs" if evaluations == 4 else "max_minutes")


@pytest.mark.parametrize("values", [[0.5, 0.25, 0.125], [0.25, 0.5, 0.125], [0.25, 0.125, 0.5], [0.125, 0.5, 0.5]])
def test_the_best_evaluation_is_kept_wherever_it_was(values: list[float], model: SpectralLTOCF) -> None:
    tried, remaining = [], iter(values)

    def validate() -> dict[str, float]:
        tried.append(model.numbers.clone())
        return {"recall@20": next(remaining)}

    result = search(model, validate=validate, evaluations=3)
    first = values.index(max(values))
    assert (result.best_epoch, result.best_value) == (first + 1, values[first])
    assert model.numbers.equal(tried[first])


def test_each_evaluation_logs_a_line(model: SpectralLTOCF, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("ltocf.training.simplex.log_line", lines.append)
    values = iter([0.25, 0.5, 0.125])
    context = FitContext(show_progress=True, description="spectral selection")
    search(model, validate=lambda: {"recall@20": next(values)}, evaluations=3, context=context)
    assert lines == [
        f"spectral selection: evaluation {i} of 3, best {best}"
        for i, best in ((1, "0.2500"), (2, "0.5000"), (3, "0.5000"))
    ]


def test_the_search_is_deterministic(graph: BipartiteGraph) -> None:
    models = [SpectralLTOCF(graph, rank=4) for _ in range(2)]
    for model in models:
        search(model, validate=lambda model=model: closeness(model), evaluations=30)  # type: ignore[misc]
    assert models[0].numbers.equal(models[1].numbers)
    assert models[0].item_vectors.equal(models[1].item_vectors)


def test_without_time_left_there_is_one_evaluation(model: SpectralLTOCF) -> None:
    result = search(model, validate=lambda: closeness(model), context=FitContext(deadline=time.monotonic()))
    assert (result.epochs, result.best_epoch, result.stopped_by) == (1, 1, "max_minutes")


def test_without_validation_the_numbers_stay(
    model: SpectralLTOCF, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    decompose = model.prepare

    def prepare() -> None:
        clock[0] += 3.0
        decompose()

    monkeypatch.setattr(model, "prepare", prepare)
    model.numbers.add_(0.5)
    before = model.numbers.clone()
    result = search(model, validate=None)
    assert result == FitResult(0, None, None, 3.0, "epochs")
    assert model.numbers.equal(before)
    assert model.singular_values.min() > 0


def test_zero_evaluations_are_refused(model: SpectralLTOCF) -> None:
    with pytest.raises(ValueError, match="`evaluations` must be >= 1, got 0"):
        search(model, validate=lambda: closeness(model), evaluations=0)


def test_a_shortlist_ranks_anew_the_items_that_were_best_at_first(
    model: SpectralLTOCF, interactions: Interactions
) -> None:
    model.decompose()
    shortlist = Shortlist(model, interactions, interactions, k=1)
    users = torch.tensor([7, 2, 11])
    best = rank(model, users, SHORTLIST, seen=interactions).items
    assert shortlist.lists(users, SHORTLIST).equal(best)
    model.numbers.add_(0.3)
    scores = model.scores(users)
    for row, (before, now) in enumerate(zip(best.tolist(), shortlist.lists(users, SHORTLIST).tolist(), strict=True)):
        assert sorted(now) == sorted(before)
        assert now == sorted(before, key=lambda item: (-scores[row, item].item(), item))
    assert not shortlist.lists(users, SHORTLIST).equal(best)


def test_equal_scores_on_a_shortlist_go_to_the_lower_item(model: SpectralLTOCF, interactions: Interactions) -> None:
    model.decompose()
    shortlist = Shortlist(model, interactions, interactions, k=1)
    users = torch.arange(4)
    members = [sorted(items) for items in rank(model, users, SHORTLIST, seen=interactions).items.tolist()]
    assert shortlist.lists(users, SHORTLIST).sort(dim=1).values.tolist() == members
    model.list_scores = lambda users, items: torch.zeros(items.shape)  # type: ignore[method-assign]
    assert shortlist.lists(users, 3).tolist() == [items[:3] for items in members]


def test_unfilled_places_on_a_shortlist_stay_empty(model: SpectralLTOCF, interactions: Interactions) -> None:
    model.decompose()
    n_items = interactions.n_items
    shortlist = Shortlist(model, interactions, interactions, k=n_items)
    users = torch.from_numpy(np.flatnonzero(interactions.user_degrees))
    lists = shortlist.lists(users, n_items)
    assert lists.equal(rank(model, users, n_items, seen=interactions).items)
    assert int((lists >= 0).sum()) == n_items * len(users) - len(interactions)


def test_a_sample_of_users_has_all_of_their_pairs(interactions: Interactions) -> None:
    sample = sample_users(interactions, seed=3, n_users=5)
    assert len(np.unique(sample.users)) == 5
    for user in np.unique(sample.users):
        assert set(sample.items[sample.users == user]) == set(interactions.items[interactions.users == user])
    assert sample.keys.tolist() == sample_users(interactions, seed=3, n_users=5).keys.tolist()
    assert sample.keys.tolist() != sample_users(interactions, seed=4, n_users=5).keys.tolist()
    assert sample_users(interactions, seed=0, n_users=30) is interactions


def test_a_run_tests_the_model_with_the_numbers_it_found(tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": "spectral", "rank": 16, "epochs": 9, "threads": 1, "recency": "off"}
    metrics = ltocf.train("movielens-small", tmp_path / "run", **options)
    rows = RunFolder(tmp_path / "run").history()
    assert len(rows) == metrics["fits"]["selection"]["epochs"] == 9
    assert metrics["selected"]["recall@20"] == max(row["recall@20"] for row in rows)
    chosen = rows[metrics["selected"]["epoch"] - 1]
    assert {name: chosen[name] for name in metrics["learned"]} == metrics["learned"]
    trained = ltocf.load(tmp_path / "run")
    assert isinstance(trained.model, SpectralLTOCF)
    assert trained.model.learned() == metrics["learned"]
    assert ltocf.evaluate(trained.model, RunFolder(tmp_path / "run").read_data().split.test, seen=trained.seen)[
        "recall@20"
    ] == pytest.approx(metrics["recall@20"])


def test_a_resumed_run_ends_the_same(tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": "spectral", "rank": 16, "epochs": 4, "threads": 1, "recency": "off"}
    metrics = ltocf.train("movielens-small", tmp_path / "run", **options)
    (tmp_path / "run" / "metrics.json").unlink()
    resumed = ltocf.resume(tmp_path / "run")
    assert {name: resumed[name] for name in ("recall@20", "ndcg@20", "learned", "selected")} == {
        name: metrics[name] for name in ("recall@20", "ndcg@20", "learned", "selected")
    }
    assert len(RunFolder(tmp_path / "run").history()) == 4

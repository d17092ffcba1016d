"""Recency: recent items weigh more, exactly, in scores, explanations, fold-in and files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data import Histories, Interactions, Names
from ltocf.evaluation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models import HistoryRecommender, LightGCN, build_model
from ltocf.models.recency import POWERS, TRENDS, Recency, best_recency, log_trend
from ltocf.serving import Snapshot, TrainedModel
from ltocf.training import FitContext, FitResult, TrainingSettings
from samples import log_with_late_items, ordered_interactions, random_interactions, trend_by_hand

NAMES = ("spectral", "ease", "item-knn", "rp3beta")


def build(
    name: str, log: Interactions, power: float = 0.0, in_days: int = 0, trend: float = 0.0, **options: Any
) -> HistoryRecommender:
    model = build_model(name, BipartiteGraph.from_interactions(log), options)
    model.prepare()
    assert isinstance(model, HistoryRecommender)
    if model.chooses_recency:
        model.numbers[-2:] = torch.tensor([power, trend])
        model.in_days.fill_(in_days)
    return model


def scores_of_all_users(model: HistoryRecommender) -> torch.Tensor:
    return model.scores(torch.arange(model.n_users))


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_those_of_the_weighted_history(name: str) -> None:
    """By the matrix of the set-based model, read from its scores of single items, and ages counted by hand."""
    log, power = ordered_interactions(), 0.7
    plain = build(name, log)
    matrix = plain.history_scores(torch.eye(log.n_items)).double()
    expected = torch.zeros(log.n_users, log.n_items, dtype=torch.float64)
    for user in range(log.n_users):
        of_user = log.users == user
        by_age = log.items[of_user][np.argsort(-log.places[of_user])]
        weights = (1 + np.arange(len(by_age))) ** -power
        for item, weight in zip(by_age, weights / weights.mean(), strict=True):
            expected[user] += weight * matrix[item]
    found = scores_of_all_users(build(name, log, power, recency="auto")).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    expected *= torch.from_numpy(trend_by_hand(log)) ** 0.8
    found = scores_of_all_users(build(name, log, power, trend=0.8, recency="auto")).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_matters_with_recency_alone(name: str) -> None:
    log, other = ordered_interactions(0), ordered_interactions(1)
    assert scores_of_all_users(build(name, log)).equal(scores_of_all_users(build(name, other)))
    assert scores_of_all_users(build(name, log, recency="auto")).allclose(
        scores_of_all_users(build(name, log)), atol=1e-6
    )
    backwards = replace(log, places=-log.places)
    scores = scores_of_all_users(build(name, log, 0.5, recency="auto"))
    assert not scores.allclose(scores_of_all_users(build(name, backwards, 0.5, recency="auto")), atol=1e-3)
    assert not build(name, random_interactions(), recency="auto").reads_order
    assert build(name, log, recency="auto").reads_order
    assert not build(name, log).reads_order


@pytest.mark.parametrize("name", NAMES)
def test_fold_in_explanations_and_files_agree_with_the_model(name: str, tmp_path: Path) -> None:
    log = ordered_interactions()
    model = build(name, log, 0.6, trend=0.7, recency="auto")
    TrainedModel(name, {"recency": "auto"}, model, log, Names.identity(30, 40)).save(tmp_path / "model")
    trained = TrainedModel.load(tmp_path / "model")
    assert trained.model.learned() == model.learned()
    snapshot = trained.snapshot
    of_user = log.users == 7
    history = log.items[of_user][np.argsort(log.places[of_user])].tolist()
    expected, folded = snapshot.recommend([7], k=10), snapshot.fold_in([history], k=10)
    assert folded["item"].to_list() == expected["item"].to_list()
    np.testing.assert_allclose(folded["score"], expected["score"], rtol=1e-4)
    assert not np.allclose(snapshot.fold_in([history[::-1]], k=10)["score"], expected["score"], rtol=1e-3)
    for item, score in expected.select("item", "score").rows():
        why = snapshot.explain(7, item)
        assert why.score == pytest.approx(score, rel=1e-4)
    assert why.columns_of_parts() == ({"part_1": "low-rank", "part_2": "exact"} if name == "spectral" else {})


def planted_log() -> tuple[Interactions, Interactions]:
    """Each user lately likes one of three groups of items; the next item belongs to it.

    Half of the users have one item of it, two months after four of another group. The other half have, all on one day,
    four of it and then two of the other group; no power of ages in items is right for both halves.
    """
    generator = np.random.default_rng(0)
    rows, truth = [], []
    for user in range(90):
        now, other = user % 3, (user + 1 + (user // 3) % 2) % 3
        liked, former = generator.permutation(8) + 8 * now, generator.permutation(8) + 8 * other
        one_day = user >= 45
        history = [*liked[:4], *former[:2]] if one_day else [*former[:4], liked[0]]
        days = [0] * 6 if one_day else [0] * 4 + [60]
        rows += [(user, item, day) for item, day in zip(history, days, strict=True)]
        truth.append(liked[7])
    users, items, days = np.array(rows).T
    log = Interactions.from_pairs(users, items, 90, 24, timestamps=days * 86_400 + np.arange(len(days)))
    return log, Interactions.from_pairs(range(90), truth, 90, 24)


@pytest.mark.parametrize("name", NAMES)
def test_the_search_chooses_recency_where_old_items_mislead(name: str) -> None:
    log, truth = planted_log()
    log, truth = (part.where(part.users < 45) for part in (log, truth))
    log = replace(log, timestamps=None, places=log.timestamps)
    settings, context = TrainingSettings(epochs=30), FitContext(select_by="ndcg@5")
    plain, aged = build(name, log), build(name, log, recency="auto")
    as_a_set, in_order = (
        model.train_on(log, settings=settings, validation=Validation(truth, log, 5), context=context).best_value
        for model in (plain, aged)
    )
    assert as_a_set is not None
    assert in_order is not None
    assert in_order > as_a_set
    assert aged.learned()["recency_in_items"] > 0
    retrained = build(name, log, recency="auto")
    retrained.take_over(aged)
    retrained.train_on(log, settings=settings)
    assert scores_of_all_users(retrained).equal(scores_of_all_users(aged))


@pytest.mark.parametrize("name", NAMES)
def test_the_search_chooses_a_trend_where_late_items_come_next(name: str) -> None:
    log, truth = log_with_late_items()
    model, validation = build(name, log, recency="auto"), Validation(truth, log, 5)
    found = model.train_on(
        log, settings=TrainingSettings(epochs=30), validation=validation, context=FitContext(select_by="ndcg@5")
    )
    assert model.learned()["trend"] > 0
    assert found.best_value == validation(model)["ndcg@5"]
    model.numbers[-1] = 0.0
    assert found.best_value > validation(model)["ndcg@5"] + 0.05


@pytest.mark.parametrize("name", ["spectral", "item-knn"])
def test_ages_in_days_are_chosen_where_they_validate_better(name: str) -> None:
    log, truth = planted_log()
    model = build(name, log, recency="auto")
    model.train_on(
        log,
        settings=TrainingSettings(epochs=30),
        validation=Validation(truth, log, 5),
        context=FitContext(select_by="ndcg@5"),
    )
    assert set(model.learned()) & {"recency_in_items", "recency_in_days"} == {"recency_in_days"}


def test_a_history_without_timestamps_is_aged_by_its_order() -> None:
    """A model that counts in days then takes the number of later items for days, instead of reading a set."""
    log = ordered_interactions()
    log = replace(log, timestamps=log.places * 86_400, places=None)
    model = build("ease", log, 0.75, recency="auto")
    in_items = model.score_map().scores(Histories.of(log).rows(torch.arange(30)))
    model.in_days.fill_(1)
    rows = Histories.of(log).rows(torch.arange(30))
    assert not model.score_map().scores(rows).allclose(in_items, atol=1e-3)
    torch.testing.assert_close(model.score_map().scores(replace(rows, days=None)), in_items)
    snapshot = Snapshot.of("ease", model, log, Names.identity(30, 40))
    of_user = log.users == 7
    history = log.items[of_user][np.argsort(log.timestamps[of_user])].tolist()
    forwards, backwards = (snapshot.fold_in([each], k=5)["score"] for each in (history, history[::-1]))
    assert not np.allclose(forwards, backwards, rtol=1e-3)
    placed = BipartiteGraph.from_interactions(replace(log, timestamps=None, places=log.timestamps))
    assert placed.ages_of(torch.tensor([7]), "days").tolist() == placed.ages_of(torch.tensor([7]), "items").tolist()


@pytest.mark.parametrize("name", ["spectral", "item-knn"])
def test_tried_powers_are_recorded_as_evaluations(name: str) -> None:
    log, truth = planted_log()
    records: list[dict[str, Any]] = []
    model = build(name, log, recency="auto")
    found = model.train_on(
        log,
        settings=TrainingSettings(epochs=12),
        validation=Validation(truth, log, 5),
        context=FitContext(select_by="ndcg@5", on_epoch=records.append),
    )
    assert [record["epoch"] for record in records] == list(range(1, found.epochs + 1))
    n_powers = 2 * len(POWERS) - 1
    powers = [record.get("recency_in_items", record.get("recency_in_days", 0.0)) for record in records]
    assert powers[:n_powers] == [*POWERS, *POWERS[1:]]
    assert sum("recency_in_days" in record for record in records[:n_powers]) == len(POWERS) - 1
    trends, values = ([record[key] for record in records] for key in ("trend", "ndcg@5"))
    assert trends[: n_powers + 1] == [*[0.0] * n_powers, TRENDS[1]]
    if values[n_powers] > max(values[:n_powers]):
        assert trends[n_powers + 1] == TRENDS[2]
    assert found.best_epoch is not None
    assert found.best_epoch > n_powers
    assert values[found.best_epoch - 1] == found.best_value
    assert found.epochs <= n_powers + len(TRENDS) - 1 + 12


@pytest.mark.parametrize(
    ("best_trend", "n_in_time", "expected"),
    [
        (0.0, 99, (Recency(0.5), False)),
        (0.5, 99, (Recency(0.5, trend=0.5), True)),
        (0.0, len(POWERS), (Recency(0.5), True)),
        (1.5, 99, (Recency(0.5, trend=1.5), True)),
    ],
    ids=["lost", "gained", "not tried", "the largest is the best"],
)
def test_a_search_moves_the_trend_unless_it_lost(
    best_trend: float, n_in_time: int, expected: tuple[Recency, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    n_tried = 0

    def value(recency: Recency) -> float:
        nonlocal n_tried
        n_tried += 1
        return -abs(recency.power - 0.5) - abs(recency.trend - best_trend)

    monkeypatch.setattr(FitContext, "is_late", lambda _: n_tried >= n_in_time)
    assert best_recency(value, False, FitContext()) == expected


def test_with_recency_the_search_has_more_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    log, truth = planted_log()
    requested: list[int] = []

    def search(*arguments: Any, evaluations: int, **keywords: Any) -> FitResult:
        requested.append(evaluations)
        return FitResult(1, 1, 0.0, 0.0, "epochs")

    monkeypatch.setattr("ltocf.models.spectral.search", search)
    for recency, epochs in (("off", 1000), ("auto", 1000), ("auto", 12)):
        model = build("spectral", log, recency=recency)
        model.train_on(
            log,
            settings=TrainingSettings(epochs=epochs),
            validation=Validation(truth, log, 5),
            context=FitContext(select_by="ndcg@5"),
        )
    assert requested == [30, 45, 12]


def test_sets_have_no_trend() -> None:
    with pytest.raises(ValueError, match="`histories` must have an order, got sets"):
        log_trend(Histories.of(random_interactions()), "items")


def test_an_unknown_recency_is_refused(graph: BipartiteGraph) -> None:
    with pytest.raises(ValueError, match="`recency` must be one of off, auto, got 'yes'"):
        build_model("ease", graph, {"recency": "yes"})


@pytest.mark.parametrize("options", [{}, {"ranking": "cosine", "popularity": 0.5}], ids=str)
def test_the_map_of_a_trained_model_weights_by_age_too(options: dict[str, Any]) -> None:
    log = ordered_interactions()
    model = LightGCN(BipartiteGraph.from_interactions(log), dim=5, **options)
    plain, histories, users = model.user_map(), Histories.of(log), torch.arange(30)
    as_trained = plain.scores(histories, users)
    torch.testing.assert_close(as_trained, model.scores(users), atol=1e-5, rtol=1e-4)
    aged = replace(plain, recency=Recency(0.75), own_weight=0.4)
    found = aged.scores(histories, users)
    assert not found.allclose(as_trained, atol=1e-3)
    row = histories.rows(torch.tensor([7]))
    parts = aged.contributions(row, 3, 7)
    assert parts.score.item() == pytest.approx(found[7, 3].item(), rel=1e-4)
    # Without the own part and the division by the norm only the history is left, each item with its weight.
    history = replace(aged, own=None, temperature=None, bias=None)
    as_a_set = replace(history, recency=None)
    assert row.later is not None
    weights = (1.0 + row.later) ** -0.75
    expected = as_a_set.contributions(row, 3).history * weights / weights.mean()
    torch.testing.assert_close(history.contributions(row, 3).history, expected)


def test_snapshots_with_an_order_but_no_timestamps_refuse_time_windows() -> None:
    snapshot = Snapshot.of(
        "ease", build("ease", ordered_interactions()), ordered_interactions(), Names.identity(30, 40)
    )
    with pytest.raises(ValueError, match="needs timestamps"):
        snapshot.popular(3, days=7)

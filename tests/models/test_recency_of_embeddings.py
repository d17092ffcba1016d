"""Recency of trained embeddings: chosen by rescoring, and the same in scores, vectors, explanations and files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from ltocf.data import Histories, Interactions, Names
from ltocf.evaluation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, MF, Blend, EmbeddingRecommender, LightGCN, build_model
from ltocf.models.history_rescoring import HistoryRescoring
from ltocf.models.ranking import STEPS
from ltocf.serving import TrainedModel
from ltocf.training import FitContext, TrainingSettings
from samples import log_with_late_items, ordered_interactions, random_interactions, trend_by_hand

NAMES = ("ltocf", "lightgcn", "lr-gccf")
NUMBERS = {"power": 0.7, "own_weight": 0.4, "trend": 0.05}
USERS = torch.arange(30)
COSINE: dict[str, Any] = {"ranking": "cosine", "popularity": 0.5, "choose_ranking": True}
SETTINGS = TrainingSettings(epochs=1, batch_size=256, validate_every=1)


def build(name: str, log: Interactions, numbers: dict[str, float] | None = None, **options: Any) -> Any:
    model = build_model(name, BipartiteGraph.from_interactions(log), {"dim": 5, "recency": "auto", **options})
    assert isinstance(model, EmbeddingRecommender)
    assert model.ranking_numbers is not None
    model.ranking_numbers.set(numbers or {})
    return model


def users_by_hand(log: Interactions, model: LightGCN) -> np.ndarray:
    """Users of a LightGCN of one layer, (e_u + Σ_j e_j / sqrt(d_u d_j)) / 2, with every pair weighted by its age."""
    embeddings = model.initial_embeddings.detach().double().numpy()
    rows = NUMBERS["own_weight"] * embeddings[: log.n_users]
    for user in range(log.n_users):
        of_user = log.users == user
        latest_last = log.items[of_user][np.argsort(log.places[of_user])]
        weights = (1.0 + np.arange(len(latest_last)))[::-1] ** -NUMBERS["power"]
        for item, weight in zip(latest_last, weights / weights.mean(), strict=True):
            rows[user] += weight * embeddings[log.n_users + item] / np.sqrt(of_user.sum() * log.item_degrees[item])
    return rows / 2


@pytest.mark.parametrize("options", [{}, COSINE], ids=["inner_product", "cosine"])
def test_users_are_the_weighted_sum_over_the_history(options: dict[str, Any]) -> None:
    log = ordered_interactions()
    model = build("lightgcn", log, NUMBERS, n_layers=1, **options)
    users, items = torch.from_numpy(users_by_hand(log, model)), model.final_items().double()
    torch.testing.assert_close(model.final_users().double(), users, atol=1e-5, rtol=1e-4)
    expected = users @ items.T
    if options:
        expected = normalize(users) @ normalize(items).T / 0.12 + 0.5 * model.log_degrees.double()
    expected += NUMBERS["trend"] * torch.from_numpy(np.log(trend_by_hand(log)))
    torch.testing.assert_close(model.scores(USERS).double(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_matters_only_once_a_power_is_chosen(name: str) -> None:
    log = ordered_interactions()
    backwards, unordered = replace(log, places=-log.places), random_interactions()
    plain = build_model(name, BipartiteGraph.from_interactions(log), {"dim": 5})
    as_trained = plain.scores(USERS)
    for part in (log, backwards, unordered):
        assert build(name, part).scores(USERS).equal(as_trained)
    scores = build(name, log, NUMBERS).scores(USERS)
    assert not scores.allclose(build(name, backwards, NUMBERS).scores(USERS), atol=1e-4)
    # Where the data have no order any more, the numbers of a model have no effect.
    assert build(name, unordered, NUMBERS).scores(USERS).equal(as_trained)
    assert [build(name, part).reads_order for part in (log, unordered)] == [True, False]
    assert not plain.reads_order


def test_a_set_based_training_never_sees_the_order() -> None:
    truth = random_interactions(seed=5)
    found = []
    for log in (ordered_interactions(0), ordered_interactions(1)):
        model = build("lightgcn", log, recency="off", choose_ranking=True)
        model.train_on(
            log, settings=SETTINGS, validation=Validation(truth, log, 5), context=FitContext(select_by="recall@5")
        )
        found.append(model)
    assert found[0].scores(USERS).equal(found[1].scores(USERS))
    assert set(found[0].learned()) == set(STEPS)


def test_models_without_a_map_of_the_history_ignore_it() -> None:
    log = ordered_interactions()
    for name, options in (("mf", {}), ("lightgcn", {"n_layers": 0}), ("ngcf", {})):
        model = build(name, log, NUMBERS, **options)
        assert (model.reads_order, model.learned()) == (False, {})
        model.train_on(
            log,
            settings=SETTINGS,
            validation=Validation(random_interactions(seed=5), log, 5),
            context=FitContext(select_by="recall@5"),
        )
        assert model.learned() == {}
    assert MF(BipartiteGraph.from_interactions(log), recency="auto").final_users().shape == (30, 64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, COSINE], ids=["inner_product", "cosine"])
def test_rescoring_gives_the_scores_of_the_whole_model(name: str, options: dict[str, Any]) -> None:
    log = ordered_interactions()
    model = build(name, log, **options)
    rescoring = model._rescoring()
    assert isinstance(rescoring, HistoryRescoring)
    rescoring.numbers[-3:] = torch.tensor([*NUMBERS.values()])
    model.ranking_numbers.set(rescoring.learned())
    torch.testing.assert_close(rescoring.scores(USERS), model.scores(USERS), atol=1e-5, rtol=1e-4)
    some, items = torch.tensor([9, 2]), torch.tensor([[3, 5, 7], [1, 0, 2]])
    torch.testing.assert_close(
        rescoring.list_scores(some, items), model.scores(some).gather(1, items), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, COSINE], ids=["inner_product", "cosine"])
def test_files_fold_in_and_explanations_agree_with_the_model(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    log = ordered_interactions()
    model = build(name, log, NUMBERS, **options)
    all_options = {"dim": 5, "recency": "auto", **options}
    TrainedModel(name, all_options, model, log, Names.identity(30, 40)).save(tmp_path / "model")
    trained = TrainedModel.load(tmp_path / "model")
    assert trained.model.learned() == model.learned()
    assert trained.model.learned()["recency_in_items"] == pytest.approx(0.7)
    snapshot = trained.snapshot
    of_user = log.users == 7
    history = log.items[of_user][np.argsort(log.places[of_user])].tolist()
    expected, folded = snapshot.recommend([7], k=10), snapshot.fold_in({7: history}, k=10, own=True)
    assert folded["item"].to_list() == expected["item"].to_list()
    np.testing.assert_allclose(folded["score"], expected["score"], rtol=1e-3)
    backwards = snapshot.fold_in({7: history[::-1]}, k=10, own=True)
    assert not np.allclose(backwards["score"], expected["score"], rtol=1e-3)
    for item, score in expected.select("item", "score").rows():
        assert snapshot.explain(7, item).score == pytest.approx(score, rel=1e-3)
    vectors = model.user_map().vectors(Histories.of(log), USERS)
    torch.testing.assert_close(model.ranking.users(model.final_users()), vectors, atol=1e-5, rtol=1e-4)


def planted_model(days: bool = False) -> tuple[Interactions, Interactions, EmbeddingRecommender]:
    """Three groups of items, each with one direction; all but the last item of a user are of a group that they left.

    With ``days`` the last item comes two months later, and half of the users have, all on one day, four items of their
    group and then two of the other one; no power of ages in items is right for both halves.
    """
    generator = np.random.default_rng(0)
    rows, truth = [], []
    for user in range(60):
        now, other = user % 3, (user + 1 + (user // 3) % 2) % 3
        liked, former = generator.permutation(8) + 8 * now, generator.permutation(8) + 8 * other
        one_day = days and user >= 30
        history = [*liked[:4], *former[:2]] if one_day else [*former[:4], liked[0]]
        day_of_items = [0] * len(history) if one_day or not days else [0] * 4 + [60]
        rows += [
            (user, item, day * 86_400 + place)
            for place, (item, day) in enumerate(zip(history, day_of_items, strict=True))
        ]
        truth.append(liked[7])
    users, items, timestamps = np.array(rows).T
    log = Interactions.from_pairs(users, items, 60, 24, timestamps=timestamps)
    if not days:
        log = replace(log, timestamps=None, places=log.timestamps)
    model = LTOCF(BipartiteGraph.from_interactions(log), dim=3, recency="auto", ranking="cosine", choose_ranking=True)
    with torch.no_grad():
        model.initial_embeddings[:60] = 0.1
        model.initial_embeddings[60:] = torch.eye(3).repeat_interleave(8, dim=0)
    return log, Interactions.from_pairs(range(60), truth, 60, 24), model


@pytest.mark.parametrize(("days", "unit"), [(False, "items"), (True, "days")], ids=["items", "days"])
def test_a_power_is_found_where_the_last_item_decides(days: bool, unit: str) -> None:
    log, truth, model = planted_model(days)
    validation, context = Validation(truth, log, 5), FitContext(select_by="ndcg@5")
    before = validation(model.scorer())["ndcg@5"]
    hardly_moving = TrainingSettings(epochs=1, learning_rate=1e-9, time_learning_rate=1e-9, l2=0.0)
    result = model.train_on(log, settings=hardly_moving, validation=validation, context=context)
    assert result.best_value is not None
    assert result.best_value > before + 0.1
    assert validation(model.scorer())["ndcg@5"] == result.best_value
    assert model.learned()[f"recency_in_{unit}"] > 0
    assert {"popularity", "norm", "own_weight", "t_1"} <= set(model.learned())
    retrained = LTOCF(model.graph, dim=3, recency="auto", ranking="cosine", choose_ranking=True)
    retrained.take_over(model)
    retrained.train_on(log, settings=SETTINGS)
    assert {name: value for name, value in retrained.learned().items() if name[:2] != "t_"} == {
        name: value for name, value in model.learned().items() if name[:2] != "t_"
    }


def test_a_trend_is_found_where_late_items_come_next() -> None:
    log, truth = log_with_late_items()
    graph = BipartiteGraph.from_interactions(log)
    model = LTOCF(graph, dim=8, recency="auto", ranking="cosine", choose_ranking=True)
    validation, context = Validation(truth, log, 5), FitContext(select_by="ndcg@5")
    before = validation(model.scorer())["ndcg@5"]
    hardly_moving = TrainingSettings(epochs=1, learning_rate=1e-9, time_learning_rate=1e-9, l2=0.0)
    result = model.train_on(log, settings=hardly_moving, validation=validation, context=context)
    assert model.learned()["trend"] > 0
    assert result.best_value is not None
    assert result.best_value > before + 0.1


def test_recency_is_chosen_without_the_ranking_too() -> None:
    log, truth, other = planted_model()
    model = LTOCF(other.graph, dim=3, recency="auto")
    model.load_state_dict({**model.state_dict(), "initial_embeddings": other.initial_embeddings.detach()})
    validation, context = Validation(truth, log, 5), FitContext(select_by="ndcg@5")
    before = validation(model.scorer())["ndcg@5"]
    hardly_moving = TrainingSettings(epochs=1, learning_rate=1e-9, time_learning_rate=1e-9, l2=0.0)
    result = model.train_on(log, settings=hardly_moving, validation=validation, context=context)
    assert result.best_value is not None
    assert result.best_value > before
    assert model.learned()["recency_in_items"] > 0
    assert "popularity" not in model.learned()


def test_a_blend_reads_the_order_if_a_member_does() -> None:
    graph = BipartiteGraph.from_interactions(ordered_interactions())
    lightgcn = {"model": "lightgcn", "dim": 4}
    assert Blend(graph, ["mf", lightgcn | {"recency": "auto"}]).reads_order
    assert not Blend(graph, ["mf", lightgcn]).reads_order

"""The numbers of a ranking are chosen by rescoring, kept with the model, and mean the same in all its answers."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from ltocf.data import Names
from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.evaluation import Validation, rank
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, MF, EmbeddingRecommender, LightGCN, build_model, embedding
from ltocf.models import ranking as ranking_module
from ltocf.models.base import GradientRecommender
from ltocf.models.ranking import (
    EXPECTED_RANKINGS,
    STEPS,
    Ranking,
    Rescoring,
    choose_ranking,
    leaving_time_to_choose,
)
from ltocf.serving import Snapshot, TrainedModel
from ltocf.training import FitContext, FitResult, Shortlist, TrainingSettings
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS = torch.arange(LOG.n_users)
OPTIONS: dict[str, Any] = {"dim": 5, "ranking": "cosine", "temperature": 0.2, "choose_ranking": True}
NUMBERS = {"popularity": 0.7, "norm": 0.6}
TRAINED = FitResult(3, 2, None, 1.0, "epochs")


def model_with_numbers(model_class: type[EmbeddingRecommender] = LightGCN, **options: Any) -> EmbeddingRecommender:
    model = model_class(GRAPH, **OPTIONS, **options)
    assert model.ranking_numbers is not None
    model.ranking_numbers.set(NUMBERS)
    return model


def rescoring_of(model: EmbeddingRecommender) -> Rescoring:
    ranking = model.ranking
    return Rescoring(ranking.users(model.final_users()), model.final_items(), model.log_degrees, ranking)


def test_scores_follow_the_formula() -> None:
    model = model_with_numbers(MF)
    embeddings = model.initial_embeddings.detach().double().numpy()
    users, items = embeddings[: LOG.n_users], embeddings[LOG.n_users :]
    lengths = np.linalg.norm(items, axis=1)
    cosines = users @ items.T / np.outer(np.linalg.norm(users, axis=1), lengths)
    expected = cosines / 0.2 * (lengths / lengths.mean()) ** 0.6 + 0.7 * np.log(LOG.item_degrees)
    np.testing.assert_allclose(model.scores(USERS).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_numbers_start_at_the_ranking_without_choice() -> None:
    for popularity in (0.0, 0.8):
        options = {"dim": 5, "ranking": "cosine", "temperature": 0.2, "popularity": popularity}
        plain, numbered = MF(GRAPH, **options), MF(GRAPH, **options, choose_ranking=True)
        torch.testing.assert_close(numbered.scores(USERS), plain.scores(USERS))
    plain, numbered = MF(GRAPH, dim=5), MF(GRAPH, dim=5, choose_ranking=True)
    assert numbered.scores(USERS).argsort().equal(plain.scores(USERS).argsort())


def test_only_a_model_that_chooses_its_ranking_stores_numbers() -> None:
    assert set(MF(GRAPH).state_dict()) == {"initial_embeddings"}
    assert set(MF(GRAPH, choose_ranking=True).state_dict()) - {"initial_embeddings"} == {
        f"ranking_numbers.{name}" for name in STEPS
    }


@pytest.mark.parametrize("numbers", [[0.0, 0.0], [1.1, 0.0], [-0.4, 1.0], [2.0, 0.3]], ids=str)
def test_rescoring_gives_the_scores_of_the_whole_model(numbers: list[float]) -> None:
    model = model_with_numbers()
    rescoring = rescoring_of(model)
    rescoring.numbers.copy_(torch.tensor(numbers))
    assert model.ranking_numbers is not None
    model.ranking_numbers.set(dict(zip(STEPS, numbers, strict=True)))
    torch.testing.assert_close(rescoring.scores(USERS), model.scores(USERS))
    items = torch.randint(LOG.n_items, (len(USERS), 7), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rescoring.list_scores(USERS, items), model.scores(USERS).gather(1, items))
    validation = Validation(random_interactions(seed=5), LOG, depth=5)
    assert validation(Shortlist(rescoring, validation.truth, LOG, 5)) == validation(model.scorer())


def planted_numbers(popularity: float, norm: float) -> tuple[EmbeddingRecommender, Validation]:
    """A model with random embeddings, and a validation set of the five best items of each user at these numbers."""
    log = random_interactions(400, 120, density=0.05, seed=3)
    users, items = np.nonzero(np.random.default_rng(4).random((400, 120)) < np.geomspace(0.01, 0.6, 120))
    log = log.union(Interactions.from_pairs(users, items, 400, 120))
    model = MF(BipartiteGraph.from_interactions(log), **OPTIONS)
    with torch.no_grad():
        model.initial_embeddings *= torch.logspace(-0.5, 0.5, model.initial_embeddings.shape[0])[:, None]
    rescoring = rescoring_of(model)
    rescoring.numbers.copy_(torch.tensor([popularity, norm]))
    best = rank(rescoring, torch.arange(400), 5, seen=log).items
    truth = Interactions.from_pairs(torch.arange(400).repeat_interleave(5).numpy(), best.flatten().numpy(), 400, 120)
    return model, Validation(truth, log, depth=5)


@pytest.mark.parametrize(("popularity", "norm"), [(1.8, 0.0), (0.5, 1.0), (-0.6, 0.5)], ids=str)
def test_the_search_finds_the_numbers_that_made_the_truth(popularity: float, norm: float) -> None:
    model, validation = planted_numbers(popularity, norm)
    assert model.ranking_numbers is not None
    context = FitContext(select_by="recall@5")
    result = choose_ranking(rescoring_of(model), model.ranking_numbers, model.scorer, validation, TRAINED, context)
    assert result.best_value is not None
    assert result.best_value > 0.9
    assert model.learned()["popularity"] == pytest.approx(popularity, abs=0.2)
    assert model.learned()["norm"] == pytest.approx(norm, abs=0.2)
    assert validation(model.scorer())["recall@5"] == result.best_value
    assert result._replace(best_value=None, seconds=1.0) == TRAINED
    assert result.seconds > 1.0


def test_numbers_that_validate_worse_among_all_items_are_not_taken() -> None:
    model, validation = planted_numbers(1.8, 0.0)
    assert model.ranking_numbers is not None
    before = model.learned()
    trained, context = TRAINED._replace(best_value=1.0), FitContext(select_by="recall@5")
    result = choose_ranking(rescoring_of(model), model.ranking_numbers, model.scorer, validation, trained, context)
    assert result.best_value == 1.0
    assert model.learned() == before


def test_training_chooses_numbers_and_retraining_takes_them_over() -> None:
    settings = TrainingSettings(epochs=1, batch_size=256, validate_every=1, learning_rate=0.05)
    validation = Validation(random_interactions(seed=5), LOG, depth=5)
    model = LTOCF(GRAPH, **OPTIONS, loss="softmax", n_negatives=16)
    context = FitContext(select_by="recall@5")
    result = model.train_on(LOG, settings=settings, validation=validation, context=context)
    assert validation(model.scorer())["recall@5"] == result.best_value
    retrained = LTOCF(GRAPH, **OPTIONS, loss="softmax", n_negatives=16)
    retrained.take_over(model)
    retrained.train_on(LOG, settings=settings)
    assert {name: retrained.learned()[name] for name in STEPS} == {name: model.learned()[name] for name in STEPS}
    assert "t_1" in retrained.learned()


@pytest.mark.parametrize("name", ["mf", "lightgcn", "ltocf"])
def test_files_serving_and_explanations_have_the_chosen_numbers(name: str, tmp_path: Path) -> None:
    model = build_model(name, GRAPH, OPTIONS)
    assert isinstance(model, EmbeddingRecommender)
    assert model.ranking_numbers is not None
    model.ranking_numbers.set(NUMBERS)
    TrainedModel(name, OPTIONS, model, LOG, Names.identity(LOG.n_users, LOG.n_items)).save(tmp_path / "m.safetensors")
    trained = TrainedModel.load(tmp_path / "m.safetensors")
    assert trained.model.learned() == model.learned()
    torch.testing.assert_close(trained.model.scores(USERS), model.scores(USERS))
    user_map = model.user_map()  # type: ignore[attr-defined]
    torch.testing.assert_close(user_map.scores(Histories.of(LOG), USERS), model.scores(USERS))
    names = Names.identity(LOG.n_users, LOG.n_items)
    why = Snapshot.of(name, trained.model, LOG, names).explain(4, 9)
    assert why.score == pytest.approx(model.scores(USERS)[4, 9].item(), rel=1e-4)
    assert why.popularity == pytest.approx(0.7 * model.log_degrees[9].item(), rel=1e-5)


def test_steps_of_a_new_user_are_scored_with_the_chosen_numbers() -> None:
    model, histories = model_with_numbers(), Histories.of(LOG)
    start = model.user_map().vectors(histories)  # type: ignore[attr-defined]
    ranking = model.ranking
    expected = normalize(start) / 0.2 @ ranking.items(model.final_items()).T + 0.7 * model.log_degrees
    torch.testing.assert_close(model.user_steps().scores(start, histories, 0), expected)


def test_a_norm_of_one_orders_as_the_inner_product() -> None:
    items, users = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)).split([9, 3])
    ranking = Ranking(norm=1.0, temperature=0.3)
    scores = ranking.users(users) @ ranking.items(items).T
    assert scores.argsort().equal((users @ items.T).argsort())


@pytest.mark.parametrize(
    ("validation_seconds", "left", "needed"),
    [(1.0, 1000.0, 1 + EXPECTED_RANKINGS), (1.0, 40.0, 10.0), (0.0, 1000.0, 0.0), (1.0, -4.0, 0.0)],
    ids=["as long as it takes", "a quarter at most", "next to nothing", "no time at all"],
)
def test_training_ends_early_enough_to_choose_the_numbers(
    validation_seconds: float, left: float, needed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search has the deadline of the whole."""
    now, deadlines = time.monotonic(), list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def trained(*_: Any, context: FitContext, **__: Any) -> FitResult:
        deadlines.append(context.deadline)
        return TRAINED

    def chosen(*given: Any) -> FitResult:
        deadlines.append(given[-1].deadline)
        return TRAINED

    monkeypatch.setattr(GradientRecommender, "train_on", trained)
    monkeypatch.setattr(embedding, "choose_ranking", chosen)
    model, validation = planted_numbers(1.8, 0.0)
    context = FitContext(deadline=now + left, validation_seconds=validation_seconds)
    model.train_on(LOG, settings=TrainingSettings(), validation=validation, context=context)
    assert deadlines == [pytest.approx(now + left - needed), now + left]
    without_limit = leaving_time_to_choose(FitContext(validation_seconds=1.0), validation)
    assert without_limit.deadline == math.inf


@pytest.mark.parametrize(
    ("given", "share"),
    [({}, 0.25), ({"n_users": 200}, 1.0), ({"may_sample": False}, 1.0)],
    ids=["a sample", "users whose number was set", "all, as of a test set"],
)
def test_the_time_to_choose_depends_on_the_users_of_the_search(
    given: dict[str, Any], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking_module, "SEARCH_USERS", 100)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    validation = replace(planted_numbers(1.8, 0.0)[1], **given)  # of 400 users
    context = leaving_time_to_choose(FitContext(deadline=1000.0, validation_seconds=4.0), validation)
    assert context.deadline == 1000 - 4 * (1 + EXPECTED_RANKINGS * share)


def test_without_time_left_the_numbers_stay() -> None:
    model, validation = planted_numbers(1.8, 0.0)
    assert model.ranking_numbers is not None
    before, context = model.learned(), FitContext(select_by="recall@5", deadline=time.monotonic())
    result = choose_ranking(rescoring_of(model), model.ranking_numbers, model.scorer, validation, TRAINED, context)
    assert (result, model.learned()) == (TRAINED, before)

"""Rare items of a core come more often in its test set: the ratio against sums and draws, and where scores have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom

from ltocf.data import Names
from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, MF, Blend, LightGCN, Recommender, build_model
from ltocf.models.core import LARGEST_CORE, log_core_ratio
from ltocf.models.user_map import LinearModel
from ltocf.serving import Snapshot, TrainedModel
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS = torch.arange(LOG.n_users)
SOFTMAX: dict[str, Any] = {"dim": 5, "loss": "softmax", "ranking": "cosine", "temperature": 0.2, "popularity": 1.0}
CORE, HELD_OUT = 25, 0.3


@pytest.mark.parametrize(("core", "held_out"), [(2, 0.5), (5, 0.1), (10, 0.2), (20, 0.4)])
def test_the_ratio_is_the_posterior_mean(core: int, held_out: float) -> None:
    """Summed over every number n >= k of all pairs, with the prior 1 / n and a binomial likelihood."""
    totals = np.arange(core, 4000)
    for kept in range(1, 3 * core):
        posterior = binom.pmf(kept, totals, 1 - held_out) / totals
        expected = (posterior * (totals - kept)).sum() / posterior.sum()
        odds = held_out / (1 - held_out)
        ratio = log_core_ratio(torch.tensor([float(kept)], dtype=torch.float64), core, held_out).exp().item()
        assert ratio == pytest.approx(expected / kept / odds, rel=1e-9)


def test_the_ratio_is_that_of_a_split() -> None:
    """Numbers of pairs are drawn from the prior and cut at k; then a share of all pairs is held out."""
    random, core, held_out = np.random.default_rng(0), 6, 0.25
    totals = np.arange(core, 400)
    drawn = random.choice(totals, 400_000, p=(1 / totals) / (1 / totals).sum())
    kept = random.binomial(drawn, 1 - held_out)
    for degree in range(2, 9):
        counts = (drawn - kept)[kept == degree]
        ratio = log_core_ratio(torch.tensor([float(degree)]), core, held_out).exp().item()
        error = counts.std() / np.sqrt(len(counts))
        assert abs(counts.mean() - ratio * degree * held_out / (1 - held_out)) < 4 * error


def test_items_with_enough_pairs_and_data_that_are_no_core_keep_their_scores() -> None:
    degrees = torch.arange(0.0, 300.0)
    assert not log_core_ratio(degrees, 0, 0.2).any()
    assert not log_core_ratio(degrees, 1, 0.2).any()


@pytest.mark.parametrize(("core", "held_out"), [(LARGEST_CORE, 1e-6), (LARGEST_CORE, 0.5), (100, 1e-4), (60, 1 - 1e-6)])
def test_the_ratio_falls_and_is_finite_for_any_core_and_share(core: int, held_out: float) -> None:
    ratios = log_core_ratio(torch.arange(0, core + 10, dtype=torch.float64), core, held_out)
    assert ratios.isfinite().all()
    assert ratios[0] == ratios[1]
    assert (ratios[1 : core + 1].diff() <= 0).all()
    assert not ratios[core:].any()


def expecting(model: Recommender) -> Recommender:
    assert model.expect_core(CORE, HELD_OUT)
    return model


@pytest.mark.parametrize("popularity", [0.0, 1.0])
@pytest.mark.parametrize("model_class", [LTOCF, LightGCN, MF])
def test_the_logarithm_is_added_to_every_score(model_class: type[LTOCF], popularity: float) -> None:
    options = SOFTMAX | {"popularity": popularity}
    plain, model = model_class(GRAPH, **options), expecting(model_class(GRAPH, **options))
    added = log_core_ratio(GRAPH.item_degrees.float(), CORE, HELD_OUT)
    assert added.unique().numel() > 5
    torch.testing.assert_close(
        model.scores(USERS) - plain.scores(USERS), added.expand(LOG.n_users, -1), atol=1e-5, rtol=0
    )


def test_answers_to_a_history_have_it_too() -> None:
    """Whichever way a user's vector is computed, scores and lists are those of the formula."""
    plain, model = LTOCF(GRAPH, **SOFTMAX), LTOCF(GRAPH, **SOFTMAX)
    expecting(model)
    added = log_core_ratio(GRAPH.item_degrees.float(), CORE, HELD_OUT)
    histories = Histories.of(LOG)
    for answers in (lambda each: each.user_map(), lambda each: each.least_squares()):
        before, after = (answers(each).scores(histories) for each in (plain, model))
        torch.testing.assert_close(after - before, added.expand(LOG.n_users, -1), atol=1e-4, rtol=0)
    steps = [each.user_steps().bias for each in (plain, model)]
    torch.testing.assert_close(steps[1] - steps[0], added)
    assert isinstance(model, LinearModel)


def test_it_is_saved_shown_and_served(tmp_path: Path) -> None:
    model = expecting(build_model("ltocf", GRAPH, SOFTMAX))
    file = tmp_path / "model.safetensors"
    names = Names.identity(LOG.n_users, LOG.n_items)
    TrainedModel("ltocf", SOFTMAX, model, LOG, names).save(file)
    loaded = TrainedModel.load(file)
    assert loaded.model.learned().items() >= {"core": float(CORE), "held_out": pytest.approx(HELD_OUT)}.items()
    torch.testing.assert_close(loaded.model.scores(USERS), model.scores(USERS))
    snapshot, scores = Snapshot.open(file), model.scores(USERS)
    scores[LOG.users.copy(), LOG.items.copy()] = -torch.inf
    for user in range(5):
        assert snapshot.recommend(user, k=3)["item"].to_list() == scores[user].topk(3).indices.tolist()


@pytest.mark.parametrize(
    ("core", "held_out", "message"),
    [(1e9, 0.2, "`core` must be a whole number in 0..1000, got 1e"), (2.5, 0.2, "got 2.5"), (-1.0, 0.2, "got -1")]
    + [(10.0, held_out, r"`held_out` must be in \(0, 1\), got") for held_out in (0.0, 1.0, -0.5)],
    ids=str,
)
def test_a_file_with_other_numbers_is_refused(core: float, held_out: float, message: str, tmp_path: Path) -> None:
    model = build_model("ltocf", GRAPH, SOFTMAX)
    assert isinstance(model, LTOCF)
    assert model.ranking_numbers is not None
    model.ranking_numbers.core.fill_(core)
    model.ranking_numbers.held_out.fill_(held_out)
    file = tmp_path / "model.safetensors"
    TrainedModel("ltocf", SOFTMAX, model, LOG, Names.identity(LOG.n_users, LOG.n_items)).save(file)
    with pytest.raises(ValueError, match=message):
        TrainedModel.load(file)


def test_a_file_of_an_earlier_version_expects_nothing() -> None:
    model = expecting(LTOCF(GRAPH, **SOFTMAX))
    arrays = {f"weights.{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
    for name in ("core", "held_out"):
        del arrays[f"weights.ranking_numbers.{name}"]
    LTOCF(GRAPH, **SOFTMAX).complete_weights(arrays, "weights.")
    assert {float(arrays[f"weights.ranking_numbers.{name}"]) for name in ("core", "held_out")} == {0.0}


def test_models_whose_scores_are_no_logarithms_say_that_they_do_not_use_it() -> None:
    inner_product = {"dim": 4, "loss": "softmax"}
    for model in (
        build_model("ltocf", GRAPH, {"dim": 4}),
        build_model("ltocf", GRAPH, inner_product),
        build_model("ease", GRAPH, {}),
    ):
        model.prepare()
        before = model.scores(USERS)
        assert not model.expect_core(CORE, HELD_OUT)
        assert model.scores(USERS).equal(before)
        assert "core" not in model.learned()


def test_a_blend_has_it_if_a_member_has() -> None:
    members = [{"model": "ltocf", **SOFTMAX}, {"model": "mf", **SOFTMAX}, {"model": "ease"}]
    blend = Blend(GRAPH, members)
    assert blend.expect_core(CORE, HELD_OUT)
    assert ["core" in model.learned() for model in blend.models] == [True, True, False]
    blend.weights.copy_(torch.tensor([0.0, 0.0, 1.0]))
    assert not blend.expect_core(CORE, HELD_OUT)
    assert not Blend(GRAPH, [{"model": "ease"}]).expect_core(CORE, HELD_OUT)


def test_new_events_end_it() -> None:
    """They may be the ones that had been held out."""
    smaller = expecting(LTOCF(GRAPH, **SOFTMAX))
    more = Interactions.from_pairs([*LOG.users, 0], [*LOG.items, LOG.n_items], LOG.n_users, LOG.n_items + 1)
    graph = BipartiteGraph.from_interactions(more)
    grown, plain = LTOCF(graph, **SOFTMAX), LTOCF(graph, **SOFTMAX)
    grown.grow_from(smaller, graph)
    plain.grow_from(LTOCF(GRAPH, **SOFTMAX), graph)
    torch.testing.assert_close(grown.scores(USERS), plain.scores(USERS))
    assert "core" not in grown.learned()

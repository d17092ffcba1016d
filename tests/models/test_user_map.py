"""A user's vector is a linear map of their history, for every linear model and for users unknown in training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import LRGCCF, LTOCF, MODELS, LightGCN, LinearModel
from ltocf.models.user_map import without_constant
from ltocf.ode.response import evaluate_series
from samples import random_interactions

SOLVERS = ["euler", "rk4", "adams_moulton", "adams_bashforth", "dopri5", "exact"]
CASES: list[tuple[str, dict[str, Any]]] = [
    *(("ltocf", {"solver": s, "connection": c}) for s in SOLVERS for c in ("linear", "residual")),
    ("ltocf", {"operator": "laplacian", "solver": "exact"}),
    ("ltocf", {"operator": "laplacian", "connection": "residual", "n_times": 0}),
    ("ltocf", {"solver": "adams_moulton", "steps_per_interval": 4, "horizon": 2.0, "n_times": 1}),
    ("ltocf", {"tolerance": 0.02}),
    # Its series is sampled at more nodes than its degree needs.
    (
        "ltocf",
        {"tolerance": 0.1, "horizon": 400.0, "operator": "laplacian", "solver": "exact", "connection": "residual"},
    ),
    ("ltocf", {"propagation": "solver"}),
    ("ltocf", {"propagation": "solver", "solver": "adams_moulton", "operator": "laplacian"}),
    ("lightgcn", {}),
    ("lightgcn", {"n_layers": 1}),
    ("lr-gccf", {}),
    ("lr-gccf", {"n_layers": 1}),
    ("mf", {}),
    ("grmf", {}),
    ("grmf-norm", {}),
    ("hop-rec", {}),
    ("lightgcn", {"n_layers": 0}),
    ("lr-gccf", {"n_layers": 0}),
]
RANKINGS: list[dict[str, Any]] = [
    {},
    {"ranking": "cosine", "temperature": 0.2},
    {"popularity": 0.7},
    {"ranking": "cosine", "popularity": 0.7, "adaptive_temperature": 0.5},
]
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
every_ranking = pytest.mark.parametrize("ranking", RANKINGS, ids=lambda value: ",".join(value) or "inner product")


def build(name: str, options: dict[str, Any], log: Interactions) -> Any:
    """A model in double precision, with times that are not evenly spaced."""
    model = MODELS[name](BipartiteGraph.from_interactions(log), dim=6, seed=3, **options).double()
    with torch.no_grad():
        # In double precision from the degrees: the graph's square roots in single precision are not tested here.
        graph = getattr(model, "graph", None)
        if graph is not None:
            graph.user_scales.copy_(precise_scales(log.user_degrees))
            graph.item_scales.copy_(precise_scales(log.item_degrees))
        if isinstance(model, LRGCCF):
            degrees = torch.from_numpy(np.concatenate([log.user_degrees, log.item_degrees]))[:, None].double()
            model.self_loop.copy_(1 / (degrees + 1))
            model.damping.copy_((degrees / (degrees + 1)).sqrt())
        if isinstance(model, LTOCF):
            model.times.values.mul_(1.07)
        if getattr(model, "adaptive_temperature", 0):
            model.user_losses.copy_(torch.linspace(0.5, 3, log.n_users))
    return model


def precise_scales(degrees: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(degrees.clip(min=1)[:, None] ** -0.5)


@every_case
def test_vectors_of_training_users_are_those_of_the_model(
    name: str, options: dict[str, Any], interactions: Interactions
) -> None:
    model = build(name, options, interactions)
    users = torch.arange(interactions.n_users)
    expected = model.embeddings()[0]
    found = model.user_map().vectors(Histories.of(interactions), users)
    # A solver that adapts its steps to its state takes different steps on the embeddings and on the eigenvalues.
    tolerance = 1e-6 if options.get("propagation") == "solver" else 1e-12
    torch.testing.assert_close(found, expected, atol=tolerance * expected.abs().max().item(), rtol=0)


@every_ranking
@pytest.mark.parametrize(("name", "options"), [("ltocf", {}), ("lightgcn", {}), ("lr-gccf", {}), ("mf", {})])
def test_contributions_add_up_to_the_score(
    name: str, options: dict[str, Any], ranking: dict[str, Any], interactions: Interactions
) -> None:
    model = build(name, options | ranking, interactions)
    users, histories = torch.arange(interactions.n_users), Histories.of(interactions)
    scores, found = model.scores(users), model.user_map()
    torch.testing.assert_close(found.scores(histories, users), scores, atol=1e-12, rtol=1e-12)
    for user, item in ((0, 3), (7, 39), (29, 0)):
        parts = found.contributions(histories.rows(torch.tensor([user])), item, user)
        assert parts.score.item() == pytest.approx(scores[user, item].item(), rel=1e-12)
        n_parts = {"ltocf": 5, "lightgcn": 1, "lr-gccf": 3, "mf": 0}[name]
        assert parts.history.shape == (n_parts, int(histories.lengths[user]))
        expected = ranking.get("popularity", 0) * np.log(interactions.item_degrees[item])
        assert parts.popularity.item() == pytest.approx(expected, rel=1e-6)


def test_single_precision_agrees_to_rounding(interactions: Interactions) -> None:
    model = LTOCF(BipartiteGraph.from_interactions(interactions), dim=6)
    users = torch.arange(interactions.n_users)
    expected = model.embeddings()[0]
    found = model.user_map().vectors(Histories.of(interactions), users)
    torch.testing.assert_close(found, expected, atol=1e-6 * expected.abs().max().item(), rtol=0)


def test_half_precision_between_products_is_not_part_of_the_map(interactions: Interactions) -> None:
    model = LTOCF(BipartiteGraph.from_interactions(interactions), dim=6, precision="bfloat16")
    users = torch.arange(interactions.n_users)
    expected = model.embeddings()[0]
    found = model.user_map().vectors(Histories.of(interactions), users)
    assert 0 < (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_each_part_is_what_one_state_adds(interactions: Interactions) -> None:
    """Each state of the ODE is h_s(Â) E(0), computed here from the eigenvectors of Â."""
    model = build("ltocf", {"tolerance": 1e-12}, interactions)
    values, vectors = torch.linalg.eigh(model.graph.dense())
    spectrum = vectors.T @ model.initial_embeddings
    found, histories = model.user_map(), Histories.of(interactions)
    zero = torch.zeros(1, dtype=torch.float64)
    for state, response in enumerate(model.state_responses(values)):
        whole = vectors @ (response[:, None] * spectrum)
        without = replace(found, touch=found.touch[state : state + 1]).vectors(histories)
        own = model.state_responses(zero)[state] * model.initial_embeddings
        expected = (whole - own)[: interactions.n_users]
        torch.testing.assert_close(without, expected, atol=1e-10, rtol=0)


def without_user_4() -> tuple[Interactions, torch.Tensor, torch.Tensor, Histories]:
    """A log without one user, the degrees of its nodes, and the items and the history of that user."""
    log = random_interactions(20, 15)
    train, hidden = log.where(log.users != 4), log.where(log.users == 4)
    degrees = torch.from_numpy(np.concatenate([train.user_degrees, train.item_degrees])).double()
    return train, degrees, torch.tensor(hidden.items), Histories.of(hidden).rows(torch.tensor([4]))


@pytest.mark.parametrize("name", ["ltocf", "lightgcn"])
def test_a_hidden_user_is_folded_in_by_the_closed_form(name: str) -> None:
    """No other node changes: a new row of Â times q(Â) E(0), here from the eigenvectors of Â."""
    train, degrees, items, history = without_user_4()
    model = build(name, {"tolerance": 1e-12} if name == "ltocf" else {}, train)
    values, vectors = torch.linalg.eigh(model.graph.dense())

    def h(eigenvalues: torch.Tensor) -> torch.Tensor:
        powers = eigenvalues ** torch.arange(4)[:, None]
        return model.response(eigenvalues) if name == "ltocf" else powers.mean(0)

    # Where the eigenvalue is 0, q is the slope of h.
    points = torch.where(values.abs() < 1e-9, 1e-6, values)
    q = (h(points) - h(torch.zeros_like(points))) / points
    filtered = (vectors @ (q[:, None] * (vectors.T @ model.initial_embeddings)))[model.n_users :]
    row = (len(items) * degrees[model.n_users :][items]).rsqrt()
    found = model.user_map().vectors(history)[0]
    torch.testing.assert_close(found, row @ filtered[items], atol=1e-6, rtol=1e-6)


def test_a_hidden_user_of_lr_gccf_is_folded_in_with_their_self_loop() -> None:
    """Layer by layer: s z + Σ_j S[u, j] X[j] from z = 0, with the row S[u, :] that the user would have."""
    train, degrees, items, history = without_user_4()
    model, n = build("lr-gccf", {}, train), len(items)
    row = ((n + 1) * (degrees[model.n_users :][items] + 1)).rsqrt()
    adjacency = (model.graph.dense() > 0).double() + torch.eye(len(degrees), dtype=torch.float64)
    smooth = adjacency * ((degrees + 1)[:, None] * (degrees + 1)).rsqrt()
    vector, layer = torch.zeros(6, dtype=torch.float64), model.initial_embeddings.detach()
    expected = [vector]
    for _ in range(model.n_layers):
        vector = vector / (n + 1) + row @ layer[model.n_users :][items]
        layer = smooth @ layer
        expected.append(vector)
    torch.testing.assert_close(model.user_map().vectors(history)[0], torch.cat(expected), atol=1e-12, rtol=0)


def test_a_folded_in_twin_of_a_training_user_lacks_only_the_own_part(interactions: Interactions) -> None:
    found, histories = build("lightgcn", {}, interactions).user_map(), Histories.of(interactions)
    users = torch.tensor([3, 8])
    with_own, without = found.vectors(histories.rows(users), users), found.vectors(histories.rows(users))
    torch.testing.assert_close(with_own - without, found.own[users])


@every_ranking
def test_contributions_of_a_new_user_add_up_without_an_own_part(
    ranking: dict[str, Any], interactions: Interactions
) -> None:
    found = build("ltocf", ranking, interactions).user_map()
    row = Histories.of(interactions).rows(torch.tensor([7]))
    for user_map in (found, replace(found, own=None)):
        parts = user_map.contributions(row, 3)
        assert parts.own.item() == 0
        assert parts.score.item() == pytest.approx(found.scores(row)[0, 3].item(), rel=1e-12)


def test_an_empty_history_has_a_zero_vector_and_finite_scores() -> None:
    log = Interactions.from_pairs([0, 0, 1], [0, 1, 1], 2, 3)
    found = build("ltocf", {}, log).user_map()
    rows = Histories(torch.tensor([0, 0, 1]), torch.tensor([2], dtype=torch.int32), 3)
    assert found.vectors(rows)[0].tolist() == [0.0] * 6
    assert torch.isfinite(found.scores(rows)).all()


def test_factorisations_have_no_map_from_a_history_to_a_user(interactions: Interactions) -> None:
    assert not build("mf", {}, interactions).user_map().depends_on_history
    assert build("lightgcn", {}, interactions).user_map().depends_on_history


def test_the_linear_models() -> None:
    linear = {name for name, model in MODELS.items() if hasattr(model, "user_map")}
    assert linear == {"ltocf", "lightgcn", "lr-gccf", "mf", "grmf", "grmf-norm", "hop-rec"}
    graph = BipartiteGraph.from_interactions(random_interactions())
    assert isinstance(LightGCN(graph, dim=2), LinearModel)


def test_maps_and_contributions_have_a_repr(interactions: Interactions) -> None:
    found = build("ltocf", {}, interactions).user_map()
    assert repr(found) == "UserMap(n_parts=5, n_items=40, dim=6, cosine=False)"
    parts = found.contributions(Histories.of(interactions).rows(torch.tensor([7])), 3, 7)
    assert repr(parts).startswith("Contributions(score=")


def test_contributions_take_one_history_at_a_time(interactions: Interactions) -> None:
    with pytest.raises(ValueError, match="must be one row, got 30"):
        build("lightgcn", {}, interactions).user_map().contributions(Histories.of(interactions), 0)


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 40])
def test_a_series_is_its_constant_and_the_rest_times_the_eigenvalue(degree: int) -> None:
    generator = torch.Generator().manual_seed(degree)
    series = torch.randn(degree + 1, generator=generator, dtype=torch.float64)
    constant, rest = without_constant(series)
    points = torch.linspace(-1, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(constant + points * evaluate_series(rest, points), evaluate_series(series, points))

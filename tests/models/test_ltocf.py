"""LT-OCF: both propagations agree, LightGCN is a special case, and what was learned can be inspected."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ltocf.data import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, LightGCN
from ltocf.models.ltocf import Precision
from ltocf.sampling import Batch
from samples import random_interactions

FIXED_STEP = ["euler", "rk4", "adams_moulton", "adams_bashforth"]
BATCH = Batch(torch.tensor([0, 1, 2, 2]), torch.tensor([3, 1, 0, 5]), torch.tensor([7, 8, 9, 10]))


def embeddings_and_gradients(model: LTOCF) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Final embeddings, gradient to E(0), gradient to the times, which are moved off their even spacing."""
    with torch.no_grad():
        model.times.values.mul_(torch.tensor([0.8, 1.1, 0.9]))
    model(BATCH).total(1e-4).backward()
    return torch.cat(model.embeddings()).detach(), model.initial_embeddings.grad, model.times.values.grad


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("operator", ["adjacency", "laplacian"])
@pytest.mark.parametrize("connection", ["linear", "residual"])
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("solver", FIXED_STEP)
def test_filter_and_fixed_step_solver_agree(
    graph: BipartiteGraph, solver: Any, steps: int, connection: Any, operator: Any
) -> None:
    options: dict[str, Any] = {"solver": solver, "connection": connection, "operator": operator}
    options["steps_per_interval"] = steps
    step_by_step = embeddings_and_gradients(LTOCF(graph, dim=8, propagation="solver", **options).double())
    filtered = embeddings_and_gradients(LTOCF(graph, dim=8, propagation="filter", tolerance=1e-8, **options).double())
    for found, expected in zip(filtered, step_by_step, strict=True):
        assert relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("connection", ["linear", "residual"])
def test_the_filter_stays_within_its_tolerance(graph: BipartiteGraph, connection: Any, tolerance: float) -> None:
    exact = LTOCF(graph, dim=8, connection=connection, propagation="solver").double()
    filtered = LTOCF(graph, dim=8, connection=connection, tolerance=tolerance).double()
    error = (torch.cat(filtered.embeddings()) - torch.cat(exact.embeddings())).norm()
    bound = tolerance * filtered.coefficients().abs().sum() * exact.initial_embeddings.norm()
    assert error <= bound


@pytest.mark.parametrize("connection", ["linear", "residual"])
@pytest.mark.parametrize("operator", ["adjacency", "laplacian"])
@pytest.mark.parametrize(("solver", "tolerance"), [("exact", 1e-5), ("dopri5", 1e-4)])
def test_filter_and_accurate_solvers_agree(
    graph: BipartiteGraph, solver: Any, tolerance: float, operator: Any, connection: Any
) -> None:
    options: dict[str, Any] = {"solver": solver, "connection": connection, "operator": operator}
    step_by_step = embeddings_and_gradients(LTOCF(graph, dim=8, propagation="solver", **options).double())
    filtered = embeddings_and_gradients(LTOCF(graph, dim=8, propagation="filter", tolerance=1e-8, **options).double())
    for found, expected in zip(filtered, step_by_step, strict=True):
        assert relative_error(found, expected) < tolerance


def test_exact_residual_is_a_mean_of_matrix_exponentials(graph: BipartiteGraph) -> None:
    model = LTOCF(graph, dim=8, solver="exact", connection="residual", tolerance=1e-13).double()
    dense = graph.double().dense()
    flows = [torch.linalg.matrix_exp(t * dense) for t in model.times.boundaries().tolist()]
    expected = sum(flows) @ model.initial_embeddings / len(flows)
    torch.testing.assert_close(torch.cat(model.embeddings()), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("propagation", ["filter", "solver"])
def test_euler_with_unit_times_is_lightgcn(graph: BipartiteGraph, n_layers: int, propagation: Any) -> None:
    ode = LTOCF(
        graph, 8, float(n_layers), n_layers - 1, "euler", "linear", False, propagation=propagation, seed=3
    ).double()
    layers = LightGCN(graph, dim=8, n_layers=n_layers, seed=3).double()
    torch.testing.assert_close(torch.cat(ode.embeddings()), torch.cat(layers.embeddings()), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("n_times", [0, 1, 5])
def test_any_number_of_times_is_learnable(graph: BipartiteGraph, n_times: int) -> None:
    model = LTOCF(graph, dim=4, n_times=n_times)
    model(BATCH).total(0.0).backward()
    assert len(model.times.values) == n_times
    assert (model.times.values.grad is None) == (n_times == 0)


def test_adjoint_gives_the_gradient_to_the_embeddings(graph: BipartiteGraph) -> None:
    plain = embeddings_and_gradients(LTOCF(graph, dim=8, propagation="solver", solver="dopri5").double())
    adjoint = embeddings_and_gradients(
        LTOCF(graph, dim=8, propagation="solver", solver="dopri5", adjoint=True).double()
    )
    assert relative_error(adjoint[1], plain[1]) < 1e-5
    assert relative_error(adjoint[2], plain[2]) < 1e-3


def test_the_response_is_the_factor_of_an_eigenvector(graph: BipartiteGraph) -> None:
    model = LTOCF(graph, dim=1, operator="laplacian", tolerance=1e-12).double()
    values, vectors = torch.linalg.eigh(graph.double().dense())
    for index in (0, 20, -1):
        with torch.no_grad():
            model.initial_embeddings.copy_(vectors[:, index, None])
        final = torch.cat(model.embeddings()).detach()
        h = model.response(values[[index]]).detach()
        torch.testing.assert_close(final, h * vectors[:, index, None], atol=1e-9, rtol=0)


def test_responses_of_the_states_add_up_to_the_response(graph: BipartiteGraph) -> None:
    model = LTOCF(graph, dim=8)
    eigenvalues = torch.linspace(-1, 1, 7)
    torch.testing.assert_close(model.state_responses(eigenvalues).sum(0), model.response(eigenvalues))
    shares = model.state_shares()
    assert len(shares) == 5
    assert shares.sum().item() == pytest.approx(1, abs=1e-5)


def test_a_smaller_tolerance_needs_a_higher_degree(graph: BipartiteGraph) -> None:
    degrees = [len(LTOCF(graph, dim=1, tolerance=t).coefficients()) for t in (1e-2, 1e-5, 1e-8)]
    assert degrees == sorted(set(degrees))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "`dim` must be >= 1, got 0"),
        ({"horizon": -1.0}, "`horizon` must be finite and > 0, got -1.0"),
        ({"n_times": -2}, "`n_times` must be >= 0, got -2"),
        ({"tolerance": 0.0}, "`tolerance` must be between 0 and 1, both excluded, got 0.0"),
        ({"tolerance": float("inf")}, "`tolerance` must be between 0 and 1, both excluded, got inf"),
        ({"rtol": 2.0}, "`rtol` must be between 0 and 1, both excluded, got 2.0"),
        ({"adjoint": True}, '`adjoint` needs `propagation="solver"`'),
    ],
)
def test_invalid_options_are_rejected_with_the_rule_and_the_value(
    graph: BipartiteGraph, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        LTOCF(graph, **options)


def test_the_graph_may_have_users_without_items() -> None:
    log = random_interactions(5, 6)
    wider = Interactions.from_pairs(log.users, log.items, 6, 7)
    model = LTOCF(BipartiteGraph.from_interactions(wider), dim=4)
    users, items = model.embeddings()
    # h(0) = 1/(T + 2) for the linear connection: only E(0) is left of a node without edges.
    torch.testing.assert_close(users[5], model.initial_embeddings[5] / 5, atol=1e-5, rtol=0)
    assert torch.isfinite(items).all()


def test_automatic_precision_is_that_of_the_number_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_interactions()
    graph = BipartiteGraph.from_interactions(log)

    def final(precision: Precision) -> torch.Tensor:
        return torch.cat(LTOCF(graph, dim=4, precision=precision).embeddings()).detach()

    single, half = final("float32"), final("bfloat16")
    assert not single.equal(half)
    for limit, expected in ((len(log) + 1, single), (len(log), half)):
        monkeypatch.setattr("ltocf.models.ltocf.HALF_FROM", limit)
        assert final("auto").equal(expected)

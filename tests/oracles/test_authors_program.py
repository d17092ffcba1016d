"""Agreement with the authors' program in the embeddings, losses and gradients of every stored case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF
from ltocf.sampling import Batch

SOLVER_NAMES = {"implicit_adams": "adams_moulton", "explicit_adams": "adams_bashforth"}
CASES = [
    f"{solver}-{connection}-{times}"
    for solver, connection, times in [
        *((solver, "linear", times) for solver in ("euler", "rk4", "dopri5") for times in ("fixed", "learnable")),
        *((solver, "residual", "learnable") for solver in ("euler", "rk4", "dopri5")),
        *((s, c, "learnable") for s in SOLVER_NAMES for c in ("linear", "residual")),
        *(("rk4", c, "learnable-adjoint") for c in ("linear", "residual")),
    ]
]


def relative_error(found: torch.Tensor, expected: np.ndarray) -> float:
    reference = torch.from_numpy(expected).double()
    return ((found.double() - reference).norm() / reference.norm()).item()


def users_and_items(case: dict[str, np.ndarray], users: str, items: str) -> np.ndarray:
    return np.concatenate([case[users], case[items]])


def model_of(case: dict[str, np.ndarray], name: str, propagation: str) -> LTOCF:
    solver, connection, times, *rest = name.split("-")
    pairs = Interactions.from_pairs(*case["edges"].T, int(case["n_users"]), int(case["n_items"]))
    model = LTOCF(
        BipartiteGraph.from_interactions(pairs),
        dim=8,
        solver=SOLVER_NAMES.get(solver, solver),  # type: ignore[arg-type]
        connection=connection,  # type: ignore[arg-type]
        learnable_times=times == "learnable",
        propagation=propagation,  # type: ignore[arg-type]
        adjoint=bool(rest) and propagation == "solver",
    )
    with torch.no_grad():
        model.initial_embeddings.copy_(torch.from_numpy(users_and_items(case, "user_embeddings", "item_embeddings")))
        model.times.values.copy_(torch.from_numpy(case["times"]))
    return model


def test_the_stored_cases_are_the_tested_ones(reference: Path) -> None:
    assert sorted(path.stem for path in reference.glob("*.npz")) == sorted(CASES)


@pytest.mark.parametrize("propagation", ["filter", "solver"])
@pytest.mark.parametrize("name", CASES)
def test_the_model_agrees_with_the_authors_program(reference: Path, name: str, propagation: str) -> None:
    case = dict(np.load(reference / f"{name}.npz"))
    model = model_of(case, name, propagation)
    terms = model(Batch(*(torch.from_numpy(case[role]) for role in ("users", "positives", "negatives"))))
    terms.total(1e-4).backward()
    tolerance = 1e-4 if name.startswith("dopri5") else 1e-5  # dopri5 chooses its own steps; the rest is rounding
    embeddings = torch.cat(model.embeddings()).detach()
    assert relative_error(embeddings, users_and_items(case, "final_users", "final_items")) < tolerance
    assert terms.ranking.item() == pytest.approx(float(case["bpr"]), rel=tolerance)
    assert terms.l2.item() == pytest.approx(float(case["l2"]), rel=tolerance)
    adjoint = name.endswith("adjoint")
    gradient = users_and_items(case, "grad_users", "grad_items")
    assert relative_error(model.initial_embeddings.grad, gradient) < (1e-3 if adjoint else tolerance)
    if adjoint and propagation == "filter":
        # The stored gradient of the times is an estimate by the adjoint method: only its direction and size agree.
        found, stored = model.times.values.grad.numpy(), case["grad_times"]
        assert 0.5 < np.linalg.norm(found) / np.linalg.norm(stored) < 2
        assert found @ stored > 0.9 * np.linalg.norm(found) * np.linalg.norm(stored)
    elif len(case["grad_times"]):
        assert relative_error(model.times.values.grad, case["grad_times"]) < (1e-3 if adjoint else tolerance)

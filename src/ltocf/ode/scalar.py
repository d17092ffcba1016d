"""The ODE on one eigenvalue at a time: the same solver, times and connection, on numbers instead of embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ltocf.ode.solvers import Solver, states
from ltocf.ode.times import LearnableTimes
from ltocf.shapes import Eigenvalues, Response, StateResponses

Operator = Literal["adjacency", "laplacian"]
OPERATORS: tuple[str, ...] = ("adjacency", "laplacian")


@dataclass(frozen=True)
class MeanResponse:
    """h(λ): the factor by which the mean of an ODE's states scales the part of E(0) at graph eigenvalue λ in [-1, 1].

        dx/dt = f(λ) x,   x(0) = 1,   f(λ) = λ (adjacency) or λ - 1 (laplacian)
        h(λ) = (1 / (T + 2)) (x(0) + x(t_1) + ... + x(t_T) + x(K)),   differentiable in the times

    Every solver is linear in its start, so it does to each eigenvector of the graph what it does to one number.

    Args:
        solver: the steps of a stretch, and the state that the next one starts from.
        times: the boundaries of the stretches.
        operator: ``adjacency`` or ``laplacian``.

    Raises:
        ValueError: an unknown operator.

    Source: LT-OCF (CIKM 2021, Eqs. 9-12) on the eigenvalues of the graph, see docs/mathematics.md.

    Example:
        >>> response = MeanResponse(Solver("euler"), LearnableTimes(2, horizon=3.0))
        >>> response(torch.tensor([0.0, 1.0])).tolist()  # LightGCN: (1 + λ + λ² + λ³) / 4
        [0.25, 1.0]
    """

    solver: Solver
    times: LearnableTimes
    operator: Operator = "adjacency"

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise ValueError(f"`operator` must be one of {', '.join(OPERATORS)}, got {self.operator!r}")

    def __call__(self, eigenvalues: Eigenvalues) -> Response:
        return torch.stack(self._states(eigenvalues)).mean(0)

    def by_state(self, eigenvalues: Eigenvalues) -> StateResponses:
        """The contribution of each of the T + 2 states to h(λ); the rows sum to h(λ)."""
        responses = self._states(eigenvalues)
        return torch.stack(responses) / len(responses)

    def field(self, product: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """The right-hand side of the ODE, from a product with Â or with an eigenvalue of it."""
        return product if self.operator == "adjacency" else lambda state: product(state) - state

    def _states(self, eigenvalues: Eigenvalues) -> list[Tensor]:
        start = torch.ones_like(eigenvalues)
        boundaries = self.times.boundaries().to(eigenvalues)
        return states(self.field(lambda x: eigenvalues * x), start, boundaries, self.solver)

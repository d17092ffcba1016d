"""Solve the ODE stretch by stretch: the method as the paper writes it, on any state (embeddings or scalars)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from ltocf.shapes import Scalar, Times

Field: TypeAlias = Callable[[Tensor], Tensor]
SolverName = Literal["euler", "rk4", "adams_moulton", "adams_bashforth", "dopri5", "exact"]
Connection = Literal["linear", "residual"]

TORCHDIFFEQ_METHODS: dict[str, str] = {
    "euler": "euler",
    "rk4": "rk4",
    "adams_moulton": "implicit_adams",
    "adams_bashforth": "explicit_adams",
    "dopri5": "dopri5",
}
SOLVERS: tuple[str, ...] = (*TORCHDIFFEQ_METHODS, "exact")
CONNECTIONS: tuple[str, ...] = ("linear", "residual")

ONE_STEP_ORDERS: dict[str, int] = {"euler": 1, "rk4": 4}
"""One step of length h on dx/dt = λ x multiplies x by Σ_k (h λ)^k / k!, up to this order."""

ADAMS_ORDER = 4
IMPLICIT_ITERATIONS = 50
TAYLOR_DEGREE = 18


@dataclass(frozen=True)
class Solver:
    """How each stretch [t_i, t_i+1] is integrated, and what the next stretch starts from.

    Args:
        name: ``euler``; ``rk4`` (the 3/8 rule; on a linear field all four-stage order-4 rules are one);
            ``adams_moulton`` (implicit) and ``adams_bashforth`` (explicit), multistep only from the third step of a
            stretch on, RK4 before that, so with fewer than 3 steps they *are* RK4; ``dopri5`` (adaptive);
            ``exact``: the exponential of the field.
        connection: what follows a stretch. ``residual``: the solution itself. ``linear``: the solution minus the
            state that it started from, as in the authors' best runs.
        steps_per_interval: equal steps in each stretch, for the fixed-step solvers.
        rtol, atol: relative and absolute error per step, for ``dopri5``.
        adjoint: gradients by torchdiffeq's adjoint method instead of autograd: less memory, and for few fixed steps
            visibly inexact gradients of the times (an `Euler` step of length 1: tens of percent).

    Raises:
        ValueError: unknown names (the error lists the right ones), or numbers out of range.

    Source: LT-OCF (CIKM 2021, sections 3.2-3.4); torchdiffeq, https://github.com/rtqichen/torchdiffeq
    Differs: the sub-steps are built from the times themselves, because torchdiffeq's ``step_size`` option gives wrong
    gradients to interior times; the implicit Adams equation is solved to rounding, not in 4 iterations to 1e-3; the
    Adams order stops at 4 (implicit) and 3 (explicit) instead of 12, whose explicit formula is unstable already at
    steps of a hundredth of a layer.
    """

    name: SolverName = "rk4"
    connection: Connection = "linear"
    steps_per_interval: int = 1
    rtol: float = 1e-7
    atol: float = 1e-9
    adjoint: bool = False

    def __post_init__(self) -> None:
        if self.name not in SOLVERS:
            raise ValueError(f"`solver` must be one of {', '.join(SOLVERS)}, got {self.name!r}")
        if self.connection not in CONNECTIONS:
            raise ValueError(f"`connection` must be one of {', '.join(CONNECTIONS)}, got {self.connection!r}")
        if self.steps_per_interval < 1:
            raise ValueError(f"`steps_per_interval` must be >= 1, got {self.steps_per_interval}")
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not 0 < value < 1:
                raise ValueError(f"`{name}` must be between 0 and 1, both excluded, got {value}")
        if self.adjoint and self.name == "exact":
            raise ValueError("`adjoint` applies to step-by-step solvers, not to `exact`")

    @property
    def is_recordable(self) -> bool:
        """Whether solving a stretch on eigenvalues reads no value of its times: it can be recorded as a CUDA graph."""
        return self.name == "exact" or self.name in ONE_STEP_ORDERS

    def integrate(self, field: Field, start: Tensor, begin: Scalar, end: Scalar) -> Tensor:
        """x(end) of dx/dt = field(x), x(begin) = start, for a linear field of norm at most 2.

        On a one-dimensional state, where every number is a problem of its own, the field is a factor for each number,
        and the steps of ``exact``, ``euler`` and ``rk4`` have a closed form. All else is left to torchdiffeq.
        """
        if self.name == "exact":
            return exponential_action(field, start, end - begin)
        if start.ndim == 1 and self.name in ONE_STEP_ORDERS:
            step = (end - begin).to(start) / self.steps_per_interval * field(torch.ones_like(start))
            return start * _truncated_exponential(step, ONE_STEP_ORDERS[self.name]) ** self.steps_per_interval
        from torchdiffeq import odeint, odeint_adjoint  # brings scipy.integrate, which the exact solver does without

        tolerances: dict[str, float]
        options: dict[str, int]
        shares = torch.linspace(0, 1, self.steps_per_interval + 1, dtype=begin.dtype, device=begin.device)
        grid = (begin + (end - begin) * shares).to(start.device)
        if self.name == "dopri5":
            grid, tolerances, options = grid[[0, -1]], {"rtol": self.rtol, "atol": self.atol}, {}
        elif self.name == "adams_moulton":
            rounding = 4 * torch.finfo(start.dtype).eps
            tolerances = {"rtol": rounding, "atol": rounding}
            options = {"max_iters": IMPLICIT_ITERATIONS, "max_order": ADAMS_ORDER}
        elif self.name == "adams_bashforth":
            tolerances, options = {}, {"max_order": ADAMS_ORDER}
        else:
            tolerances, options = {}, {}
        method = TORCHDIFFEQ_METHODS[self.name]
        arguments = {"method": method, "options": options, **tolerances}
        try:
            if self.adjoint:
                solution = odeint_adjoint(_Autonomous(field), start, grid, adjoint_params=(), **arguments)
            else:
                solution = odeint(_Autonomous(field), start, grid, **arguments)
        except AssertionError as error:
            raise FloatingPointError(
                f"times must be finite and ascend, got a stretch from {begin.item()} to {end.item()}: training "
                "diverged; lower `learning_rate`, `time_learning_rate` or `l2`"
            ) from error
        last: Tensor = solution[-1]
        return last


def states(field: Field, start: Tensor, boundaries: Times, solver: Solver) -> list[Tensor]:
    """E(0), then the state at the end of every stretch; E_final is their mean.

        residual: E_i+1 = Φ(E_i)        linear: E_i+1 = Φ(E_i) - E_i        Φ: the solver on [t_i, t_i+1]

    Example:
        >>> one, unit_times = torch.ones(1), torch.tensor([0.0, 1.0, 2.0])
        >>> [s.item() for s in states(lambda x: 3 * x, one, unit_times, Solver("euler", "linear"))]
        [1.0, 3.0, 9.0]
        >>> [s.item() for s in states(lambda x: 3 * x, one, unit_times, Solver("euler", "residual"))]
        [1.0, 4.0, 16.0]
    """
    trajectory = [start]
    for begin, end in pairwise(boundaries.unbind()):
        solution = solver.integrate(field, trajectory[-1], begin, end)
        trajectory.append(solution if solver.connection == "residual" else solution - trajectory[-1])
    return trajectory


def exponential_action(field: Field, start: Tensor, length: Scalar) -> Tensor:
    """exp(length · field) start: exact to rounding.

    By Taylor series over sub-steps of norm at most 1. On a one-dimensional state, where every number is a problem of
    its own as in `Solver` on eigenvalues, the field is a factor for each number and its exponential is known.

    Source: Al-Mohy & Higham, SIAM J. Sci. Comput. 33(2), 2011, https://doi.org/10.1137/100788860. Differs: sub-step
    and degree are fixed by the known bound 2 on the field's norm instead of estimated.

    Example:
        >>> start, length = torch.ones(1, 1, dtype=torch.float64), torch.tensor(3.0)
        >>> [round(exponential_action(lambda x: -x, x, length).log().item(), 12) for x in (start, start[0])]
        [-3.0, -3.0]
    """
    if start.ndim == 1:
        return start * torch.exp(length.to(start) * field(torch.ones_like(start)))
    n_steps = max(1, math.ceil(2 * abs(length.item())))
    step = (length / n_steps).to(start.dtype).to(start.device)
    solution = start
    for _ in range(n_steps):
        term = solution
        for order in range(1, TAYLOR_DEGREE + 1):
            term = field(term) * (step / order)
            solution = solution + term
    return solution


def _truncated_exponential(exponents: Tensor, order: int) -> Tensor:
    """Σ_k z^k / k! for k up to the order."""
    total = torch.ones_like(exponents)
    for factor in range(order, 0, -1):
        total = 1 + total * exponents / factor
    return total


class _Autonomous(nn.Module):
    """dx/dt = field(x) in the form torchdiffeq calls: f(t, x)."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.field = field

    def forward(self, _time: Tensor, state: Tensor) -> Tensor:
        return self.field(state)

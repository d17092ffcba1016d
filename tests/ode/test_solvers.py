"""Each solver against the closed form of its step on dx/dt = λ x."""

from __future__ import annotations

import math

import pytest
import torch

from ltocf.ode.solvers import SOLVERS, Solver, exponential_action, states

LAMBDAS = torch.linspace(-1, 1, 9, dtype=torch.float64)


def integrated(name: str, length: float, steps: int = 1, *, by_steps: bool = False) -> torch.Tensor:
    """The solution from x = 1; ``by_steps`` gives the state two dimensions, which torchdiffeq integrates."""
    solver = Solver(name, "residual", steps)  # type: ignore[arg-type]
    begin, end = torch.tensor(0.3, dtype=torch.float64), torch.tensor(0.3 + length, dtype=torch.float64)
    factors = LAMBDAS[:, None] if by_steps else LAMBDAS
    return solver.integrate(lambda x: factors * x, torch.ones_like(factors), begin, end).squeeze(-1)


@pytest.mark.parametrize("by_steps", [False, True], ids=["closed form", "torchdiffeq"])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("rk4", 4)])
def test_one_step_is_the_taylor_polynomial_of_its_order(name: str, order: int, steps: int, by_steps: bool) -> None:
    step = 0.9 / steps * LAMBDAS
    growth = sum(step**k / math.factorial(k) for k in range(order + 1))
    torch.testing.assert_close(integrated(name, 0.9, steps, by_steps=by_steps), growth**steps)


@pytest.mark.parametrize("name", ["adams_moulton", "adams_bashforth"])
@pytest.mark.parametrize("steps", [1, 2])
def test_adams_with_fewer_than_three_steps_is_rk4(name: str, steps: int) -> None:
    torch.testing.assert_close(integrated(name, 1.0, steps), integrated("rk4", 1.0, steps, by_steps=True))


def test_the_third_step_of_adams_moulton_is_the_implicit_multistep_formula() -> None:
    # x3 = x2 + h (9 f3 + 19 f2 - 5 f1 + f0) / 24, solved for x3 exactly; x1, x2 from RK4.
    h, steps = 0.4, 3
    z = h * LAMBDAS
    growth = sum(z**k / math.factorial(k) for k in range(5))
    x = [torch.ones_like(z), growth, growth**2]
    x3 = (x[2] * (1 + 19 / 24 * z) - 5 / 24 * z * x[1] + z / 24 * x[0]) / (1 - 9 / 24 * z)
    torch.testing.assert_close(integrated("adams_moulton", h * steps, steps), x3, rtol=1e-12, atol=1e-13)


def test_the_third_step_of_adams_bashforth_is_the_explicit_multistep_formula() -> None:
    # x3 = x2 + h (23 f2 - 16 f1 + 5 f0) / 12
    h = 0.4
    z = h * LAMBDAS
    growth = sum(z**k / math.factorial(k) for k in range(5))
    x3 = growth**2 * (1 + 23 / 12 * z) - 16 / 12 * z * growth + 5 / 12 * z
    torch.testing.assert_close(integrated("adams_bashforth", 3 * h, 3), x3)


@pytest.mark.parametrize("name", [*SOLVERS])
def test_every_solver_converges_to_the_exponential(name: str) -> None:
    tolerance = 1e-3 if name == "euler" else 1e-5  # the error of Euler's method is 1 / (2 steps) = 8e-4
    torch.testing.assert_close(integrated(name, 1.0, steps=600), LAMBDAS.exp(), rtol=tolerance, atol=0)


@pytest.mark.parametrize("length", [0.0, 0.2, 1.0, 7.5])
def test_exponential_action_is_the_matrix_exponential(length: float) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(6, 6, dtype=torch.float64, generator=generator)
    matrix = 2 * (matrix + matrix.T) / torch.linalg.matrix_norm(matrix + matrix.T, 2)
    state = torch.randn(6, 3, dtype=torch.float64, generator=generator)
    action = exponential_action(lambda x: matrix @ x, state, torch.tensor(length, dtype=torch.float64))
    torch.testing.assert_close(action, torch.linalg.matrix_exp(length * matrix) @ state, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", [*SOLVERS])
@pytest.mark.parametrize("connection", ["linear", "residual"])
def test_the_gradient_of_the_times_is_that_of_finite_differences(name: str, connection: str) -> None:
    solver = Solver(name, connection, 3)  # type: ignore[arg-type]

    def final(times: torch.Tensor) -> torch.Tensor:
        boundaries = torch.cat([times.new_zeros(1), times, times.new_full((1,), 3.0)])
        return torch.stack(states(lambda x: LAMBDAS * x, torch.ones_like(LAMBDAS), boundaries, solver)).mean(0)

    times = torch.tensor([0.7, 1.9], dtype=torch.float64, requires_grad=True)
    tolerance = 1e-4 if name == "dopri5" else 1e-6  # dopri5 chooses its own steps
    assert torch.autograd.gradcheck(final, times, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps_per_interval": 0}, "`steps_per_interval` must be >= 1, got 0"),
        ({"rtol": 0.0}, "`rtol` must be between 0 and 1, both excluded, got 0.0"),
        ({"rtol": float("nan")}, "`rtol` must be between 0 and 1, both excluded, got nan"),
        ({"atol": float("inf")}, "`atol` must be between 0 and 1, both excluded, got inf"),
        ({"atol": -1e-9}, "`atol` must be between 0 and 1, both excluded, got -1e-09"),
        ({"name": "exact", "adjoint": True}, "`adjoint` applies to step-by-step solvers"),
    ],
)
def test_wrong_settings_are_refused_with_the_rule_and_the_value(changes: dict[str, object], message: str) -> None:
    # Unknown names are tested from the command line: under pytest the type annotations refuse them first.
    with pytest.raises(ValueError, match=message):
        Solver(**changes)  # type: ignore[arg-type]

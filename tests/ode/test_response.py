"""Chebyshev coefficients against NumPy's, and the promised bound of their error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ltocf.ode.response import chebyshev_coefficients, evaluate_series

GRID = torch.linspace(-1, 1, 501, dtype=torch.float64)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_a_polynomial_gives_its_own_coefficients(expected: list[float]) -> None:
    values = torch.tensor(expected, dtype=torch.float64)
    found = chebyshev_coefficients(lambda x: evaluate_series(values, x), tolerance=1e-12)
    padded = torch.zeros(max(len(found), len(values)), dtype=torch.float64)
    padded[: len(found)] = found
    np.testing.assert_allclose(padded[: len(values)], values, atol=1e-10)
    assert len(found) <= len(values)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-9])
@pytest.mark.parametrize("horizon", [0.5, 4.0, 20.0])
def test_the_error_is_within_the_tolerance_everywhere(tolerance: float, horizon: float) -> None:
    found = chebyshev_coefficients(lambda x: torch.exp(horizon * x), tolerance)
    error = (evaluate_series(found, GRID) - torch.exp(horizon * GRID)).abs().max()
    assert error <= tolerance * found.abs().sum()


def test_coefficients_equal_those_of_numpy() -> None:
    found = chebyshev_coefficients(lambda x: torch.sin(3 * x + 1), tolerance=1e-12).numpy()
    expected = np.polynomial.chebyshev.chebinterpolate(lambda x: np.sin(3 * x + 1), 60)
    np.testing.assert_allclose(found, expected[: len(found)], atol=1e-12)


def test_a_sharp_response_takes_more_nodes() -> None:
    found = chebyshev_coefficients(lambda x: torch.exp(-200 * (x - 0.3) ** 2), 1e-8)
    assert len(found) > 64
    torch.testing.assert_close(evaluate_series(found, GRID), torch.exp(-200 * (GRID - 0.3) ** 2), atol=1e-7, rtol=0)


def test_a_discontinuous_response_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 1024 nodes"):
        chebyshev_coefficients(torch.sign)


def test_a_constant_has_one_coefficient() -> None:
    assert chebyshev_coefficients(torch.ones_like).tolist() == [1.0]


def test_a_tolerance_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="`tolerance` must be > 0"):
        chebyshev_coefficients(torch.ones_like, 0.0)

"""Learnable times: their initial values, their order, and the projection that keeps the order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression, minimize

from ltocf.ode.times import SMALLEST_GAP, LearnableTimes


def projected(values: list[float], horizon: float) -> np.ndarray:
    """These times after the projection."""
    times = LearnableTimes(len(values), horizon).double()
    with torch.no_grad():
        times.values.copy_(torch.tensor(values))
    times.project_()
    return times.values.detach().numpy()


def test_times_start_evenly_spaced() -> None:
    torch.testing.assert_close(LearnableTimes(3, 4.0).boundaries(), torch.tensor([0.0, 1, 2, 3, 4]))
    assert LearnableTimes(0, 4.0).boundaries().tolist() == [0, 4]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6), st.floats(0.1, 20))
def test_the_projection_orders_the_times_and_is_idempotent(values: list[float], horizon: float) -> None:
    once = projected(values, horizon)
    gap = SMALLEST_GAP * horizon / (len(values) + 1)
    assert np.all(np.diff([0.0, *once, horizon]) >= gap * (1 - 1e-9))
    np.testing.assert_allclose(projected(once.tolist(), horizon), once, atol=1e-9)


def test_the_projection_does_not_change_valid_times() -> None:
    np.testing.assert_allclose(projected([0.5, 1.5, 3.9], 4.0), [0.5, 1.5, 3.9])


def test_the_projection_is_the_nearest_valid_point() -> None:
    values, horizon = np.array([3.0, 1.0, 5.0, 2.0]), 4.0
    gap = SMALLEST_GAP * horizon / 5
    constraints = [{"type": "ineq", "fun": lambda t: np.diff([0.0, *t, horizon]) - gap}]
    nearest = minimize(lambda t: np.sum((t - values) ** 2), [1, 2, 3, 3.5], constraints=constraints, tol=1e-12).x
    np.testing.assert_allclose(projected(values.tolist(), horizon), nearest, atol=1e-5)  # the accuracy of SLSQP


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8))
def test_the_projection_is_isotonic_regression_where_the_horizon_is_far(values: list[float]) -> None:
    horizon = 1e3  # so far beyond the values that only the bound at zero matters
    gap = SMALLEST_GAP * horizon / (len(values) + 1)
    offsets = gap * np.arange(1, len(values) + 1)
    expected = isotonic_regression(np.array(values) - offsets).x.clip(min=0) + offsets
    np.testing.assert_allclose(projected(values, horizon), expected, atol=1e-9)


def test_times_are_saved_with_the_module_whether_learned_or_not() -> None:
    for learnable in (True, False):
        times = LearnableTimes(2, 3.0, learnable=learnable)
        assert list(times.state_dict()) == ["values"]
        assert times.values.requires_grad is learnable


@pytest.mark.parametrize(("n_times", "horizon"), [(-1, 4.0), (3, 0.0), (3, -1.0), (3, float("inf")), (3, float("nan"))])
def test_impossible_numbers_of_times_and_horizons_are_refused(n_times: int, horizon: float) -> None:
    with pytest.raises(ValueError, match=r"`(n_times|horizon)` must be .*, got"):
        LearnableTimes(n_times, horizon)


def test_the_projection_does_not_hide_times_that_are_not_finite() -> None:
    times = LearnableTimes(2, 1.0)
    with torch.no_grad():
        times.values[0] = float("nan")
    times.project_()
    assert not torch.isfinite(times.values).all()

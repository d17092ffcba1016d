"""Climbing finds the top of a hill, tries nothing twice, and stops at its limits."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from ltocf.training import FitContext
from ltocf.training.grid import climb


class Hill:
    def __init__(self) -> None:
        self.position: tuple[float, ...] = ()
        self.visited: list[tuple[float, ...]] = []

    def set_numbers(self, numbers: Sequence[float]) -> None:
        self.position = tuple(numbers)
        self.visited.append(self.position)

    def learned(self) -> dict[str, float]:
        return dict(zip("xy", self.position, strict=True))

    def value(self) -> dict[str, float]:
        x, y = self.position
        return {"recall@20": -((x - 3) ** 2) - (y - 3) ** 2 - 0.5 * (x - 3) * (y - 3)}


GRID = {"x": range(10), "y": range(10)}


def test_a_hill_is_climbed_to_its_top_and_nothing_is_tried_twice() -> None:
    hill = Hill()
    found = climb(hill, [8, 1], GRID, validate=hill.value, evaluations=100)
    assert hill.position == (3, 3)
    assert (found.stopped_by, found.best_value) == ("converged", 0.0)
    tried = hill.visited[:-1]
    assert len(set(tried)) == len(tried) == found.epochs
    assert tried[found.best_epoch - 1] == (3, 3)


def test_a_start_between_the_values_of_the_grid_is_tried_too() -> None:
    hill = Hill()
    climb(hill, [2.5, 3.5], GRID, validate=hill.value, evaluations=1)
    assert hill.position == (2.5, 3.5)
    climb(hill, [2.25, 3.5], GRID, validate=hill.value, evaluations=99)
    assert hill.position == (3, 3)


def test_limits_of_evaluations_and_time_keep_the_best_so_far() -> None:
    hill = Hill()
    found = climb(hill, [0, 0], GRID, validate=hill.value, evaluations=3)
    assert (found.stopped_by, found.epochs) == ("epochs", 3)
    assert hill.value()["recall@20"] == found.best_value
    found = climb(
        hill, [0, 0], GRID, validate=hill.value, evaluations=9, context=FitContext(deadline=time.monotonic() - 1)
    )
    assert (found.stopped_by, found.epochs, hill.position) == ("max_minutes", 1, (0, 0))


def test_zero_evaluations_are_refused() -> None:
    with pytest.raises(ValueError, match="`evaluations` must be >= 1, got 0"):
        climb(Hill(), [0, 0], GRID, validate=dict, evaluations=0)

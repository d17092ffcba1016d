"""A few numbers of a model, chosen among listed values by hill climbing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from ltocf.progress import log_line, progress_bar
from ltocf.training.context import FitContext, FitResult

Point: TypeAlias = tuple[float, ...]
Grid: TypeAlias = Mapping[str, Sequence[float | int]]


@runtime_checkable
class Chosen(Protocol):
    """A model that depends on a few numbers."""

    def set_numbers(self, numbers: Sequence[float]) -> None:
        """Use these numbers, and be ready to score."""

    def learned(self) -> dict[str, float]:
        """The numbers by their names."""


class _EnoughError(Exception):
    """No further evaluation may start; the message is the reason."""


def climb(
    model: Chosen,
    start: Sequence[float | int],
    grid: Grid,
    *,
    validate: Callable[[], dict[str, float]],
    evaluations: int,
    context: FitContext | None = None,
) -> FitResult:
    """Find the numbers that validate best by changing one after the other, and leave ``model`` with them.

    From ``start``, the first number goes up its listed values as long as the metric improves, or else down; then the
    next number does, and so on, until no number moves. If the metric has one peak along every number, its top is found.

    Args:
        model: the model, used only through `Chosen`.
        start: the numbers to begin with; values that are not listed are added to the lists.
        grid: the values of each number by its name.
        validate: returns the metrics of the model in its present state.
        evaluations: maximum number of evaluations.
        context: see `FitContext`; evaluations count as epochs, and only the first one may start after the deadline.
            There is no checkpoint: an interrupted search is done again with the same result.

    Returns:
        ``stopped_by`` is ``converged``, ``epochs`` or ``max_minutes``.

    Raises:
        ValueError: ``evaluations`` < 1.

    Example:
        >>> class Parabola:
        ...     def set_numbers(self, numbers):
        ...         self.x, self.y = numbers
        ...     def learned(self):
        ...         return {"x": self.x, "y": self.y}
        >>> hill = Parabola()
        >>> found = climb(
        ...     hill, [0, 0], {"x": range(9), "y": range(-5, 5)}, evaluations=30,
        ...     validate=lambda: {"recall@20": 1 - (hill.x - 3) ** 2 - (hill.y + 2) ** 2},
        ... )
        >>> hill.learned(), found.best_value, found.stopped_by
        ({'x': 3.0, 'y': -2.0}, 1.0, 'converged')
    """
    if evaluations < 1:
        raise ValueError(f"`evaluations` must be >= 1, got {evaluations}; one measures the start")
    context = context or FitContext(description="search")
    started, first = time.perf_counter(), tuple(map(float, start))
    lists = [sorted({*map(float, values), at}) for values, at in zip(grid.values(), first, strict=True)]
    with progress_bar(enabled=context.show_progress) as bar:
        task = bar.add_task(context.description, total=evaluations, note="")
        trials = _Trials(model, validate, evaluations, context)
        trials.on_trial = lambda note: bar.update(task, advance=1, note=note)
        stopped_by = _climb(trials, first, lists)
    best = trials.best()
    model.set_numbers(best)
    place = list(trials.values).index(best) + 1
    return FitResult(len(trials.values), place, trials.values[best], time.perf_counter() - started, stopped_by)


@dataclass
class _Trials:
    """The metric of each point that was tried, in order; no point is tried twice."""

    model: Chosen
    validate: Callable[[], dict[str, float]]
    evaluations: int
    context: FitContext
    on_trial: Callable[[str], None] = lambda note: None
    values: dict[Point, float] = field(default_factory=dict)
    slowest: float = 0.0

    def best(self) -> Point:
        """The best point; among equally good ones the first that was tried."""
        return max(self.values, key=lambda point: self.values[point])

    def value(self, point: Point) -> float:
        """The metric of a point; raises _EnoughError if it was not tried before and no further trial may start."""
        if point not in self.values:
            self._try(point)
        return self.values[point]

    def _try(self, point: Point) -> None:
        context = self.context
        if len(self.values) >= self.evaluations:
            raise _EnoughError("epochs")
        if self.values and context.is_late(self.slowest):
            raise _EnoughError("max_minutes")
        started = time.perf_counter()
        self.model.set_numbers(point)
        metrics = self.validate()
        self.values[point] = metrics[context.select_by]
        seconds = time.perf_counter() - started
        self.slowest = max(self.slowest, seconds)
        best = max(self.values.values())
        self.on_trial(f"{context.select_by} {best:.4f}")
        if context.on_epoch is not None:
            record = {"epoch": len(self.values), "times": [], **self.model.learned(), **metrics, "seconds": seconds}
            context.on_epoch(record)
        if context.show_progress:
            log_line(f"{context.description}: evaluation {len(self.values)} of {self.evaluations}, best {best:.4f}")


def _climb(trials: _Trials, start: Point, lists: Sequence[Sequence[float]]) -> str:
    """Climb; returns the reason why it stopped."""
    point, moved = start, True
    try:
        trials.value(point)
        while moved:
            moved = False
            for number, values in enumerate(lists):
                for step in (1, -1):
                    higher = _climb_along(trials, point, number, values, step)
                    if higher != point:
                        point, moved = higher, True
                        break
    except _EnoughError as reason:
        return str(reason)
    return "converged"


def _climb_along(trials: _Trials, point: Point, number: int, values: Sequence[float], step: int) -> Point:
    """Move one number in one direction as long as each step validates better than the last."""
    while 0 <= (place := values.index(point[number]) + step) < len(values):
        next_point = (*point[:number], values[place], *point[number + 1 :])
        if trials.value(next_point) <= trials.value(point):
            break
        point = next_point
    return point

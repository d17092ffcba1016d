"""The page that puts two runs side by side: metrics with intervals, and two lists for the same person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ltocf.evaluation.significance import Interval, UserResult, difference_interval
from ltocf.files import read_arrays
from ltocf.report.comparison import label, shown
from ltocf.service.pages.home import Card, HomeView
from ltocf.service.pages.model import ACCURACY, RunNumbers, depth_of

METRICS = (*ACCURACY, "coverage")
FEWEST_USERS = 2
NOTHING_NOTE = "One of the runs holds nothing back for a test, so nothing was measured."
SPLIT_NOTE = "The runs were not measured on the same split, so their numbers cannot be compared."
USERS_NOTE = "These runs did not keep the metrics of each user, so there is no interval."


@dataclass(frozen=True)
class IntervalBar:
    """Where an interval is drawn, in percent of the width; zero is at 50."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of two runs, as text.

    Args:
        name: name of the metric.
        first, second: its value in each run.
        difference: the first minus the second.
        interval: 95 % interval of the difference, empty if no user's values were kept.
        bar: the interval as a picture, or None.
        is_clear: whether zero is outside the interval.
    """

    name: str
    first: str
    second: str
    difference: str
    interval: str
    bar: IntervalBar | None
    is_clear: bool


@dataclass(frozen=True)
class ComparisonView:
    """Two runs beside each other.

    Args:
        names: names of the runs.
        metrics: rows of the table.
        note: what the numbers cannot say, or empty.
        largest: the difference at both ends of the pictures.
    """

    names: tuple[str, str]
    metrics: tuple[ComparedMetric, ...]
    note: str = ""
    largest: float = 0.0


@dataclass(frozen=True)
class Column:
    """One run's list for the person, and the ids that the other run's list has too."""

    run: str
    cards: tuple[Card, ...]
    error: str | None
    shared: frozenset[str]


def comparison_view(names: tuple[str, str], paths: Sequence[Path], numbers: Sequence[RunNumbers]) -> ComparisonView:
    """The metrics of two runs on the same users."""
    depth = min(depth_of(run.metrics) for run in numbers)
    if not depth:
        return ComparisonView(names, (), NOTHING_NOTE)
    if len({run.metrics.get("split", {}).get("digest", "") for run in numbers}) > 1:
        return ComparisonView(names, (), SPLIT_NOTE)
    first, second = ({name: float(run.metrics[f"{name}@{depth}"]) for name in METRICS} for run in numbers)
    intervals = _intervals(paths, [f"{name}@{depth}" for name in ACCURACY])
    largest = max((abs(end) for interval in intervals.values() for end in interval), default=0.0) or 1.0
    rows = []
    for name in METRICS:
        metric = f"{name}@{depth}"
        interval = intervals.get(metric)
        bar = None if interval is None else IntervalBar(*(50 + 50 * end / largest for end in interval))
        rows.append(
            ComparedMetric(
                label(metric),
                shown(metric, first[name]),
                shown(metric, second[name]),
                f"{first[name] - second[name]:+.4f}".replace("-", "−"),
                "" if interval is None else f"{interval.low:+.4f} to {interval.high:+.4f}".replace("-", "−"),
                bar,
                interval is not None and not interval.low <= 0 <= interval.high,
            )
        )
    return ComparisonView(names, tuple(rows), "" if intervals else USERS_NOTE, round(largest, 4))


def columns_of(names: Sequence[str], views: Sequence[HomeView]) -> tuple[Column, ...]:
    """The lists of several runs for the same person, with what they have in common."""
    shared = frozenset.intersection(*(frozenset(card.item.id for card in view.cards) for view in views))
    return tuple(Column(name, view.cards, view.error, shared) for name, view in zip(names, views, strict=True))


def _intervals(paths: Sequence[Path], metrics: Sequence[str]) -> dict[str, Interval]:
    """By metric, the interval of the first run's mean minus the second's; empty without the values of each user."""
    files = [path / "test-users.safetensors" for path in paths]
    if not all(file.exists() for file in files):
        return {}
    first, second = (read_arrays(file)[0] for file in files)
    if len(first["users"]) < FEWEST_USERS or len(first["users"]) != len(second["users"]):
        return {}
    measured = [name for name in metrics if name in first and name in second]
    results = [{name: UserResult(run["users"], run[name], "") for name in measured} for run in (first, second)]
    return {name: difference_interval(results[0][name], results[1][name]) for name in measured}

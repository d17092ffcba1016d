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
SPLIT_NOTE = "The runs were not measured on one split, so their numbers have nothing to do with each other."
USERS_NOTE = "These runs did not keep the metrics of each user, so there is no interval."


@dataclass(frozen=True)
class IntervalBar:
    """Where an interval is drawn, in percent; zero is at 50."""

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
        bar: the same as a picture, or None.
        is_clear: whether zero is outside.
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
        largest: the difference at either end of the pictures.
    """

    names: tuple[str, str]
    metrics: tuple[ComparedMetric, ...]
    note: str = ""
    largest: float = 0.0


@dataclass(frozen=True)
class Column:
    """One run's list for the person, and the ids that the other list has as well."""

    run: str
    cards: tuple[Card, ...]
    error: str | None
    shared: frozenset[str]


def comparison_view(names: tuple[str, str], paths: Sequence[Path], numbers: Sequence[RunNumbers]) -> ComparisonView:
    """What two runs were measured at, on the same users."""
    depth = min(depth_of(one.metrics) for one in numbers)
    if not depth:
        return ComparisonView(names, (), NOTHING_NOTE)
    if len({one.metrics.get("split", {}).get("digest", "") for one in numbers}) > 1:
        return ComparisonView(names, (), SPLIT_NOTE)
    first, second = ({name: float(one.metrics[f"{name}@{depth}"]) for name in METRICS} for one in numbers)
    intervals = _intervals(paths, [f"{name}@{depth}" for name in ACCURACY])
    largest = max((abs(end) for interval in intervals.values() for end in interval), default=0.0) or 1.0
    rows = []
    for name in METRICS:
        at = f"{name}@{depth}"
        found = intervals.get(at)
        bar = None if found is None else IntervalBar(*(50 + 50 * end / largest for end in found))
        rows.append(
            ComparedMetric(
                label(at),
                shown(at, first[name]),
                shown(at, second[name]),
                f"{first[name] - second[name]:+.4f}".replace("-", "−"),
                "" if found is None else f"{found.low:+.4f} to {found.high:+.4f}".replace("-", "−"),
                bar,
                found is not None and not found.low <= 0 <= found.high,
            )
        )
    return ComparisonView(names, tuple(rows), "" if intervals else USERS_NOTE, round(largest, 4))


def columns_of(names: Sequence[str], views: Sequence[HomeView]) -> tuple[Column, ...]:
    """The lists of several runs for the same person, with what they have in common."""
    shared = frozenset.intersection(*(frozenset(card.item.id for card in view.cards) for view in views))
    return tuple(Column(name, view.cards, view.error, shared) for name, view in zip(names, views, strict=True))


def _intervals(paths: Sequence[Path], metrics: Sequence[str]) -> dict[str, Interval]:
    """By metric, the interval of the first run's mean minus the second's; none without the values of each user."""
    files = [path / "test-users.safetensors" for path in paths]
    if not all(file.exists() for file in files):
        return {}
    first, second = (read_arrays(file)[0] for file in files)
    if len(first["users"]) < FEWEST_USERS or len(first["users"]) != len(second["users"]):
        return {}
    measured = [name for name in metrics if name in first and name in second]
    ours, theirs = ({name: UserResult(one["users"], one[name], "") for name in measured} for one in (first, second))
    return {name: difference_interval(ours[name], theirs[name]) for name in measured}

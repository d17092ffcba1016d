"""Line charts as numbers: paths, ticks and labels that a template draws as SVG with classes for its colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 440.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 14.0, 14.0, 46.0


@dataclass(frozen=True)
class Series:
    """Numbers of one line. ``color`` is a class; ``dots`` marks each point."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    color: str
    dots: bool = False


@dataclass(frozen=True)
class Line:
    """One line as it is drawn: an SVG path, and points to mark."""

    label: str
    color: str
    path: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Tick:
    """A position on an axis and its label."""

    place: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A line chart.

    Args:
        name: begins its ids on the page.
        title, description: for those who cannot see the chart.
        x_label, y_label: names of the axes.
        lines: the lines that are drawn.
        x_ticks, y_ticks: ticks along the axes.
        marks: vertical lines, such as a chosen epoch.
    """

    name: str
    title: str
    description: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...] = ()
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def line_chart(
    name: str,
    title: str,
    axes: tuple[str, str],
    series: Sequence[Series],
    *,
    description: str = "",
    from_zero: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> Chart:
    """The chart of some series, of which at least one has a finite point.

    Example:
        >>> chart = line_chart("loss", "Loss", ("epoch", "loss"), [Series("a", [0.0, 10.0], [0.0, 1.0], "line-0")])
        >>> [tick.text for tick in chart.x_ticks], chart.lines[0].path
        (['0', '2.5', '5', '7.5', '10'], 'M46.0,214.0L426.0,14.0')
    """
    finite = [(x, y) for line in series for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
    heights = [y for _, y in finite] + ([0.0] if from_zero else [])
    x_axis = _Axis.over([x for x, _ in finite], LEFT, WIDTH - RIGHT)
    tight = _Axis.over(heights, HEIGHT - BOTTOM, TOP)
    levels = ticks(tight.low, tight.high)
    y_axis = _Axis.over([tight.low, tight.high, *levels], HEIGHT - BOTTOM, TOP)
    return Chart(
        name,
        title,
        description,
        *axes,
        tuple(_line(line, x_axis, y_axis) for line in series),
        tuple(
            Tick(x_axis.place(x), text_of(x)) for x in ticks(x_axis.low, x_axis.high) if x_axis.low <= x <= x_axis.high
        ),
        tuple(Tick(y_axis.place(y), text_of(y)) for y in levels),
        tuple(Tick(x_axis.place(x), text) for x, text in marks),
    )


@dataclass(frozen=True)
class _Axis:
    """Values from ``low`` to ``high`` between two positions of the drawing."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> _Axis:
        low, high = min(values), max(values)
        return cls(low, high, start, end) if high > low else cls(low - 0.5, high + 0.5, start, end)

    def place(self, value: float) -> float:
        return round(self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low), 1)


def _line(series: Series, x_axis: _Axis, y_axis: _Axis) -> Line:
    finite = [(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(y)]
    points = tuple((x_axis.place(x), y_axis.place(y)) for x, y in finite)
    path = "M" + "L".join(f"{x},{y}" for x, y in points) if points else ""
    return Line(series.label, series.color, path, points if series.dots else ())


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from at or below ``low`` to at or above ``high``, 1, 2, 2.5 or 5 times a power of ten apart.

    Example:
        >>> ticks(0.0, 0.93), ticks(-1.0, 1.0)
        ([0.0, 0.25, 0.5, 0.75, 1.0], [-1.0, -0.5, 0.0, 0.5, 1.0])
    """
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def text_of(value: float) -> str:
    """A tick's number.

    Example:
        >>> text_of(0.25), text_of(12000.0), text_of(-0.0)
        ('0.25', '12,000', '0')
    """
    return f"{value + 0.0:,.10g}".replace("-", "−")

"""What a picture and a chart of one figure share: labels, words, numbers, colours, and how curves are told apart."""

from __future__ import annotations

import math

from ltocf.report.content import Curve, Figure, Panel
from ltocf.report.style import LINES, SHADES

PANELS_PER_ROW = 4
MAXIMUM_POINTS_WITH_MARKERS = 60
"""Points of a curve; with more of them the markers would hide its line."""
# What tells points apart without colours: matplotlib's markers and the same shapes for Vega.
SHAPES = (
    ("o", "circle"),
    ("s", "square"),
    ("^", "triangle-up"),
    ("D", "diamond"),
    ("v", "triangle-down"),
    ("P", "cross"),
)


def spread_of(curve: Curve) -> list[float] | None:
    """Half-lengths of the error bars that are worth drawing."""
    # Of one measurement the spread is 0, and there is nothing to draw.
    return curve.spread if curve.spread and any(curve.spread) else None


def columns_of(figure: Figure) -> int:
    """How many panels stand side by side: four are two rows."""
    return 2 if len(figure.panels) == PANELS_PER_ROW else min(PANELS_PER_ROW, len(figure.panels))


def labels_of(figure: Figure) -> list[str]:
    """The labels of all curves, each once."""
    return list(dict.fromkeys(curve.label for panel in figure.panels for curve in panel.curves))


def words_of(panel: Panel) -> list[str]:
    """What stands beside the dots, each once."""
    return list(dict.fromkeys(str(word) for curve in panel.curves for word in curve.x))


def numbers_of(curve: Curve) -> list[float]:
    """The numbers along x; raises ValueError for words."""
    words = [value for value in curve.x if isinstance(value, str)]
    if words:
        raise ValueError(
            f"a `line` or `point` panel has numbers on its x axis, got {words[0]!r}; words need `kind` 'dot'"
        )
    return [float(value) for value in curve.x]


def whole_numbers(panel: Panel) -> list[float]:
    """The values along x if all are whole: no tick belongs between two neighbours, such as 2 and 3 times."""
    values = {value for curve in panel.curves for value in numbers_of(curve) if math.isfinite(value)}
    return sorted(values) if all(value == round(value) for value in values) else []


def turn_of(index: int) -> int:
    """How often the colours were used up before this label."""
    return index // len(SHADES)


def line_of(index: int) -> int:
    """Which of the line styles a label has: another one than its neighbours, and than those of the same colour."""
    return (index + turn_of(index)) % len(LINES)


def shape_of(index: int) -> tuple[str, str]:
    """The shape of a label's points, another one than those of the same colour."""
    return SHAPES[(index + turn_of(index)) % len(SHAPES)]


def has_markers(curve: Curve) -> bool:
    """Whether a line marks its points."""
    return len(curve.x) <= MAXIMUM_POINTS_WITH_MARKERS


def ends_of(panel: Panel) -> dict[str, float]:
    """The last finite value of each curve that has one."""
    ends = {curve.label: [y for y in curve.y if math.isfinite(y)] for curve in panel.curves}
    return {label: values[-1] for label, values in ends.items() if values}

"""What the static and the interactive version of a figure share: labels, words, numbers, and styles of curves."""

from __future__ import annotations

import math

from ltocf.report.content import Curve, Figure, Panel
from ltocf.report.style import LINES, SHADES

PANELS_PER_ROW = 4
MAXIMUM_POINTS_WITH_MARKERS = 60
"""Points of a curve; with more, the markers would hide its line."""
# Shapes tell points apart without colours: matplotlib's markers, and the same shapes for Vega.
SHAPES = (
    ("o", "circle"),
    ("s", "square"),
    ("^", "triangle-up"),
    ("D", "diamond"),
    ("v", "triangle-down"),
    ("P", "cross"),
)


def spread_of(curve: Curve) -> list[float] | None:
    """Half-lengths of the error bars; None if all are 0, as for single measurements."""
    return curve.spread if curve.spread and any(curve.spread) else None


def columns_of(figure: Figure) -> int:
    """The number of panels in a row: four panels make two rows."""
    return 2 if len(figure.panels) == PANELS_PER_ROW else min(PANELS_PER_ROW, len(figure.panels))


def labels_of(figure: Figure) -> list[str]:
    """The labels of all curves, each once."""
    return list(dict.fromkeys(curve.label for panel in figure.panels for curve in panel.curves))


def words_of(panel: Panel) -> list[str]:
    """The words beside the dots, each once."""
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
    """The values along x if all are whole, else none: no tick belongs between neighbours such as 2 and 3 times."""
    values = {value for curve in panel.curves for value in numbers_of(curve) if math.isfinite(value)}
    return sorted(values) if all(value == round(value) for value in values) else []


def turn_of(index: int) -> int:
    """How often all colours have been used before this label."""
    return index // len(SHADES)


def line_of(index: int) -> int:
    """The index of a label's line style, which differs from those of its neighbours and of labels of its colour."""
    return (index + turn_of(index)) % len(LINES)


def shape_of(index: int) -> tuple[str, str]:
    """The shape of a label's points, which differs from those of labels of its colour."""
    return SHAPES[(index + turn_of(index)) % len(SHAPES)]


def has_markers(curve: Curve) -> bool:
    """Whether a line marks its points."""
    return len(curve.x) <= MAXIMUM_POINTS_WITH_MARKERS


def ends_of(panel: Panel) -> dict[str, float]:
    """The last finite value of each curve that has one."""
    ends = {curve.label: [y for y in curve.y if math.isfinite(y)] for curve in panel.curves}
    return {label: values[-1] for label, values in ends.items() if values}

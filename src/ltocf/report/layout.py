"""What a picture and a chart of one figure share: labels, words, numbers, colours, and how curves are told apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ltocf.installation import needs_extra
from ltocf.report.content import Curve, Figure, Panel
from ltocf.report.run_figures import SHADES

PANELS_PER_ROW = 4
# Beside the colours, what tells the curves of one colour apart: matplotlib's style and the same dashes for Vega.
LINES = (("-", [1, 0]), ("--", [6, 3]), (":", [2, 2]), ("-.", [7, 2, 2, 2]))
# What tells points apart without colours: matplotlib's markers and the same shapes for Vega.
SHAPES = (
    ("o", "circle"),
    ("s", "square"),
    ("^", "triangle-up"),
    ("D", "diamond"),
    ("v", "triangle-down"),
    ("P", "cross"),
)


@contextmanager
def plots_extra() -> Iterator[None]:
    """Name the extra to install where an import inside the block fails."""
    try:
        yield
    except ImportError as error:
        raise needs_extra("reports need", "plots") from error


def spread_of(curve: Curve) -> list[float] | None:
    """Half-lengths of the error bars that are worth drawing."""
    # Of one measurement the spread is 0, and there is nothing to draw.
    return curve.spread if curve.spread and any(curve.spread) else None


def labels_of(figure: Figure) -> list[str]:
    """The labels of all curves, each once."""
    return list(dict.fromkeys(curve.label for panel in figure.panels for curve in panel.curves))


def words_of(panel: Panel) -> list[str]:
    """What stands below the bars, each once."""
    return list(dict.fromkeys(str(word) for curve in panel.curves for word in curve.x))


def numbers_of(curve: Curve) -> list[float]:
    """The numbers along x; raises ValueError for words."""
    words = [value for value in curve.x if isinstance(value, str)]
    if words:
        raise ValueError(
            f"a `line` or `point` panel has numbers on its x axis, got {words[0]!r}; words need `kind` 'bar'"
        )
    return [float(value) for value in curve.x]


def whole_numbers(panel: Panel) -> list[float]:
    """The values along x where all are whole: no tick belongs between two neighbours, such as 2 and 3 times."""
    values = {value for curve in panel.curves for value in numbers_of(curve) if math.isfinite(value)}
    return sorted(values) if all(value == round(value) for value in values) else []


def crowded(words: Sequence[str], room: float) -> bool:
    """Whether the words, each with the width of the longest, are more letters than there is room for."""
    return len(words) * max(map(len, words), default=0) > 0.8 * room


def turn_of(index: int) -> int:
    """How often the colours were used up before this label."""
    return index // len(SHADES)


def color_of(index: int) -> str:
    """The label's colour: as it is, then mixed with black, then with white."""
    shade = SHADES[index % len(SHADES)]
    towards, part = ((0, 0.0), (0, 0.45), (255, 0.45))[turn_of(index) % 3]
    mixed = [round((1 - part) * int(shade[place : place + 2], 16) + part * towards) for place in (1, 3, 5)]
    return "#" + "".join(f"{value:02x}" for value in mixed)

"""The style of all figures: colours, line styles and fonts, for light pages and for dark ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from ltocf.files import replacing
from ltocf.installation import needs_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png", ".pdf")
# Besides colours, line styles tell curves apart: matplotlib's style, and the same dashes for Vega.
LINES = (("-", [1, 0]), ("--", [6, 3]), (":", [2, 2]), ("-.", [7, 2, 2, 2]))
FONTS = ("DejaVu Sans", "Verdana", "system-ui", "sans-serif")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LINE_HEIGHT = 0.17
"""Inches from one label to the next."""


@dataclass(frozen=True)
class Style:
    """Colours for one kind of page.

    The hues are those of Okabe and Ito 2008 (https://jfly.uni-koeln.de/color/). Each is moved as little as needed for
    a contrast of 4.5 with the page, as text has, and a distance of 10 in OKLab (times 100) between any two, also with
    protanopia and deuteranopia.

    Args:
        ending: the end of the file's stem.
        page: the background for which the colours are chosen; it is not drawn.
        ink: the colour of text and axes.
        quiet: the colour of what is less important: reference lines, curves without a name.
        shades: the colours of curves, in the order of their use.
    """

    ending: str
    page: str
    ink: str
    quiet: str
    shades: tuple[str, ...]


LIGHT = Style("", "#ffffff", "#1f2328", "#6e7781", ("#1377bd", "#814526", "#058573", "#9a6a00", "#8a1c7e", "#333333"))
DARK = Style(
    "-dark", "#1e2129", "#e6edf3", "#9198a1", ("#4fb2fa", "#e2a608", "#309a59", "#f0e442", "#ce78ad", "#bbbbbb")
)
STYLES = (LIGHT, DARK)
SHADES = LIGHT.shades


@contextmanager
def plots_extra(what: str = "reports") -> Iterator[None]:
    """If an import inside the block fails, raise an error that names the extra to install, which ``what`` needs."""
    try:
        yield
    except ImportError as error:
        raise needs_extra(f"{what} need", "plots") from error


@contextmanager
def drawn_in(style: Style) -> Iterator[None]:
    """Inside the block matplotlib draws and saves in this style, with text as text and labels not parsed as math."""
    from matplotlib import rc_context

    inked = ("text.color", "axes.labelcolor", "axes.titlecolor", "axes.edgecolor", "xtick.color", "ytick.color")
    values: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "ltocf",  # the same figure gives the same bytes
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.sans-serif": list(FONTS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
    with rc_context(values | dict.fromkeys(inked, style.ink)):
        yield


def save_pair(draw: Callable[[Style], Figure], path: Path, *, title: str, description: str) -> list[Path]:
    """Write ``NAME.svg`` for light pages and ``NAME-dark.svg`` for dark ones.

    Args:
        draw: makes the figure in a style.
        path: the path of NAME.svg.
        title: what the figure is, for screen readers.
        description: what it shows.
    """
    paths = [path.with_stem(path.stem + style.ending) for style in STYLES]
    for style, out in zip(STYLES, paths, strict=True):
        with drawn_in(style):
            save_figure(draw(style), out, title=title, description=description)
    return paths


def save_figure(figure: Figure, out: str | Path, *, title: str = "", description: str = "") -> None:
    """Write a figure completely or not at all; an SVG has a title and a description, and no background.

    Raises:
        ValueError: the file's ending is not one of .svg, .png, .pdf.
    """
    path = Path(out)
    if path.suffix not in FORMATS:
        raise ValueError(f"a figure's file must end in {', '.join(FORMATS)}, got {str(out)!r}")
    from matplotlib import rc_context

    is_svg = path.suffix == ".svg"
    metadata: dict[str, Any] = {"Date": None} if is_svg else {}
    with replacing(path) as temporary, rc_context({"svg.hashsalt": "ltocf"}):
        figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata, transparent=is_svg)
        if is_svg:
            text = _described(temporary.read_text(encoding="utf-8"), title, description)
            temporary.write_text(text, encoding="utf-8")


def _described(svg: str, title: str, description: str) -> str:
    """The SVG with its title and description first, where screen readers look for them."""
    start = svg.index("<svg ")
    end = svg.index(">", start)
    texts = "".join(
        f"\n <{name}>{escape(text)}</{name}>" for name, text in (("title", title), ("desc", description)) if text
    )
    return f'{svg[:end]} role="img">{texts}{svg[end + 1 :]}'


def log_ticks(axis: Axis) -> None:
    """Label powers of ten in plain text: 0.01, 100, 10⁻⁶."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(numticks=7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float) -> str:
    """A tick of a logarithmic axis.

    Example:
        >>> power_of_ten(0.01), power_of_ten(100.0), power_of_ten(1e-6)
        ('0.01', '100', '10⁻⁶')
    """
    exponent = round(math.log10(value))
    return f"{value:g}" if -3 <= exponent <= 4 else "10" + str(exponent).translate(SUPERSCRIPTS)


def label_ends(axes: Axes, ends: Sequence[tuple[str, float | int, str]], height: float) -> None:
    """Write the name of each curve beside its end, moved up or down where names would overlap.

    Args:
        axes: with its final limits and scale.
        ends: label, last value and colour of each curve.
        height: height of the axes in inches, about.
    """
    if not ends:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = [float(to_axes.transform((axes.get_xlim()[1], value))[1]) for _, value, _ in ends]
    places = spread_out(wanted, LINE_HEIGHT / height)
    for (label, _, color), place in zip(ends, places, strict=True):
        axes.annotate(
            shortened(label, 30), (1, place), xycoords="axes fraction", xytext=(5, 0), textcoords="offset points",
            va="center", color=color, fontsize=9, annotation_clip=False,
        )  # fmt: skip


def label_crossings(axes: Axes, curves: Sequence[tuple[str, Sequence[float], Sequence[float], str]]) -> None:
    """Write the names of curves that all end near one point, at the right, each with a line to its curve.

    The curve that is lowest in the middle is the last to rise, so its name stands highest: these lines do not cross.

    Args:
        axes: with its final limits, both scales linear.
        curves: label, ascending x, values and colour of each curve; all values end near 1.
    """
    lowest_first = sorted(curves, key=lambda curve: sorted(curve[2])[len(curve[2]) // 2])
    for rank, (label, places, values, color) in enumerate(lowest_first):
        level = 0.96 - min(0.085, 0.9 / len(curves)) * rank
        touched, leftmost = len(values) - 1, int(0.7 * len(values))
        while touched > leftmost and values[touched - 1] >= level:
            touched -= 1
        axes.annotate(
            shortened(label, 30), xy=(places[touched], values[touched]), xytext=(1.03, level),
            textcoords=("axes fraction", "data"), va="center", color=color, fontsize=9, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.7, "shrinkA": 2, "shrinkB": 0},
        )  # fmt: skip


def shortened(text: str, n_letters: int = 40) -> str:
    """The text, cut with an ellipsis if it is longer than ``n_letters``.

    Example:
        >>> shortened("Dancer in the Dark", 8)
        'Dancer …'
    """
    return text if len(text) <= n_letters else f"{text[: n_letters - 2].rstrip()} …"


def spread_out(wanted: Sequence[float], gap: float) -> list[float]:
    """Places in the same order, as near as possible to the wanted ones, with neighbours at least ``gap`` apart.

    Example:
        >>> spread_out([0.5, 0.5, 0.0], 0.25)
        [0.375, 0.625, 0.0]
    """
    groups: list[list[int]] = [[index] for index in sorted(range(len(wanted)), key=lambda index: wanted[index])]
    # Neighbours that are too close become one group around the mean of their wanted places.
    middle = [wanted[group[0]] for group in groups]
    place = 0
    while place + 1 < len(groups):
        low, high = groups[place], groups[place + 1]
        if middle[place + 1] - middle[place] >= gap * (len(low) + len(high)) / 2 - 1e-12:
            place += 1
            continue
        middle[place] = (middle[place] * len(low) + middle[place + 1] * len(high)) / (len(low) + len(high))
        groups[place] = low + high
        del groups[place + 1], middle[place + 1]
        place = max(0, place - 1)
    places = [0.0] * len(wanted)
    for center, group in zip(middle, groups, strict=True):
        for rank, index in enumerate(group):
            places[index] = center + gap * (rank - (len(group) - 1) / 2)
    return places

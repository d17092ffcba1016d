"""A report's figures as SVG and PNG files, with matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ltocf.report.content import Curve, Figure, Panel
from ltocf.report.layout import (
    LINES,
    PANELS_PER_ROW,
    SHAPES,
    color_of,
    crowded,
    labels_of,
    numbers_of,
    plots_extra,
    spread_of,
    turn_of,
    whole_numbers,
    words_of,
)
from ltocf.report.run_figures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

HATCHES = ("", "////", "....", "xxxx")
LINE: dict[str, Any] = {"linewidth": 1.4, "markersize": 4, "capsize": 2, "elinewidth": 0.8}
POINT: dict[str, Any] = {"linestyle": "", "markersize": 8, "capsize": 2, "elinewidth": 0.8}
WHISKER = {"elinewidth": 0.8, "capsize": 1.5, "ecolor": "#333333"}
BAR: dict[str, Any] = {"edgecolor": "white", "linewidth": 0, "error_kw": WHISKER}
MOST_LABELS_BELOW = 6
MOST_POINTS_WITH_MARKERS = 60
LETTERS = 11
"""About so many letters to an inch."""


def draw(figure: Figure, folder: Path) -> list[Path]:
    """Write ``<name>.svg`` and ``<name>.png``; the same figure gives the same bytes.

    Raises:
        ImportError: the ``plots`` extra is not installed.
        ValueError: a ``line`` or ``point`` panel has words on its x axis.
    """
    paths = [folder / f"{figure.name}{ending}" for ending in (".svg", ".png")]
    draw_to(figure, *paths)
    return paths


def draw_to(figure: Figure, *paths: Path) -> None:
    """Write the figure to files that end in .svg, .png or .pdf; errors as for `draw`."""
    with plots_extra():
        from matplotlib import rc_context
    # A label is plain text: two dollar signs in it are no mathematics.
    with rc_context({"text.parse_math": False}):
        canvas = _picture(figure)
        for path in paths:
            save_figure(canvas, path)


def _picture(figure: Figure) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    n_columns = min(PANELS_PER_ROW, len(figure.panels))
    n_rows = math.ceil(len(figure.panels) / PANELS_PER_ROW)
    widths = [max(map(_inches, figure.panels[column::n_columns])) for column in range(n_columns)]
    labels = labels_of(figure)
    beside = 1.6 if len(labels) > MOST_LABELS_BELOW else 0.0
    canvas = Canvas(figsize=(sum(widths) + beside, 3.4 * n_rows + 0.3), layout="constrained")
    canvas.suptitle(textwrap.fill(figure.title, int(LETTERS * sum(widths))), fontsize=11)
    places = canvas.subplots(n_rows, n_columns, squeeze=False, width_ratios=widths).flatten()
    handles: dict[str, Any] = {}
    for panel, axes in zip(figure.panels, places, strict=False):
        (_draw_bars if panel.kind == "bar" else _draw_lines)(axes, panel, labels, handles)
        axes.set_title(textwrap.fill(panel.title, int(LETTERS * _inches(panel))), fontsize=10)
        axes.set_xlabel(panel.x_label)
        axes.set_ylabel(panel.y_label)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in places[len(figure.panels) :]:
        axes.set_axis_off()
    if labels:
        where: Literal["outside right center", "outside lower center"]
        where = "outside right center" if beside else "outside lower center"
        fitting = int(LETTERS * sum(widths) / (max(map(len, labels)) + 6))
        columns = math.ceil(len(labels) / (14 * n_rows)) if beside else max(1, min(len(labels), fitting))
        canvas.legend(handles.values(), handles.keys(), loc=where, ncols=columns, frameon=False, fontsize=9)
    return canvas


def _draw_lines(axes: Axes, panel: Panel, labels: Sequence[str], handles: dict[str, Any]) -> None:
    for curve in panel.curves:
        index = labels.index(curve.label)
        handle = axes.errorbar(
            numbers_of(curve),
            curve.y,
            yerr=spread_of(curve),
            color=color_of(index),
            **_style(panel, curve, index),
        )
        handles.setdefault(curve.label, handle)
    if whole_numbers(panel):
        axes.locator_params(axis="x", integer=True)


def _style(panel: Panel, curve: Curve, index: int) -> dict[str, Any]:
    if panel.kind == "point":
        return POINT | {"marker": SHAPES[index % len(SHAPES)][0]}
    marker = "." if len(curve.x) <= MOST_POINTS_WITH_MARKERS else ""
    return LINE | {"linestyle": LINES[turn_of(index) % len(LINES)][0], "marker": marker}


def _draw_bars(axes: Axes, panel: Panel, labels: Sequence[str], handles: dict[str, Any]) -> None:
    words = words_of(panel)
    width = 0.8 / max(1, len(panel.curves))
    for place, curve in enumerate(panel.curves):
        index = labels.index(curve.label)
        shift = (place - (len(panel.curves) - 1) / 2) * width
        handle = axes.bar(
            [words.index(str(word)) + shift for word in curve.x],
            curve.y,
            width,
            yerr=spread_of(curve),
            color=color_of(index),
            hatch=HATCHES[turn_of(index) % len(HATCHES)],
            **BAR,
        )
        handles.setdefault(curve.label, handle)
    axes.set_xticks(range(len(words)), words)
    if crowded(words, LETTERS * _inches(panel)):
        axes.tick_params(axis="x", labelrotation=45, labelsize=8)
        for text in axes.get_xticklabels():
            text.set(horizontalalignment="right", rotation_mode="anchor")


def _inches(panel: Panel) -> float:
    words = words_of(panel) if panel.kind == "bar" else []
    return min(12.0, max(3.6, 0.34 * len(words) + 0.8, 0.16 * len(words) * len(panel.curves) + 0.8))

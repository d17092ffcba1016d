"""A report's figures as SVG and PNG files, with matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltocf.report.content import Curve, Figure, Panel
from ltocf.report.layout import (
    columns_of,
    ends_of,
    has_markers,
    labels_of,
    line_of,
    numbers_of,
    shape_of,
    spread_of,
    whole_numbers,
    words_of,
)
from ltocf.report.style import (
    LIGHT,
    LINES,
    Style,
    drawn_in,
    label_ends,
    log_ticks,
    plots_extra,
    save_figure,
    save_pair,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

LINE: dict[str, Any] = {"linewidth": 1.6, "markersize": 4, "capsize": 2, "elinewidth": 0.8}
POINT: dict[str, Any] = {"linestyle": "", "markersize": 7, "capsize": 2.5, "elinewidth": 1.2}
MAXIMUM_LABELS_AT_ENDS = 14
LETTERS = 11
"""Letters per inch, about."""
PANEL_WIDTH, PANEL_HEIGHT = 3.6, 3.4


def draw(figure: Figure, folder: Path) -> list[Path]:
    """Write ``<name>.svg``, ``<name>-dark.svg`` and ``<name>.png``; the same figure gives the same bytes.

    Raises:
        ImportError: the ``plots`` extra is not installed.
        ValueError: a ``line`` or ``point`` panel has words on its x axis.
    """
    with plots_extra():
        import matplotlib  # noqa: F401
    path = folder / f"{figure.name}.svg"
    pair = save_pair(lambda style: _picture(figure, style), path, title=figure.title, description=figure.caption)
    with drawn_in(LIGHT):
        save_figure(_picture(figure, LIGHT), path.with_suffix(".png"))
    return [*pair, path.with_suffix(".png")]


def _picture(figure: Figure, style: Style = LIGHT) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    n_columns = columns_of(figure)
    n_rows = math.ceil(len(figure.panels) / n_columns)
    labels = labels_of(figure)
    panels = [figure.panels[row * n_columns : (row + 1) * n_columns] for row in range(n_rows)]
    heights = [max(map(_height, row)) for row in panels]
    width = n_columns * PANEL_WIDTH + 0.08 * max(
        min(40, len(word)) for row in panels for word in (*words_of(row[0]), "")
    )
    without_ends = {curve.label for panel in figure.panels if not _names_ends(panel) for curve in panel.curves}
    in_legend = [label for label in labels if label in without_ends] if len(labels) > 1 else []
    canvas = Canvas(figsize=(width, sum(heights) + 0.3), layout="constrained")
    canvas.suptitle(textwrap.fill(figure.title, int(LETTERS * width)), fontsize=11)
    places = canvas.subplots(n_rows, n_columns, squeeze=False, height_ratios=heights)
    handles: dict[str, Any] = {}
    for row, axes_of_row, height in zip(panels, places, heights, strict=True):
        for place, axes in enumerate(axes_of_row):
            if place >= len(row):
                axes.set_axis_off()
                continue
            panel, neighbour = row[place], row[place - 1] if place else None
            (_draw_dots if panel.kind == "dot" else _draw_lines)(axes, panel, labels, style, handles)
            _name_axes(axes, panel, neighbour)
            if _names_ends(panel):
                named = [(label, end, _shade(style, labels, label)) for label, end in ends_of(panel).items()]
                label_ends(axes, named, height - 0.9)
    if in_legend:
        columns = max(1, min(len(in_legend), int(LETTERS * width / (max(map(len, in_legend)) + 6))))
        drawn = [handles[label] for label in in_legend]
        canvas.legend(drawn, in_legend, loc="outside lower center", ncols=columns, fontsize=9)
    return canvas


def _names_ends(panel: Panel) -> bool:
    """Whether curves are named at their ends instead of in the legend."""
    return panel.kind == "line" and len(panel.curves) <= MAXIMUM_LABELS_AT_ENDS


def _height(panel: Panel) -> float:
    return max(PANEL_HEIGHT, 1.0 + 0.26 * len(words_of(panel))) if panel.kind == "dot" else PANEL_HEIGHT


def _name_axes(axes: Axes, panel: Panel, neighbour: Panel | None) -> None:
    """Write the title and the names of the axes; words that the left neighbour shows are not repeated."""
    axes.set_title(textwrap.fill(panel.title, int(LETTERS * PANEL_WIDTH)), fontsize=10)
    if panel.kind != "dot":
        axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
        return
    axes.set_xlabel(panel.y_label)
    if neighbour is not None and neighbour.kind == "dot" and words_of(neighbour) == words_of(panel):
        axes.tick_params(axis="y", labelleft=False)
    else:
        axes.set_ylabel(panel.x_label)


def _draw_lines(axes: Axes, panel: Panel, labels: Sequence[str], style: Style, handles: dict[str, Any]) -> None:
    for curve in panel.curves:
        handle = axes.errorbar(
            numbers_of(curve),
            curve.y,
            yerr=spread_of(curve),
            color=_shade(style, labels, curve.label),
            **_line_style(panel, curve, labels.index(curve.label)),
        )
        handles.setdefault(curve.label, handle)
    if whole_numbers(panel):
        axes.locator_params(axis="x", integer=True)
    if panel.log:
        axes.set_yscale("log")
        log_ticks(axes.yaxis)


def _line_style(panel: Panel, curve: Curve, index: int) -> dict[str, Any]:
    if panel.kind == "point":
        return POINT | {"marker": shape_of(index)[0]}
    marker = "." if has_markers(curve) else ""
    return LINE | {"linestyle": LINES[line_of(index)][0], "marker": marker}


def _draw_dots(axes: Axes, panel: Panel, labels: Sequence[str], style: Style, handles: dict[str, Any]) -> None:
    words = words_of(panel)
    step = 0.5 / max(1, len(panel.curves))
    for place, curve in enumerate(panel.curves):
        shift = (place - (len(panel.curves) - 1) / 2) * step
        handle = axes.errorbar(
            curve.y,
            [words.index(str(word)) + shift for word in curve.x],
            xerr=spread_of(curve),
            color=_shade(style, labels, curve.label),
            marker=shape_of(labels.index(curve.label))[0],
            **POINT,
        )
        handles.setdefault(curve.label, handle)
    axes.set_yticks(range(len(words)), [shortened(word) for word in words])
    axes.set_ylim(max(1, len(words)) - 0.5, -0.5)
    axes.grid(axis="y", color=style.quiet, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    if panel.log:
        axes.set_xscale("log")
        log_ticks(axes.xaxis)


def _shade(style: Style, labels: Sequence[str], label: str) -> str:
    return style.shades[labels.index(label) % len(style.shades)]

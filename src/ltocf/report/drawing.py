"""A report's figures, as SVG and PNG files with matplotlib and as interactive Vega-Lite charts with altair."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ltocf.report.content import Curve, Figure, Panel
from ltocf.report.run_figures import SHADES, save_figure

if TYPE_CHECKING:
    import altair
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

PANELS_PER_ROW = 4
# Beside the colours, what tells the curves of one colour apart: matplotlib's style and the same dashes for Vega.
LINES = (("-", [1, 0]), ("--", [6, 3]), (":", [2, 2]), ("-.", [7, 2, 2, 2]))
HATCHES = ("", "////", "....", "xxxx")
LINE: dict[str, Any] = {"linewidth": 1.4, "markersize": 4, "capsize": 2, "elinewidth": 0.8}
WHISKER = {"elinewidth": 0.8, "capsize": 1.5, "ecolor": "#333333"}
BAR: dict[str, Any] = {"edgecolor": "white", "linewidth": 0, "error_kw": WHISKER}
MOST_LABELS_BELOW = 6
FEW_TICKS = 6
MOST_POINTS_WITH_MARKERS = 60
PAGE_WIDTH = 1070
LETTERS = 11
"""About so many letters to an inch."""


@contextmanager
def plots_extra() -> Iterator[None]:
    """Name the extra to install where an import inside the block fails."""
    try:
        yield
    except ImportError as error:
        raise ImportError("reports need the `plots` extra: pip install 'ltocf[plots]'") from error


def draw(figure: Figure, folder: Path) -> list[Path]:
    """Write ``<name>.svg`` and ``<name>.png``; the same figure gives the same bytes.

    Raises:
        ImportError: the ``plots`` extra is not installed.
        ValueError: a ``line`` panel has words on its x axis.
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


def chart(figure: Figure) -> dict[str, Any]:
    """The figure as a Vega-Lite specification with its data inside.

    Hovering shows a point's numbers, a click in the legend keeps one label, and line panels move and zoom.

    Raises:
        ImportError: the ``plots`` extra is not installed.
        ValueError: a ``line`` panel has words on its x axis.
    """
    with plots_extra():
        import altair
    highlight = altair.selection_point(name="highlight", fields=["label"], bind="legend")
    panels = [_interactive(figure, index, highlight) for index in range(len(figure.panels))]
    rows = altair.concat(*panels, columns=PANELS_PER_ROW, spacing=24).configure(
        background="transparent",
        font="system-ui, sans-serif",
        view=altair.ViewConfig(stroke=None),
        legend=altair.LegendConfig(orient="bottom", columns=4, labelLimit=260, symbolOpacity=1),
    )
    return dict(rows.to_dict())


def _picture(figure: Figure) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    n_columns = min(PANELS_PER_ROW, len(figure.panels))
    n_rows = math.ceil(len(figure.panels) / PANELS_PER_ROW)
    widths = [max(map(_inches, figure.panels[column::n_columns])) for column in range(n_columns)]
    labels = _labels(figure)
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
            _numbers(curve),
            curve.y,
            yerr=_spread(curve),
            color=_color(index),
            linestyle=LINES[_turn(index) % len(LINES)][0],
            marker="." if len(curve.x) <= MOST_POINTS_WITH_MARKERS else "",
            **LINE,
        )
        handles.setdefault(curve.label, handle)
    if _whole_numbers(panel):
        axes.locator_params(axis="x", integer=True)


def _draw_bars(axes: Axes, panel: Panel, labels: Sequence[str], handles: dict[str, Any]) -> None:
    words = _words(panel)
    width = 0.8 / max(1, len(panel.curves))
    for place, curve in enumerate(panel.curves):
        index = labels.index(curve.label)
        shift = (place - (len(panel.curves) - 1) / 2) * width
        handle = axes.bar(
            [words.index(str(word)) + shift for word in curve.x],
            curve.y,
            width,
            yerr=_spread(curve),
            color=_color(index),
            hatch=HATCHES[_turn(index) % len(HATCHES)],
            **BAR,
        )
        handles.setdefault(curve.label, handle)
    axes.set_xticks(range(len(words)), words)
    if _crowded(words, LETTERS * _inches(panel)):
        axes.tick_params(axis="x", labelrotation=45, labelsize=8)
        for text in axes.get_xticklabels():
            text.set(horizontalalignment="right", rotation_mode="anchor")


def _interactive(figure: Figure, index: int, highlight: altair.Parameter) -> altair.LayerChart:
    import altair

    panel = figure.panels[index]
    width = _pixels(panel, len(figure.panels))
    base = altair.Chart(altair.InlineData(values=_rows(panel))).encode(
        color=_color_channel(figure),
        opacity=altair.condition(highlight, altair.value(1.0), altair.value(0.1)),
        tooltip=_tooltip(panel),
    )
    layers = _bar_layers(base, panel, width) if panel.kind == "bar" else _line_layers(base, figure, panel)
    if any(map(_spread, panel.curves)):
        ends = layers[0].mark_rule(strokeWidth=1.2).encode(y=_y(panel, "low"), y2="high")
        layers.append(ends.encode(color=altair.value("#333333")) if panel.kind == "bar" else ends)
    # Only one layer has a name: altair gives a selection to all that have, and Vega refuses the second.
    layers[0] = layers[0].properties(name=f"panel_{index}")
    if panel.kind == "line":
        # Only with Ctrl held, or two fingers: a wheel over the chart goes on scrolling the page.
        zoom = altair.selection_interval(name=f"zoom_{index}", bind="scales", zoom="wheel![event.ctrlKey]")
        layers[0] = layers[0].add_params(zoom)
    if index == 0:
        layers[0] = layers[0].add_params(highlight)
    return altair.LayerChart(layer=layers).properties(title=panel.title, width=width, height=260)


def _line_layers(base: altair.Chart, figure: Figure, panel: Panel) -> list[altair.Chart]:
    import altair

    scale = altair.Scale(zero=False, nice=False, padding=6)
    whole = _whole_numbers(panel)
    ticks: dict[str, Any] = {"values": whole, "format": "d"} if 0 < len(whole) <= FEW_TICKS else {}
    axis = altair.Axis(grid=False, **ticks)
    x = altair.X(field="x", type="quantitative", title=panel.x_label, scale=scale, axis=axis)
    points = base.encode(x=x, y=_y(panel, "y"))
    lines = points.mark_line(strokeWidth=1.8)
    labels = _labels(figure)
    # Beside bars the legend has squares, and dashes would only fray them.
    if len(labels) > len(SHADES) and _only_lines(figure):
        dashes = altair.Scale(domain=labels, range=[LINES[_turn(k) % len(LINES)][1] for k in range(len(labels))])
        lines = lines.encode(strokeDash=altair.StrokeDash(field="label", type="nominal", title=None, scale=dashes))
    return [lines, points.mark_point(filled=True, size=28)]


def _bar_layers(base: altair.Chart, panel: Panel, width: int) -> list[altair.Chart]:
    import altair

    words = _words(panel)
    angle = -45 if _crowded(words, width / 7) else 0
    axis = altair.Axis(labelAngle=angle, labelLimit=220, labelOverlap=False)
    x = altair.X(field="x", type="nominal", title=panel.x_label, sort=words, axis=axis)
    beside = altair.XOffset(field="label", type="nominal", sort=[curve.label for curve in panel.curves])
    return [base.mark_bar().encode(x=x, y=_y(panel, "y"), xOffset=beside)]


def _color_channel(figure: Figure) -> altair.Color:
    import altair

    labels = _labels(figure)
    scale = altair.Scale(domain=labels, range=[_color(index) for index in range(len(labels))])
    symbol = altair.Legend(symbolType="stroke" if _only_lines(figure) else "square")
    return altair.Color(field="label", type="nominal", title=None, scale=scale, legend=symbol)


def _y(panel: Panel, field: str) -> altair.Y:
    import altair

    scale = altair.Scale(zero=True) if panel.kind == "bar" else altair.Scale(zero=False, nice=False, padding=8)
    return altair.Y(field=field, type="quantitative", title=panel.y_label, scale=scale)


def _tooltip(panel: Panel) -> list[altair.Tooltip]:
    import altair

    x_type: Literal["quantitative", "nominal"] = "quantitative" if panel.kind == "line" else "nominal"
    shown = [
        altair.Tooltip(field="label", type="nominal"),
        altair.Tooltip(field="x", type=x_type, title=panel.x_label or "x"),
        altair.Tooltip(field="y", type="quantitative", title=panel.y_label or "y", format=".6~g"),
    ]
    if any(map(_spread, panel.curves)):
        shown.append(altair.Tooltip(field="spread", type="quantitative", title="±", format=".6~g"))
    return shown


def _rows(panel: Panel) -> list[dict[str, Any]]:
    """One row of each point, with None where a number is not finite: JSON has no word for it, and a line breaks."""
    rows = []
    for curve in panel.curves:
        places = [str(word) for word in curve.x] if panel.kind == "bar" else _numbers(curve)
        for place, y, spread in zip(places, curve.y, _spread(curve) or [math.nan] * len(curve.y), strict=True):
            values = {"y": y, "spread": spread, "low": y - spread, "high": y + spread}
            finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
            rows.append({"label": curve.label, "x": place} | finite)
    return rows


def _spread(curve: Curve) -> list[float] | None:
    # Of one measurement the spread is 0, and there is nothing to draw.
    return curve.spread if curve.spread and any(curve.spread) else None


def _only_lines(figure: Figure) -> bool:
    return all(panel.kind == "line" for panel in figure.panels)


def _labels(figure: Figure) -> list[str]:
    return list(dict.fromkeys(curve.label for panel in figure.panels for curve in panel.curves))


def _words(panel: Panel) -> list[str]:
    return list(dict.fromkeys(str(word) for curve in panel.curves for word in curve.x))


def _numbers(curve: Curve) -> list[float]:
    words = [value for value in curve.x if isinstance(value, str)]
    if words:
        raise ValueError(f"a `line` panel has numbers on its x axis, got {words[0]!r}; words need `kind` 'bar'")
    return [float(value) for value in curve.x]


def _whole_numbers(panel: Panel) -> list[float]:
    """The values along x where all are whole: no tick belongs between two neighbours, such as 2 and 3 times."""
    values = {value for curve in panel.curves for value in _numbers(curve) if math.isfinite(value)}
    return sorted(values) if all(value == round(value) for value in values) else []


def _crowded(words: Sequence[str], room: float) -> bool:
    """Whether the words, each with the width of the longest, are more letters than there is room for."""
    return len(words) * max(map(len, words), default=0) > 0.8 * room


def _inches(panel: Panel) -> float:
    words = _words(panel) if panel.kind == "bar" else []
    return min(12.0, max(3.6, 0.34 * len(words) + 0.8, 0.16 * len(words) * len(panel.curves) + 0.8))


def _pixels(panel: Panel, n_panels: int) -> int:
    """A width with which a row of panels fills the page, a panel alone not all of it, and bars stay apart."""
    bars = len(_words(panel)) * len(panel.curves) if panel.kind == "bar" else 0
    return max(PAGE_WIDTH // min(PANELS_PER_ROW, max(n_panels, 2)) - 72 + 160 * (n_panels == 1), 12 * bars)


def _turn(index: int) -> int:
    """How often the colours were used up before this label."""
    return index // len(SHADES)


def _color(index: int) -> str:
    """The label's colour: as it is, then mixed with black, then with white."""
    shade = SHADES[index % len(SHADES)]
    towards, part = ((0, 0.0), (0, 0.45), (255, 0.45))[_turn(index) % 3]
    mixed = [round((1 - part) * int(shade[place : place + 2], 16) + part * towards) for place in (1, 3, 5)]
    return "#" + "".join(f"{value:02x}" for value in mixed)

"""A report's figures as interactive Vega-Lite charts, with altair."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from ltocf.report.content import Figure, Panel
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
from ltocf.report.run_figures import SHADES

if TYPE_CHECKING:
    import altair

FEW_TICKS = 6
PAGE_WIDTH = 1070


def chart(figure: Figure) -> dict[str, Any]:
    """The figure as a Vega-Lite specification with its data inside.

    Hovering shows a point's numbers, a click in the legend keeps one label, and panels without bars move and zoom.

    Raises:
        ImportError: the ``plots`` extra is not installed.
        ValueError: a ``line`` or ``point`` panel has words on its x axis.
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
    if any(map(spread_of, panel.curves)):
        ends = layers[0].mark_rule(strokeWidth=1.2).encode(y=_y(panel, "low"), y2="high")
        layers.append(ends.encode(color=altair.value("#333333")) if panel.kind == "bar" else ends)
    # Only one layer has a name: altair gives a selection to all that have, and Vega refuses the second.
    layers[0] = layers[0].properties(name=f"panel_{index}")
    if panel.kind != "bar":
        # Only with Ctrl held, or two fingers: a wheel over the chart goes on scrolling the page.
        zoom = altair.selection_interval(name=f"zoom_{index}", bind="scales", zoom="wheel![event.ctrlKey]")
        layers[0] = layers[0].add_params(zoom)
    if index == 0:
        layers[0] = layers[0].add_params(highlight)
    return altair.LayerChart(layer=layers).properties(title=panel.title, width=width, height=260)


def _line_layers(base: altair.Chart, figure: Figure, panel: Panel) -> list[altair.Chart]:
    import altair

    scale = altair.Scale(zero=False, nice=False, padding=6)
    whole = whole_numbers(panel)
    ticks: dict[str, Any] = {"values": whole, "format": "d"} if 0 < len(whole) <= FEW_TICKS else {}
    axis = altair.Axis(grid=False, **ticks)
    x = altair.X(field="x", type="quantitative", title=panel.x_label, scale=scale, axis=axis)
    points = base.encode(x=x, y=_y(panel, "y"))
    labels = labels_of(figure)
    if panel.kind == "point":
        shapes = altair.Scale(domain=labels, range=[SHAPES[k % len(SHAPES)][1] for k in range(len(labels))])
        shape = altair.Shape(field="label", type="nominal", title=None, scale=shapes)
        return [points.mark_point(filled=True, size=110).encode(shape=shape)]
    lines = points.mark_line(strokeWidth=1.8)
    # Beside bars the legend has squares, and dashes would only fray them.
    if len(labels) > len(SHADES) and _only_lines(figure):
        dashes = altair.Scale(domain=labels, range=[LINES[turn_of(k) % len(LINES)][1] for k in range(len(labels))])
        lines = lines.encode(strokeDash=altair.StrokeDash(field="label", type="nominal", title=None, scale=dashes))
    return [lines, points.mark_point(filled=True, size=28)]


def _bar_layers(base: altair.Chart, panel: Panel, width: int) -> list[altair.Chart]:
    import altair

    words = words_of(panel)
    angle = -45 if crowded(words, width / 7) else 0
    axis = altair.Axis(labelAngle=angle, labelLimit=220, labelOverlap=False)
    x = altair.X(field="x", type="nominal", title=panel.x_label, sort=words, axis=axis)
    beside = altair.XOffset(field="label", type="nominal", sort=[curve.label for curve in panel.curves])
    return [base.mark_bar().encode(x=x, y=_y(panel, "y"), xOffset=beside)]


def _color_channel(figure: Figure) -> altair.Color:
    import altair

    labels = labels_of(figure)
    scale = altair.Scale(domain=labels, range=[color_of(index) for index in range(len(labels))])
    if all(panel.kind == "point" for panel in figure.panels):
        symbol = altair.Legend()  # shows the shapes of the points
    else:
        symbol = altair.Legend(symbolType="stroke" if _only_lines(figure) else "square")
    return altair.Color(field="label", type="nominal", title=None, scale=scale, legend=symbol)


def _y(panel: Panel, field: str) -> altair.Y:
    import altair

    scale = altair.Scale(zero=True) if panel.kind == "bar" else altair.Scale(zero=False, nice=False, padding=8)
    return altair.Y(field=field, type="quantitative", title=panel.y_label, scale=scale)


def _tooltip(panel: Panel) -> list[altair.Tooltip]:
    import altair

    x_type: Literal["quantitative", "nominal"] = "nominal" if panel.kind == "bar" else "quantitative"
    shown = [
        altair.Tooltip(field="label", type="nominal"),
        altair.Tooltip(field="x", type=x_type, title=panel.x_label or "x"),
        altair.Tooltip(field="y", type="quantitative", title=panel.y_label or "y", format=".6~g"),
    ]
    if any(map(spread_of, panel.curves)):
        shown.append(altair.Tooltip(field="spread", type="quantitative", title="±", format=".6~g"))
    return shown


def _rows(panel: Panel) -> list[dict[str, Any]]:
    """One row of each point, with None where a number is not finite: JSON has no word for it, and a line breaks."""
    rows = []
    for curve in panel.curves:
        places = [str(word) for word in curve.x] if panel.kind == "bar" else numbers_of(curve)
        for place, y, spread in zip(places, curve.y, spread_of(curve) or [math.nan] * len(curve.y), strict=True):
            values = {"y": y, "spread": spread, "low": y - spread, "high": y + spread}
            finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
            rows.append({"label": curve.label, "x": place} | finite)
    return rows


def _only_lines(figure: Figure) -> bool:
    return all(panel.kind == "line" for panel in figure.panels)


def _pixels(panel: Panel, n_panels: int) -> int:
    """A width with which a row of panels fills the page, a panel alone not all of it, and bars stay apart."""
    bars = len(words_of(panel)) * len(panel.curves) if panel.kind == "bar" else 0
    return max(PAGE_WIDTH // min(PANELS_PER_ROW, max(n_panels, 2)) - 72 + 160 * (n_panels == 1), 12 * bars)

"""A report's figures as interactive Vega-Lite charts, with altair."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ltocf.report.content import Figure, Panel
from ltocf.report.layout import (
    columns_of,
    has_markers,
    labels_of,
    line_of,
    numbers_of,
    shape_of,
    spread_of,
    whole_numbers,
    words_of,
)
from ltocf.report.style import LINES, SHADES, plots_extra

if TYPE_CHECKING:
    import altair

Channel = TypeVar("Channel", bound="altair.X | altair.Y")
FEW_TICKS = 6
PAGE_WIDTH = 1070
LETTER_WIDTH = 6
LABEL_LIMIT = 220
"""Pixels of a label beside an axis; longer ones are cut."""


def chart(figure: Figure) -> dict[str, Any]:
    """The figure as a Vega-Lite specification with its data inside.

    Hovering shows a point's numbers, a click in the legend keeps one label, and panels without dots move and zoom.

    Raises:
        ImportError: the ``plots`` extra is not installed.
        ValueError: a ``line`` or ``point`` panel has words on its x axis.
    """
    with plots_extra():
        import altair
    highlight = altair.selection_point(name="highlight", fields=["label"], bind="legend")
    panels = [_interactive(figure, index, highlight) for index in range(len(figure.panels))]
    rows = altair.concat(*panels, columns=columns_of(figure), spacing=24).configure(
        background="transparent",
        font="system-ui, sans-serif",
        view=altair.ViewConfig(stroke=None),
        legend=altair.LegendConfig(orient="bottom", columns=4, labelLimit=260, symbolOpacity=1),
    )
    return dict(rows.to_dict())


def _interactive(figure: Figure, index: int, highlight: altair.Parameter) -> altair.LayerChart:
    import altair

    panel = figure.panels[index]
    base = altair.Chart(altair.InlineData(values=_rows(panel))).encode(
        color=_color_channel(figure),
        opacity=altair.condition(highlight, altair.value(1.0), altair.value(0.1)),
        tooltip=_tooltip(panel),
    )
    is_dots = panel.kind == "dot"
    layers = _dot_layers(base, panel, labels_of(figure)) if is_dots else _line_layers(base, figure, panel)
    if any(map(spread_of, panel.curves)):
        layers.append(_interval(layers[0], panel))
    # Only one layer gets a name: altair adds a selection to every named layer, and Vega refuses a second one.
    layers[0] = layers[0].properties(name=f"panel_{index}")
    if not is_dots:
        # Only with Ctrl held, or two fingers: otherwise a wheel over the chart still scrolls the page.
        zoom = altair.selection_interval(name=f"zoom_{index}", bind="scales", zoom="wheel![event.ctrlKey]")
        layers[0] = layers[0].add_params(zoom)
    if index == 0:
        layers[0] = layers[0].add_params(highlight)
    return altair.LayerChart(layer=layers).properties(title=panel.title, width=_pixels(figure), height=_height(panel))


def _interval(points: altair.Chart, panel: Panel) -> altair.Chart:
    """A rule from the low to the high end of each point."""
    import altair

    rule: altair.Chart = points.mark_rule(strokeWidth=1.2)
    if panel.kind == "dot":
        rule = rule.encode(x=_value_axis(panel, "low", altair.X), x2="high")
        rule.encoding.shape = altair.Undefined  # with a shape, Vega would draw the points again
    else:
        rule = rule.encode(y=_value_axis(panel, "low", altair.Y), y2="high")
    return rule


def _line_layers(base: altair.Chart, figure: Figure, panel: Panel) -> list[altair.Chart]:
    import altair

    scale = altair.Scale(zero=False, nice=False, padding=6)
    whole = whole_numbers(panel)
    ticks: dict[str, Any] = {"values": whole, "format": "d"} if 0 < len(whole) <= FEW_TICKS else {}
    axis = altair.Axis(grid=False, **ticks)
    x = altair.X(field="x", type="quantitative", title=panel.x_label, scale=scale, axis=axis)
    points = base.encode(x=x, y=_value_axis(panel, "y", altair.Y))
    labels = labels_of(figure)
    if panel.kind == "point":
        return [points.mark_point(filled=True, size=110).encode(shape=_shapes(labels))]
    lines = points.mark_line(strokeWidth=1.8)
    if _only_lines(figure):
        dashes = altair.Scale(domain=labels, range=[LINES[line_of(index)][1] for index in range(len(labels))])
        lines = lines.encode(strokeDash=altair.StrokeDash(field="label", type="nominal", title=None, scale=dashes))
    marks = points.mark_point(filled=True, size=28)
    # Without markers the points are transparent, so that hovering still finds their numbers.
    return [lines, marks if all(map(has_markers, panel.curves)) else marks.encode(opacity=altair.value(0))]


def _dot_layers(base: altair.Chart, panel: Panel, labels: list[str]) -> list[altair.Chart]:
    import altair

    words = words_of(panel)
    axis = altair.Axis(labelLimit=LABEL_LIMIT, labelOverlap=False, grid=True, domain=False, ticks=False)
    y = altair.Y(field="x", type="nominal", title=panel.x_label, sort=words, axis=axis)
    offset = altair.YOffset(field="label", type="nominal", sort=[curve.label for curve in panel.curves])
    points = base.mark_point(filled=True, size=70).encode(
        x=_value_axis(panel, "y", altair.X), y=y, shape=_shapes(labels)
    )
    return [points.encode(yOffset=offset) if len(panel.curves) > 1 else points]


def _shapes(labels: list[str]) -> altair.Shape:
    import altair

    scale = altair.Scale(domain=labels, range=[shape_of(index)[1] for index in range(len(labels))])
    return altair.Shape(field="label", type="nominal", title=None, scale=scale)


def _color_channel(figure: Figure) -> altair.Color:
    import altair

    labels = labels_of(figure)
    scale = altair.Scale(domain=labels, range=[SHADES[index % len(SHADES)] for index in range(len(labels))])
    # If there are points, the legend shows their shapes.
    legend = altair.Legend(symbolType="stroke") if _only_lines(figure) else altair.Legend()
    return altair.Color(field="label", type="nominal", title=None, scale=scale, legend=legend)


def _value_axis(panel: Panel, field: str, axis: type[Channel]) -> Channel:
    """The axis along which the values lie."""
    import altair

    # Padded for the points at its ends, which would otherwise be drawn over the words beside the axis.
    logarithmic = altair.Scale(type="log", nice=False, padding=8)
    scale = logarithmic if panel.log else altair.Scale(zero=False, nice=False, padding=8)
    return axis(field=field, type="quantitative", title=panel.y_label, scale=scale)


def _tooltip(panel: Panel) -> list[altair.Tooltip]:
    import altair

    x_type: Literal["quantitative", "nominal"] = "nominal" if panel.kind == "dot" else "quantitative"
    fields = [
        altair.Tooltip(field="label", type="nominal"),
        altair.Tooltip(field="x", type=x_type, title=panel.x_label or "x"),
        altair.Tooltip(field="y", type="quantitative", title=panel.y_label or "y", format=".6~g"),
    ]
    if any(map(spread_of, panel.curves)):
        fields.append(altair.Tooltip(field="spread", type="quantitative", title="±", format=".6~g"))
    return fields


def _rows(panel: Panel) -> list[dict[str, Any]]:
    """One row for each point, with None for a number that is not finite: JSON has no such number, and lines break."""
    rows = []
    for curve in panel.curves:
        places = [str(word) for word in curve.x] if panel.kind == "dot" else numbers_of(curve)
        for place, y, spread in zip(places, curve.y, spread_of(curve) or [math.nan] * len(curve.y), strict=True):
            values = {"y": y, "spread": spread, "low": y - spread, "high": y + spread}
            finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
            rows.append({"label": curve.label, "x": place} | finite)
    return rows


def _only_lines(figure: Figure) -> bool:
    return all(panel.kind == "line" for panel in figure.panels)


def _pixels(figure: Figure) -> int:
    """The width of a panel: a row of panels with their labels fills the page, a single panel only a part of it."""
    longest = max((len(word) for panel in figure.panels if panel.kind == "dot" for word in words_of(panel)), default=0)
    label_width = max(72, min(longest * LETTER_WIDTH, LABEL_LIMIT) + 30)
    return PAGE_WIDTH // max(columns_of(figure), 2) - label_width + 160 * (len(figure.panels) == 1)


def _height(panel: Panel) -> int:
    return max(260, 22 * len(words_of(panel))) if panel.kind == "dot" else 260

"""Pictures and charts hold the values that they are given."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from ltocf.report.charts import chart
from ltocf.report.content import Curve, Figure, Panel
from ltocf.report.drawing import _picture, draw
from ltocf.report.layout import PANELS_PER_ROW

SVG = "{http://www.w3.org/2000/svg}"
METHODS: list[float | str] = [f"method-{number}" for number in range(13)]


def lines(*curves: Curve, title: str = "lines") -> Panel:
    return Panel(title, "epoch", "recall@20", list(curves))


def dots(*curves: Curve, title: str = "dots") -> Panel:
    return Panel(title, "", "recall@20", list(curves), "dot")


def figure(*panels: Panel, name: str = "figure6") -> Figure:
    return Figure(name, "A figure", "What there is to see.", list(panels))


@pytest.fixture
def mixed() -> Figure:
    x: list[float | str] = [1.0, 2.0, 3.0]
    return figure(
        lines(Curve("first", x, [0.1, math.nan, 0.3], [0.01, 0.02, 0.03]), Curve("second", x, [0.2, 0.25, 0.125])),
        dots(Curve("first", METHODS, [k / 16 for k in range(13)], [0.01] * 13)),
    )


def rows(specification: dict[str, Any], panel: int) -> list[dict[str, Any]]:
    """The data of a panel: altair keeps it apart by name, and what all panels share at the top."""
    named = specification["concat"][panel].get("data", specification.get("data"))
    found: list[dict[str, Any]] = specification["datasets"][named["name"]]
    return found


def channels(specification: dict[str, Any], panel: int) -> list[dict[str, Any]]:
    return [layer["encoding"] for layer in specification["concat"][panel]["layer"]]


def test_the_files_are_pictures_with_every_text(mixed: Figure, tmp_path: Path) -> None:
    svg, dark, png = draw(mixed, tmp_path / "new")
    assert [svg.name, dark.name, png.name] == ["figure6.svg", "figure6-dark.svg", "figure6.png"]
    for path in (svg, dark):
        root = ElementTree.parse(path).getroot()
        assert root.tag == f"{SVG}svg"
        assert (root[0].tag, root[0].text) == (f"{SVG}title", "A figure")
        assert (root[1].tag, root[1].text) == (f"{SVG}desc", "What there is to see.")
        background = root.find(f".//{SVG}g[@id='patch_1']/{SVG}path")
        assert background is None or "fill: none" in background.attrib["style"]
    texts = [text.text for text in ElementTree.parse(svg).iter(f"{SVG}text")]
    assert {"A figure", "lines", "dots", "epoch", "recall@20", "first", "second", *map(str, METHODS)} <= set(texts)
    height, width, _ = imread(png).shape
    assert width > height > 300
    assert sorted(path.name for path in svg.parent.iterdir()) == ["figure6-dark.svg", "figure6.png", "figure6.svg"]


def test_the_same_figure_gives_the_same_bytes(mixed: Figure, tmp_path: Path) -> None:
    first, second = (draw(mixed, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert json.dumps(chart(mixed)) == json.dumps(chart(mixed))


def test_drawn_lines_have_the_values_and_the_gap(mixed: Figure) -> None:
    axes = _picture(mixed).axes[0]
    first, second = (container.lines[0] for container in axes.containers)
    np.testing.assert_array_equal(np.asarray(first.get_ydata(), float), [0.1, math.nan, 0.3])
    np.testing.assert_array_equal(second.get_xdata(), [1, 2, 3])
    (segments,) = axes.containers[0].lines[2]
    np.testing.assert_allclose(segments.get_segments()[2], [[3, 0.27], [3, 0.33]])
    assert not axes.containers[1].has_yerr


def test_dots_of_a_category_are_one_below_the_other() -> None:
    panel = dots(Curve("first", ["a", "b"], [1.0, 2.0], [0.5, 0.25]), Curve("second", ["b", "c"], [3.0, math.nan]))
    axes = _picture(figure(panel)).axes[0]
    first, second = (container.lines[0] for container in axes.containers)
    np.testing.assert_allclose(np.asarray(first.get_ydata(), float), [-0.125, 0.875])
    np.testing.assert_allclose(np.asarray(second.get_ydata(), float), [1.125, 2.125])
    assert list(np.asarray(first.get_xdata(), float)) == [1, 2]
    (segments,) = axes.containers[0].lines[2]
    np.testing.assert_allclose(segments.get_segments()[0], [[0.5, -0.125], [1.5, -0.125]])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first category is on top
    assert not axes.xaxis.get_inverted()


def test_panels_of_the_same_categories_label_them_once() -> None:
    two, other = dots(Curve("a", ["x", "y"], [1.0, 2.0])), dots(Curve("a", ["z"], [1.0]))
    shown = [axes.yaxis.get_tick_params()["labelleft"] for axes in _picture(figure(two, two, other)).axes]
    assert shown == [True, False, True]


@pytest.mark.parametrize("kind", ["dot", "line"])
def test_an_axis_may_be_logarithmic(kind: Literal["dot", "line"]) -> None:
    x: list[float | str] = ["a", "b"] if kind == "dot" else [0.0, 1.0]
    panel = Panel("", "", "seconds", [Curve("a", x, [0.01, 100.0])], kind, log=True)
    canvas = _picture(figure(panel))
    canvas.draw_without_rendering()
    axis = canvas.axes[0].xaxis if kind == "dot" else canvas.axes[0].yaxis
    assert axis.get_scale() == "log"
    assert {"0.01", "1", "100"} <= {text.get_text() for text in axis.get_ticklabels()}
    assert channels(chart(figure(panel)), 0)[0]["x" if kind == "dot" else "y"]["scale"]["type"] == "log"


def test_thirteen_labels_are_distinct_and_at_the_ends_of_their_lines() -> None:
    x: list[float | str] = [1.0, 2.0]
    many = figure(lines(*(Curve(str(name), x, [0.0, 1.0]) for name in METHODS)))
    canvas = _picture(many)
    drawn = [container.lines[0] for container in canvas.axes[0].containers]
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn}) == 13
    assert not canvas.legends
    canvas.draw_without_rendering()
    boxes = [text.get_window_extent() for text in canvas.axes[0].texts]
    assert [text.get_text() for text in canvas.axes[0].texts] == METHODS
    assert all(box.x0 >= canvas.axes[0].get_window_extent().x1 for box in boxes)
    assert not any(one.overlaps(other) for one, other in pairwise(sorted(boxes, key=lambda box: box.y0)))
    color, dash = (channels(chart(many), 0)[0][name]["scale"] for name in ("color", "strokeDash"))
    assert color["domain"] == dash["domain"] == METHODS
    assert len({(shade, tuple(dashes)) for shade, dashes in zip(color["range"], dash["range"], strict=True)}) == 13


def test_more_labels_than_fit_at_the_ends_are_in_a_legend() -> None:
    many = figure(lines(*(Curve(str(k), [1.0, 2.0], [0.0, 1.0]) for k in range(15))))
    (legend,) = _picture(many).legends
    assert [text.get_text() for text in legend.get_texts()] == [str(k) for k in range(15)]


def test_few_labels_are_in_a_legend_below_the_panels(mixed: Figure) -> None:
    canvas = _picture(mixed)
    canvas.draw_without_rendering()
    (legend,) = canvas.legends
    assert legend.get_window_extent().y1 <= min(axes.get_tightbbox().y0 for axes in canvas.axes)


def test_a_label_keeps_its_colour_in_every_panel() -> None:
    x: list[float | str] = [0.0]
    two = figure(lines(Curve("a", x, [1.0]), Curve("b", x, [1.0])), lines(Curve("b", x, [1.0])))
    first, second = _picture(two).axes
    assert first.containers[1].lines[0].get_color() == second.containers[0].lines[0].get_color()
    assert channels(chart(two), 0)[0]["color"] == channels(chart(two), 1)[0]["color"]


def test_panels_wrap_into_rows() -> None:
    six = figure(*(lines(Curve("a", [0.0, 1.0], [0.0, 1.0]), title=str(number)) for number in range(6)))
    canvas = _picture(six)
    assert [axes.get_title() for axes in canvas.axes if axes.axison] == list("012345")
    assert canvas.axes[PANELS_PER_ROW].get_subplotspec().rowspan.start == 1  # type: ignore[union-attr]
    specification = chart(six)
    assert specification["columns"] == PANELS_PER_ROW
    assert [panel["title"] for panel in specification["concat"]] == list("012345")


@pytest.mark.parametrize("label", ["$x_1 and $5", "_hidden", "<b>&</b>", "a -- b"])
def test_a_label_is_plain_text(label: str, tmp_path: Path) -> None:
    named = figure(lines(Curve(label, [0.0, 1.0], [0.0, 1.0])))
    svg = draw(named, tmp_path)[0]
    assert label in [text.text for text in ElementTree.parse(svg).iter(f"{SVG}text")]
    assert _picture(named).axes[0].texts[0].get_text() == label
    assert rows(chart(named), 0)[0]["label"] == label


def test_a_chart_has_every_number(mixed: Figure) -> None:
    specification = chart(mixed)
    first = rows(specification, 0)
    assert [(row["label"], row["x"], row["y"]) for row in first] == [
        *[("first", 1, 0.1), ("first", 2, None), ("first", 3, 0.3)],
        *[("second", 1, 0.2), ("second", 2, 0.25), ("second", 3, 0.125)],
    ]
    assert first[2]["low"] == pytest.approx(0.27)
    assert first[2]["high"] == pytest.approx(0.33)
    assert first[3]["low"] is None
    assert [(row["x"], row["y"]) for row in rows(specification, 1)] == [(f"method-{k}", k / 16) for k in range(13)]
    assert json.loads(json.dumps(specification, allow_nan=False)) == specification


def test_a_chart_can_be_hovered_highlighted_and_zoomed(mixed: Figure) -> None:
    specification = chart(mixed)
    parameters = {parameter["name"]: parameter for parameter in specification["params"]}
    assert parameters["highlight"]["bind"] == "legend"
    assert parameters["zoom_0"]["bind"] == "scales"
    # Panels of dots cannot be zoomed. Vega fails on a selection that belongs to two layers.
    assert set(parameters) == {"highlight", "zoom_0"}
    assert all(len(parameter["views"]) == 1 for parameter in parameters.values())
    for panel in range(2):
        for channel in channels(specification, panel):
            assert channel["opacity"]["condition"]["param"] == "highlight"
            assert [tooltip["field"] for tooltip in channel["tooltip"]] == ["label", "x", "y", "spread"]


def test_vega_lite_accepts_the_chart(mixed: Figure) -> None:
    import vl_convert

    svg = vl_convert.vegalite_to_svg(chart(mixed))
    assert "method-12" in svg
    # The first line has two points around its gap, the second three; then a dot for each method.
    assert svg.count('aria-roledescription="point"') == 5 + 13


@pytest.mark.parametrize(("n", "opacity"), [(60, None), (61, 0)])
def test_many_points_are_invisible_but_still_have_tooltips(n: int, opacity: int | None) -> None:
    crowded = figure(lines(Curve("a", [float(k) for k in range(n)], [0.5] * n)))
    line, points = chart(crowded)["concat"][0]["layer"]
    assert (line["mark"]["type"], points["mark"]["type"]) == ("line", "point")
    assert points["encoding"]["opacity"].get("value") == opacity or "condition" in points["encoding"]["opacity"]
    assert [tooltip["field"] for tooltip in points["encoding"]["tooltip"]] == ["label", "x", "y"]
    assert _picture(crowded).axes[0].lines[0].get_marker() == ("." if opacity is None else "")


def test_a_spread_of_zero_is_not_drawn() -> None:
    alone = figure(lines(Curve("a", [0.0, 1.0], [0.5, 0.75], [0.0, 0.0])))
    assert not _picture(alone).axes[0].containers[0].has_yerr
    assert [layer["mark"]["type"] for layer in chart(alone)["concat"][0]["layer"]] == ["line", "point"]


def test_whole_numbers_have_whole_ticks() -> None:
    axes = _picture(figure(lines(Curve("a", [1.0, 2.0], [0.0, 1.0])))).axes[0]
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_words_on_the_x_axis_of_lines_are_an_error(tmp_path: Path) -> None:
    wrong = figure(lines(Curve("a", ["one"], [1.0])))
    for make in (lambda: draw(wrong, tmp_path), lambda: chart(wrong)):
        with pytest.raises(ValueError, match="numbers on its x axis, got 'one'; words need `kind` 'dot'"):
            make()
    assert not list(tmp_path.iterdir())


def test_each_point_has_its_own_colour_and_shape() -> None:
    panel = Panel("", "novelty", "recall@20", [Curve(f"run-{k}", [k / 3], [k / 7]) for k in range(4)], "point")
    picture = _picture(figure(panel))
    drawn = [line for line in picture.axes[0].lines if line.get_marker() not in ("None", None, "")]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in drawn] == [(k / 3, k / 7) for k in range(4)]
    assert {line.get_linestyle() for line in drawn} == {"None"}
    assert len({line.get_marker() for line in drawn}) == len({line.get_color() for line in drawn}) == 4
    specification = chart(figure(panel))
    (points,) = specification["concat"][0]["layer"]
    assert points["mark"]["type"] == "point"
    scale = points["encoding"]["shape"]["scale"]
    assert scale["domain"] == [f"run-{k}" for k in range(4)]
    assert len(set(scale["range"])) == 4
    assert "symbolType" not in (points["encoding"]["color"].get("legend") or {})
    assert [(row["x"], row["y"]) for row in rows(specification, 0)] == [(k / 3, k / 7) for k in range(4)]


def test_a_panel_without_curves_is_drawn(tmp_path: Path) -> None:
    for panel in (lines(), dots()):
        assert draw(figure(panel), tmp_path)[0].exists()
        assert rows(chart(figure(panel)), 0) == []

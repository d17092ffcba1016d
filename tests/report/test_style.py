"""Colours can be told apart by colour-blind readers, and are legible on both backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure as MatplotlibFigure
from numpy.typing import NDArray

from ltocf.report.style import STYLES, Style, label_crossings, spread_out

# Machado, Oliveira and Fernandes 2009, https://doi.org/10.1109/TVCG.2009.113, severity 1, for linear RGB.
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
# Ottosson 2020, https://bottosson.github.io/posts/oklab/
TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
EYES = {"all cones": np.eye(3).tolist(), "protanopia": PROTANOPIA, "deuteranopia": DEUTERANOPIA}
MATPLOTLIB = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")
"""Colours of which colour-blind readers confuse red with green and blue with purple."""


def linear(color: str) -> NDArray[np.float64]:
    values = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(color: str, eye: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    seen = np.clip(np.asarray(eye) @ linear(color), 0, 1)
    return 100 * (np.asarray(TO_LAB) @ np.cbrt(np.asarray(TO_CONES) @ seen))


def smallest_distance(colors: Sequence[str], eye: Sequence[Sequence[float]]) -> float:
    return min(float(np.linalg.norm(oklab(one, eye) - oklab(other, eye))) for one, other in combinations(colors, 2))


def contrast(first: str, second: str) -> float:
    """The contrast of two colours, as WCAG 2.2 defines it."""
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (first, second))
    return (high + 0.05) / (low + 0.05)


def test_contrast_and_colour_distance_have_known_values() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert oklab("#ffffff", EYES["all cones"]) == pytest.approx([100, 0, 0], abs=1e-4)
    for eye in EYES.values():
        np.testing.assert_allclose(np.sum(eye, axis=1), 1, atol=1e-5)  # grey stays grey
    assert smallest_distance(MATPLOTLIB, EYES["deuteranopia"]) < 4


@pytest.mark.parametrize("style", STYLES, ids=["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_any_two_colours_can_be_told_apart(style: Style, eye: str) -> None:
    assert smallest_distance(style.shades, EYES[eye]) >= 10


@pytest.mark.parametrize("style", STYLES, ids=["light", "dark"])
def test_colours_have_enough_contrast_on_their_page(style: Style) -> None:
    pages = {"light": ["#ffffff"], "dark": [style.page, "#0d1117", "#141414"]}["dark" if style.ending else "light"]
    for page in pages:
        assert min(contrast(color, page) for color in (*style.shades, style.ink, style.quiet)) >= 4.5


def test_labels_are_moved_no_further_than_needed() -> None:
    assert spread_out([], 1.0) == []
    assert spread_out([3.0, 0.0, 1.5], 1.0) == [3.0, 0.0, 1.5]
    found = spread_out([0.0, 0.1, 0.2, 5.0], 1.0)
    assert found == pytest.approx([-0.9, 0.1, 1.1, 5.0])
    crowd = np.random.default_rng(0).uniform(0, 3, 20).tolist()
    places = spread_out(crowd, 0.5)
    assert np.argsort(places).tolist() == np.argsort(crowd).tolist()
    assert np.diff(np.sort(places)).min() >= 0.5 - 1e-9
    assert np.mean(places) == pytest.approx(np.mean(crowd))


def test_labels_of_crossing_curves_are_on_the_right_with_a_line_to_their_curve() -> None:
    axes = MatplotlibFigure(figsize=(6, 4)).subplots()
    x = np.linspace(-1, 1, 201)
    curves = {"flat": 0.9 + 0.1 * x, "steep": x**9, "line": (1 + x) / 2}
    for values in curves.values():
        axes.plot(x, values)
    label_crossings(axes, [(name, x.tolist(), values.tolist(), "#000000") for name, values in curves.items()])
    assert [name.get_text() for name in axes.texts] == ["steep", "line", "flat"]  # from the top
    levels = [name.xyann[1] for name in axes.texts]
    assert levels == sorted(levels, reverse=True)
    for name, level in zip(axes.texts, levels, strict=True):
        label_x, value = name.xy
        assert value == pytest.approx(np.interp(label_x, x, curves[name.get_text()]))
        assert value >= level
        assert label_x > 0.3
        assert name.get_text() == "flat" or value - level < 0.1

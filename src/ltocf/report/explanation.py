"""Why an item has its score, with a bar for each contribution to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ltocf.report.style import LIGHT, SHADES, drawn_in, plots_extra, save_figure, shortened
from ltocf.serving import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def panels_of(why: Explanation, n: int = 10) -> dict[str, dict[str, float]]:
    """The bars of each panel: one for each item and, if the model has several parts, a second panel with one for each.

    Args:
        why: the explanation.
        n: number of items with a bar of their own; the others share one bar.
    """
    parts = why.parts()
    panels = {"by item": why.bars(n)}
    if len(parts):
        panels["the history, by state"] = dict(zip(parts["part"], parts["contribution"], strict=True))
    return panels


def draw_explanation(why: Explanation, out: Path, n: int = 10) -> None:
    """Draw an `Explanation`; see `Explanation.draw`."""
    with plots_extra():
        from matplotlib.figure import Figure
    panels = panels_of(why, n)
    with drawn_in(LIGHT):
        height = 0.32 * max(map(len, panels.values())) + 1.3
        figure = Figure(figsize=(6.5 if len(panels) == 1 else 10.5, height), layout="constrained")
        item = shortened(str(why.item if why.title is None else why.title), 60)
        title = f"{item}, score {why.score:.3g} for user {why.user}"
        figure.suptitle(title)
        places = figure.subplots(1, len(panels), squeeze=False, width_ratios=[3, 2][: len(panels)])[0]
        for axes, (heading, bars) in zip(places, panels.items(), strict=True):
            _draw_bars(axes, heading, bars)
        save_figure(figure, out, title=title, description="What adds to the score of the item, largest first.")


def _draw_bars(axes: Axes, heading: str, bars: Mapping[str, float]) -> None:
    """Draw bars from the top down, each with its number."""
    names = [shortened(name) for name in bars]
    drawn = axes.barh(range(len(bars)), list(bars.values()), color=[SHADES[value < 0] for value in bars.values()])
    axes.set_yticks(range(len(bars)), names)
    axes.invert_yaxis()
    axes.bar_label(drawn, fmt="%.2f", padding=3, fontsize=8)
    axes.margins(x=0.15)
    axes.axvline(0, color=LIGHT.ink, linewidth=0.8)
    axes.set(title=heading, xlabel="added to the score")
    axes.spines[["top", "right", "left"]].set_visible(False)

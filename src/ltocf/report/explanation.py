"""Why an item has its score, as a bar for each thing that adds to it."""

from __future__ import annotations

from pathlib import Path

from ltocf.report.content import Curve, Figure, Panel
from ltocf.report.drawing import draw_to
from ltocf.serving import Explanation


def explanation_figure(why: Explanation, n: int = 10) -> Figure:
    """A panel with a bar for each item, and a second one with a bar for each part of the model, if it has several.

    Args:
        why: what is drawn.
        n: items shown by themselves; the others are one bar.
    """
    bars = why.bars(n)
    item = why.item if why.title is None else why.title
    curve = Curve("added to the score", list(bars), list(bars.values()))
    panels = [Panel("by item", "", "added to the score", [curve], "bar")]
    parts = why.parts()
    if len(parts):
        curve = Curve("added to the score", parts["part"].to_list(), parts["contribution"].to_list())
        panels.append(Panel("the history, by state", "", "added to the score", [curve], "bar"))
    return Figure("explanation", f"{item}, score {why.score:.3g} for user {why.user}", "", panels)


def draw_explanation(why: Explanation, out: Path, n: int = 10) -> None:
    """Draw an `Explanation`; see `Explanation.draw`."""
    draw_to(explanation_figure(why, n), out)

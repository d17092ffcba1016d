"""Draw the figures of the documentation: ``python docs/draw_figures.py``.

The response h(λ) does not depend on the graph, only on the solver, the connection, the operator and the times, so a
graph of three nodes is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ltocf import LTOCF, BipartiteGraph, Interactions
from ltocf.models import Recommender
from ltocf.report.run_figures import response_figure
from ltocf.report.style import Style, save_pair

IMAGES = Path(__file__).parent / "images"

SOLVERS: dict[str, dict[str, Any]] = {
    "Euler, linear = LightGCN": {"solver": "euler"},
    "RK4, linear": {"solver": "rk4"},
    "exact, linear": {"solver": "exact"},
    "Euler, residual": {"solver": "euler", "connection": "residual"},
    "RK4, residual": {"solver": "rk4", "connection": "residual"},
    "exact, residual": {"solver": "exact", "connection": "residual"},
}
OPERATORS: dict[str, dict[str, Any]] = {
    "adjacency, linear": {},
    "adjacency, residual": {"connection": "residual"},
    "Laplacian, linear": {"operator": "laplacian"},
    "Laplacian, residual": {"operator": "laplacian", "connection": "residual"},
}


def dashes(label: str) -> Any:
    """The line style of a case: exact nearly coincides with RK4, so it is dotted and leaves the curve below visible."""
    if label.startswith("exact"):
        return (0, (1, 3))
    return "--" if label.startswith("Euler") or label in ("adjacency, residual", "Laplacian, residual") else "-"


PICTURES = {
    "response": ("LT-OCF with three solvers and both connections", SOLVERS),
    "response-operators": ("LT-OCF with both operators and both connections", OPERATORS),
}
"""The title and the cases of each picture."""


def draw(path: Path, title: str, cases: Mapping[str, Mapping[str, Any]]) -> None:
    """One curve per case at the even times 1, 2, 3 of 4, each divided by its value at λ = 1."""
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0], [0, 1]))
    models: dict[str, Recommender] = {label: LTOCF(graph, dim=1, **options) for label, options in cases.items()}

    def figure(style: Style) -> Figure:
        drawn = response_figure(models, normalise=True, title=title, style=style)
        names = {name.get_text(): name for name in drawn.axes[0].texts}
        for line in drawn.axes[0].lines:
            label = str(line.get_label())
            line.set_linestyle(dashes(label))
            if label.startswith("exact"):
                line.set(color=style.ink, linewidth=2)
                names[label].set_color(style.ink)
                names[label].arrow_patch.set_color(style.ink)
        drawn.axes[0].axhline(0, color=style.quiet, linewidth=0.8, zorder=0)
        return drawn

    save_pair(figure, path, title=title, description=f"h(λ) / h(1) of {', '.join(cases)}.")


if __name__ == "__main__":
    for name, (title, cases) in PICTURES.items():
        draw(IMAGES / f"{name}.svg", title, cases)

"""Draw the figures of the documentation: ``python docs/draw_figures.py``.

The response h(λ) does not depend on the graph, only on the solver, the connection, the operator and the times, so a
graph of three nodes is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

from ltocf import LTOCF, BipartiteGraph, Interactions
from ltocf.report.run_figures import response_figure, save_figure

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
    "laplacian, linear": {"operator": "laplacian"},
    "laplacian, residual": {"operator": "laplacian", "connection": "residual"},
}


def draw(path: Path, cases: Mapping[str, Mapping[str, Any]]) -> None:
    """One curve per case at the even times 1, 2, 3 of 4, each divided by its value at λ = 1."""
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0], [0, 1]))
    models = {label: LTOCF(graph, dim=1, **options) for label, options in cases.items()}
    with matplotlib.rc_context({"svg.hashsalt": "ltocf"}):
        figure = response_figure(models, normalise=True)
        axes = figure.axes[0]
        for line in axes.lines:  # exact nearly coincides with RK4: dots let the curve below be seen
            if str(line.get_label()).startswith("exact"):
                line.set(linestyle=(0, (1, 3)), color="black")
        axes.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
        axes.legend(frameon=False)
        save_figure(figure, path)


if __name__ == "__main__":
    draw(IMAGES / "response.svg", SOLVERS)
    draw(IMAGES / "response-operators.svg", OPERATORS)

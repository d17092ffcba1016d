"""Draw the figure of docs/speed.md: ``python docs/draw_speed.py``.

It is drawn from counts, not from seconds: how often the solver evaluates its right-hand side, one sparse product each
time, and the degree of the equivalent filter. Neither depends on the graph, so three nodes are enough.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure

from ltocf import LTOCF, BipartiteGraph, Interactions
from ltocf.ode import LearnableTimes, Solver, states
from ltocf.report.style import LINES, Style, label_ends, save_pair

IMAGES = Path(__file__).parent / "images"
STEPS = range(1, 9)
HORIZONS = range(1, 11)
TITLE = "Sparse products per training step of LT-OCF"
PASSES = 2
"""A training step has a forward and a backward pass of as many products."""


def solver_products(horizon: int, steps_per_interval: int = 1) -> int:
    """Sparse products of a training step with RK4 on the full state, times at 1, 2, ..., horizon - 1."""
    calls = 0

    def field(state: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return state

    boundaries = LearnableTimes(horizon - 1, float(horizon)).boundaries()
    states(field, torch.ones(1, 1), boundaries, Solver("rk4", "linear", steps_per_interval))
    return PASSES * calls


def filter_products(horizon: int, steps_per_interval: int = 1) -> int:
    """Sparse products of a training step with the filter of the same solver."""
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0], [0, 1]))
    options = {"horizon": float(horizon), "n_times": horizon - 1, "steps_per_interval": steps_per_interval}
    return PASSES * (len(LTOCF(graph, dim=1, **options).coefficients()) - 1)


def figure(style: Style) -> Figure:
    """Products against solver steps per interval at K = 4, and against K at one step per unit of time."""
    canvas = Figure(figsize=(8.4, 3.7), layout="constrained")
    canvas.suptitle(TITLE, fontsize=11)
    left, right = canvas.subplots(1, 2)
    for axes, values, label in (
        (left, [(4, steps) for steps in STEPS], "solver steps per interval, K = 4, T = 3"),
        (right, [(horizon, 1) for horizon in HORIZONS], "horizon K, one step per unit, T = K − 1"),
    ):
        positions = [steps if axes is left else horizon for horizon, steps in values]
        ends = []
        for name, count, color, (line, _) in zip(
            ("RK4", "its filter"), (solver_products, filter_products), style.shades, LINES, strict=False
        ):
            products = [count(*value) for value in values]
            axes.plot(positions, products, marker="o", color=color, linestyle=line)
            ends.append((name, products[-1], color))
        axes.set_xlabel(label)
        axes.set_ylim(0)
        axes.locator_params(integer=True)
        label_ends(axes, ends, 2.6)
    left.set_ylabel("sparse products per training step")
    return canvas


def draw(path: Path) -> None:
    """Draw the picture for light pages and the one for dark pages."""
    save_pair(
        figure,
        path,
        title=TITLE,
        description="RK4 on the full state and its filter, against solver steps per interval and against the horizon.",
    )


if __name__ == "__main__":
    draw(IMAGES / "speed.svg")

"""Figures of what was learned, drawn from run folders and models (the ``plots`` extra)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ltocf.files import replacing
from ltocf.models import LTOCF
from ltocf.runs.experiment import load
from ltocf.runs.folder import PHASES, RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png", ".pdf")
SHADES = ("#1b6ca8", "#d1495b", "#2e933c", "#edae49", "#6a4c93", "#555555")


def response_figure(models: Mapping[str, LTOCF], *, normalise: bool = False) -> Figure:
    """The frequency response h(λ) of each model over the graph's eigenvalues.

    Args:
        models: label of each curve and its model.
        normalise: divide each by h(1), to compare shapes.

    Raises:
        ImportError: the ``plots`` extra is not installed.
    """
    figure = _figure(6.4, 4.0)
    axes = figure.subplots()
    eigenvalues = torch.linspace(-1, 1, 401, dtype=torch.float64)
    for (label, model), color in zip(models.items(), _cycle(len(models)), strict=True):
        response = model.response(eigenvalues).detach()
        axes.plot(eigenvalues, response / response[-1] if normalise else response, label=label, color=color)
    _label(axes, "eigenvalue λ of the normalised adjacency", "h(λ) / h(1)" if normalise else "response h(λ)")
    axes.legend(frameon=False)
    return figure


def run_figure(folder: RunFolder) -> Figure:
    """Training of one run: loss, validated metric, and for LT-OCF the times and the learned response."""
    config, history = folder.config(), folder.history()
    trained = load(folder.path).model if folder.model_file.exists() else None
    has_times = isinstance(trained, LTOCF) and len(trained.times.values) > 0
    n_panels = 4 if has_times else 2
    figure = _figure(3.6 * n_panels, 3.2)
    panels = figure.subplots(1, n_panels)
    for phase, color in zip(PHASES, SHADES, strict=False):
        rows = [row for row in history if row["phase"] == phase]
        epochs = [row["epoch"] for row in rows]
        # A search has no loss.
        panels[0].plot(epochs, [row.get("loss", math.nan) for row in rows], color=color, label=phase)
        measured = [(row["epoch"], row[config.run.select_by]) for row in rows if config.run.select_by in row]
        if measured:
            panels[1].plot(*zip(*measured, strict=True), color=color, marker=".")
        if has_times:
            _draw_times(panels[2], epochs, [row["times"] for row in rows], color)
    _label(panels[0], "epoch", "BPR loss")
    panels[0].legend(frameon=False)
    _label(panels[1], "epoch", f"{config.run.select_on} {config.run.select_by}")
    if isinstance(trained, LTOCF) and has_times:
        _label(panels[2], "epoch", "times $t_1 … t_T$")
        panels[2].set_ylim(0, trained.times.horizon)
        _draw_states(panels[3], trained)
    return figure


def draw_run(folder: str | Path, out: str | Path) -> None:
    """Write `run_figure` of a run folder to an SVG, PNG or PDF file."""
    save_figure(run_figure(RunFolder(folder)), out)


def save_figure(figure: Figure, out: str | Path) -> None:
    """Write a figure whole or not at all.

    Raises:
        ValueError: the file's ending is not one of .svg, .png, .pdf.
    """
    path = Path(out)
    if path.suffix not in FORMATS:
        raise ValueError(f"a figure's file must end in {', '.join(FORMATS)}, got {str(out)!r}")
    from matplotlib import rc_context

    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
    # A fixed salt makes the same figure the same bytes.
    with replacing(path) as temporary, rc_context({"svg.hashsalt": "ltocf"}):
        figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata)


def _draw_times(axes: Axes, epochs: Sequence[int], times: Sequence[Sequence[float]], color: str) -> None:
    for curve in zip(*times, strict=True):
        axes.plot(epochs, curve, color=color)


def _draw_states(axes: Axes, model: LTOCF) -> None:
    eigenvalues = torch.linspace(-1, 1, 401, dtype=torch.float64)
    parts = model.state_responses(eigenvalues).detach()
    boundaries = model.times.boundaries().tolist()
    axes.stackplot(
        eigenvalues, parts, labels=[f"t = {t:.2f}" for t in boundaries], colors=_cycle(len(parts)), alpha=0.7
    )
    axes.plot(eigenvalues, parts.sum(0), color="black", linewidth=1)
    _label(axes, "eigenvalue λ", "response h(λ), by state")
    axes.legend(frameon=False, loc="upper left")


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)


def _cycle(n: int) -> list[str]:
    return [SHADES[i % len(SHADES)] for i in range(n)]


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("figures need the `plots` extra: pip install 'ltocf[plots]'") from error
    return Figure(figsize=(width, height), layout="constrained")

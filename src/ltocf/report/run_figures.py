"""Figures of what was learned, drawn from run folders and models (the ``plots`` extra)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ltocf.files import replacing
from ltocf.installation import needs_extra
from ltocf.models import Recommender
from ltocf.runs.experiment import load
from ltocf.runs.folder import RunFolder
from ltocf.shapes import Eigenvalues, Response

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Mapping[str, list[dict[str, Any]]]
LOSS_LABELS = {"bpr": "BPR loss", "softmax": "softmax loss"}
FORMATS = (".svg", ".png", ".pdf")
SHADES = ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#555555")
"""Told apart by the colour-blind as well: Okabe and Ito 2008, https://jfly.uni-koeln.de/color/"""


def response_figure(models: Mapping[str, Recommender], *, normalise: bool = False) -> Figure:
    """The frequency response h(λ) of each model over the graph's eigenvalues.

    Args:
        models: label of each curve and its model, a filter of the graph such as LT-OCF.
        normalise: divide each by h(1), to compare shapes.

    Raises:
        ValueError: a model that is no filter of the graph.
        ImportError: the ``plots`` extra is not installed.
    """
    figure = _figure(6.4, 4.0)
    axes = figure.subplots()
    eigenvalues = torch.linspace(-1, 1, 401, dtype=torch.float64)
    for (label, model), color in zip(models.items(), _cycle(len(models)), strict=True):
        parts = _parts(model, eigenvalues)
        if not parts:
            raise ValueError(f"{label}: only a filter of the graph has a response, {type(model).__name__} is none")
        response = torch.stack(list(parts.values())).sum(0)
        axes.plot(eigenvalues, response / response[-1] if normalise else response, label=label, color=color)
    _label(axes, "eigenvalue λ of the normalised adjacency", "h(λ) / h(1)" if normalise else "response h(λ)")
    axes.legend(frameon=False)
    return figure


def run_figure(folder: RunFolder) -> Figure:
    """Training of one run: loss, validated metric, learned times if there are any, and for a filter its response."""
    config, history = folder.config(), folder.history()
    phases = dict.fromkeys(row["phase"] for row in history)
    by_phase = {phase: [row for row in history if row["phase"] == phase] for phase in phases}
    eigenvalues = torch.linspace(-1, 1, 401, dtype=torch.float64)
    parts = _parts(load(folder.path).model, eigenvalues) if folder.model_file.exists() else {}
    draw: list[Callable[[Axes], None]] = [
        lambda axes: _draw_loss(axes, by_phase, config.options.get("loss", "")),
        lambda axes: _draw_metric(axes, by_phase, config.run.select_by, config.run.select_on),
    ]
    if any(row.get("times") for row in history):
        draw.append(lambda axes: _draw_times(axes, by_phase))
    if parts:
        draw.append(lambda axes: _draw_states(axes, eigenvalues, parts))
    figure = _figure(3.6 * len(draw), 3.2)
    for axes, panel in zip(figure.subplots(1, len(draw)), draw, strict=True):
        panel(axes)
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


def _parts(model: Recommender, eigenvalues: Eigenvalues) -> dict[str, Response]:
    return {label: part.detach() for label, part in model.response_parts(eigenvalues).items()}


def _draw_loss(axes: Axes, by_phase: History, loss: str) -> None:
    for color, (phase, rows) in zip(SHADES, by_phase.items(), strict=False):
        # A search has no loss.
        axes.plot([row["epoch"] for row in rows], [row.get("loss", math.nan) for row in rows], color=color, label=phase)
    _label(axes, "epoch", LOSS_LABELS.get(loss, "loss"))
    axes.legend(frameon=False)


def _draw_metric(axes: Axes, by_phase: History, metric: str, truth: str) -> None:
    for color, rows in zip(SHADES, by_phase.values(), strict=False):
        measured = [(row["epoch"], row[metric]) for row in rows if metric in row]
        if measured:
            axes.plot(*zip(*measured, strict=True), color=color, marker=".")
    _label(axes, "epoch", f"{truth} {metric}")


def _draw_times(axes: Axes, by_phase: History) -> None:
    for color, rows in zip(SHADES, by_phase.values(), strict=False):
        for curve in zip(*(row["times"] for row in rows), strict=True):
            axes.plot([row["epoch"] for row in rows], curve, color=color)
    _label(axes, "epoch", "times $t_1 … t_T$")
    axes.set_ylim(bottom=0)


def _draw_states(axes: Axes, eigenvalues: Eigenvalues, parts: Mapping[str, Response]) -> None:
    axes.stackplot(eigenvalues, *parts.values(), labels=list(parts), colors=_cycle(len(parts)), alpha=0.7)
    axes.plot(eigenvalues, torch.stack(list(parts.values())).sum(0), color="black", linewidth=1)
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
        raise needs_extra("figures need", "plots") from error
    return Figure(figsize=(width, height), layout="constrained")

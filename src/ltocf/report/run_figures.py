"""Figures of training and of learned responses, drawn from run folders and models (the ``plots`` extra)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ltocf.models import Recommender
from ltocf.report.names import data_name, method_name
from ltocf.report.style import LIGHT, LINES, Style, drawn_in, label_crossings, label_ends, plots_extra, save_figure
from ltocf.runs.experiment import load
from ltocf.runs.folder import RunFolder
from ltocf.shapes import Eigenvalues, Response

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Mapping[str, list[dict[str, Any]]]
LOSS_LABELS = {"bpr": "BPR loss", "cross-entropy": "cross-entropy", "softmax": "softmax loss"}
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
FIGURES = "figures"
DESCRIPTION = "Loss, validated metric, learned times and response of the run, by epoch."
OWN_LOSSES = {"cmn": "BPR loss", "mult-vae": "negative ELBO", "pinsage": "max-margin loss", "hop-rec": "log loss"}
"""The losses of models that have only one."""


def loss_label(model: str, options: Mapping[str, Any]) -> str:
    """The name of the training loss.

    Example:
        >>> loss_label("ltocf", {"loss": "bpr"}), loss_label("mult-vae", {})
        ('BPR loss', 'negative ELBO')
    """
    return OWN_LOSSES.get(model) or LOSS_LABELS.get(str(options.get("loss")), "loss")


def response_figure(
    models: Mapping[str, Recommender],
    *,
    normalise: bool = False,
    title: str = "Response of the graph's eigenvalues",
    style: Style = LIGHT,
) -> Figure:
    """The frequency response h(λ) of each model over the graph's eigenvalues, each curve named beside it.

    Args:
        models: label of each curve -> its model, a graph filter such as LT-OCF.
        normalise: divide each curve by h(1), to compare shapes.
        title: the heading: model and data, or what the curves have in common.
        style: colours for light pages or for dark ones.

    Raises:
        ValueError: a model that is not a graph filter.
        ImportError: the ``plots`` extra is not installed.
    """
    figure = _figure(6.8, 4.0)
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots()
    eigenvalues = torch.linspace(-1, 1, 401, dtype=torch.float64)
    drawn: list[tuple[str, list[float], list[float], str]] = []
    for place, (label, model) in enumerate(models.items()):
        parts = _parts(model, eigenvalues)
        if not parts:
            raise ValueError(f"{label}: only a graph filter has a response, and {type(model).__name__} is not one")
        response = torch.stack(list(parts.values())).sum(0)
        color, line = style.shades[place % len(style.shades)], LINES[place % len(LINES)][0]
        curve = response / response[-1] if normalise else response
        axes.plot(eigenvalues, curve, label=label, color=color, linestyle=line)
        drawn.append((label, eigenvalues.tolist(), curve.tolist(), color))
    _label(axes, "eigenvalue λ of the normalised adjacency", "h(λ) / h(1)" if normalise else "response h(λ)")
    if normalise:
        label_crossings(axes, drawn)
    else:
        label_ends(axes, [(label, values[-1], color) for label, _, values, color in drawn], 3.2)
    return figure


def run_figure(folder: RunFolder, style: Style = LIGHT) -> Figure:
    """The training of one run: loss, validated metric, learned times if any, and the response of a graph filter."""
    config, history = folder.config(), folder.history()
    phases = dict.fromkeys(row["phase"] for row in history)
    by_phase = {phase: [row for row in history if row["phase"] == phase] for phase in phases}
    eigenvalues = torch.linspace(-1, 1, 401, dtype=torch.float64)
    parts = _parts(load(folder.path).model, eigenvalues) if folder.model_file.exists() else {}
    draw: list[Callable[[Axes], None]] = [
        lambda axes: _draw_loss(axes, by_phase, loss_label(config.model, config.options), style),
        lambda axes: _draw_metric(axes, by_phase, config.run.select_by, config.run.select_on, style),
    ]
    if any(row.get("times") for row in history):
        draw.append(lambda axes: _draw_times(axes, by_phase, style))
    if parts:
        draw.append(lambda axes: _draw_states(axes, eigenvalues, parts, style))
    figure = _figure(3.6 * len(draw), 3.4)
    figure.suptitle(run_title(folder), fontsize=11)
    for axes, panel in zip(figure.subplots(1, len(draw)), draw, strict=True):
        panel(axes)
    return figure


def run_title(folder: RunFolder) -> str:
    """The title of a run's figure: run, model and data."""
    config = folder.config()
    return f"{folder.path.name}: {method_name(config.model)} on {data_name(config.data.source)}"


def draw_run(folder: str | Path, out: str | Path) -> None:
    """Write `run_figure` of a run folder to an SVG, PNG or PDF file."""
    run = RunFolder(folder)
    with plots_extra(FIGURES), drawn_in(LIGHT):
        save_figure(run_figure(run), out, title=run_title(run), description=DESCRIPTION)


def _parts(model: Recommender, eigenvalues: Eigenvalues) -> dict[str, Response]:
    return {label: part.detach() for label, part in model.response_parts(eigenvalues).items()}


def _draw_loss(axes: Axes, by_phase: History, loss: str, style: Style) -> None:
    ends: list[tuple[str, float | int, str]] = []
    for (color, line), (phase, rows) in zip(_line_styles(style), by_phase.items(), strict=False):
        # A search over numbers has no loss.
        values = [row.get("loss", math.nan) for row in rows]
        axes.plot([row["epoch"] for row in rows], values, color=color, linestyle=line)
        ends += [(phase, value, color) for value in values[-1:] if math.isfinite(value)]
    _label(axes, "epoch", loss)
    label_ends(axes, ends, 2.4)


def _draw_metric(axes: Axes, by_phase: History, metric: str, truth: str, style: Style) -> None:
    for (color, line), rows in zip(_line_styles(style), by_phase.values(), strict=False):
        measured = [(row["epoch"], row[metric]) for row in rows if metric in row]
        if measured:
            axes.plot(*zip(*measured, strict=True), color=color, linestyle=line, marker=".")
    _label(axes, "epoch", f"{truth} {metric}")


def _draw_times(axes: Axes, by_phase: History, style: Style) -> None:
    ends: list[tuple[str, float | int, str]] = []
    for (color, line), rows in zip(_line_styles(style), by_phase.values(), strict=False):
        curves = list(zip(*(row["times"] for row in rows), strict=True))
        for curve in curves:
            axes.plot([row["epoch"] for row in rows], curve, color=color, linestyle=line)
        ends = [(time_name(place), curve[-1], style.ink) for place, curve in enumerate(curves, 1)] or ends
    _label(axes, "epoch", "learned times")
    axes.set_ylim(bottom=0)
    label_ends(axes, ends, 2.4)


def _draw_states(axes: Axes, eigenvalues: Eigenvalues, parts: Mapping[str, Response], style: Style) -> None:
    colors = [style.shades[place % len(style.shades)] for place in range(len(parts))]
    axes.stackplot(eigenvalues, *parts.values(), colors=colors, edgecolor=style.page)
    tops = torch.stack(list(parts.values())).cumsum(0)
    axes.plot(eigenvalues, tops[-1], color=style.ink, linewidth=1)
    _label(axes, "eigenvalue λ", "response h(λ), by state")
    middles = [(top - float(part[-1]) / 2) for top, part in zip(tops[:, -1].tolist(), parts.values(), strict=True)]
    label_ends(axes, list(zip(parts, middles, colors, strict=True)), 2.4)


def time_name(number: int) -> str:
    """The name of the learned time with a number, from 1.

    Example:
        >>> time_name(1), time_name(12)
        ('t₁', 't₁₂')
    """
    return "t" + str(number).translate(SUBSCRIPTS)


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    if x == "epoch":
        axes.locator_params(axis="x", integer=True)


def _line_styles(style: Style) -> list[tuple[str, Any]]:
    """Colour and line style of each phase, in order."""
    return [(shade, LINES[place % len(LINES)][0]) for place, shade in enumerate(style.shades)]


def _figure(width: float, height: float) -> Figure:
    with plots_extra(FIGURES):
        from matplotlib.figure import Figure
    return Figure(figsize=(width, height), layout="constrained")

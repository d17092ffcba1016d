"""Figures of a run: their curves have the numbers of the run and of its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, NGCF, LightGCN
from ltocf.report.run_figures import draw_run, response_figure, run_figure, save_figure
from ltocf.runs.experiment import train
from ltocf.runs.folder import RunFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plots") / "run"
    train("movielens-small", path, preset="paper", dim=4, epochs=2, validate_every=1, threads=1)
    return path


def test_the_response_curve_is_the_polynomial_of_the_model(graph: BipartiteGraph) -> None:
    model = LTOCF(graph, dim=1, solver="euler", n_times=2, horizon=3.0)
    (line,) = response_figure({"euler": model}).axes[0].lines
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    np.testing.assert_allclose(y, (1 + x + x**2 + x**3) / 4, atol=1e-12)
    normalised = response_figure({"euler": model}, normalise=True).axes[0].lines[0]
    assert np.asarray(normalised.get_ydata())[-1] == 1


def test_the_figure_of_a_run_has_loss_metric_times_and_states(folder: Path) -> None:
    figure = run_figure(RunFolder(folder))
    loss, metric, times, states = figure.axes
    history = RunFolder(folder).history()
    assert list(loss.lines[0].get_ydata()) == [row["loss"] for row in history if row["phase"] == "selection"]
    assert list(metric.lines[0].get_ydata()) == [row["recall@20"] for row in history if "recall@20" in row]
    assert len(times.lines) == 6
    assert len(states.collections) == 5


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_files_of_each_format_are_written(folder: Path, tmp_path: Path, suffix: str) -> None:
    draw_run(folder, tmp_path / f"figure.{suffix}")
    assert (tmp_path / f"figure.{suffix}").stat().st_size > 5000
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unknown_ending_is_an_error(tmp_path: Path, graph: BipartiteGraph) -> None:
    figure = response_figure({"rk4": LTOCF(graph, dim=1)})
    with pytest.raises(ValueError, match=r"must end in \.svg, \.png, \.pdf"):
        save_figure(figure, tmp_path / "figure.gif")
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("model", "options", "labels"),
    [
        ("mf", {"loss": "softmax", "n_negatives": 8}, ["softmax loss", "validation recall@5"]),
        ("hop-rec", {}, ["log loss", "validation recall@5"]),
        ("lightgcn", {}, ["BPR loss", "validation recall@5", "response h(λ), by state"]),
    ],
)
def test_panels_have_labelled_axes(model: str, options: dict[str, Any], labels: list[str], tmp_path: Path) -> None:
    log = Path(__file__).parents[1] / "runs" / "earlier_version" / "log.csv"
    settings = {"epochs": 2, "dim": 2, "select_by": "recall@5", "validate_every": 1, "threads": 1, **options}
    train(log, tmp_path / "run", model=model, preset="paper", **settings)
    figure = run_figure(RunFolder(tmp_path / "run"))
    assert [axes.get_ylabel() for axes in figure.axes] == labels


def test_only_a_graph_filter_has_a_response(graph: BipartiteGraph) -> None:
    with pytest.raises(ValueError, match="neighbours: only a graph filter has a response, and NGCF is not one"):
        response_figure({"neighbours": NGCF(graph, dim=2)})
    figure = response_figure({"layers": LightGCN(graph, dim=2, n_layers=2)})
    curve = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(curve[:, 1], (1 + curve[:, 0] + curve[:, 0] ** 2) / 3, atol=1e-12)

"""Figures 6 to 12 and Table 1 show the planted results and the closed forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ltocf.ode import CONNECTIONS, SOLVERS
from ltocf.report.content import Curve, Panel, Table
from ltocf.report.names import solver_name
from ltocf.reproduce.cells import Cell, Places, make_cells
from ltocf.reproduce.figures import ablation, connections, curves_of_training, seconds
from reproduce_fixtures import plant


def planted(places: Places, name: str, recall: Sequence[float], seed: int = 0, **more: Any) -> Cell:
    """A cell with these values of its test users; its NDCG is half of them."""
    cell = make_cells("log.csv", [name], [seed], places)[0]
    return plant(replace(cell, split={"digest": "one"}), recall, [value / 2 for value in recall], **more)


def test_the_figure_of_solvers_has_a_dot_and_a_spread_for_each(places: Places) -> None:
    names = {"solver/euler": "solver/euler", "solver/rk4": "ltocf", "solver/dopri5": "solver/dopri5"}
    cells = [
        planted(places, "ltocf", [0.5], times=[1.234, 2.0], selected={"epoch": 7}),
        planted(places, "ltocf", [0.25], seed=11, times=[9.0, 9.0], selected={"epoch": 9}),
        planted(places, "solver/euler", [0.125], seed=2, times=[]),
        planted(places, "mf", [1.0], seed=5),
    ]
    figure, table, values = ablation("figure9", names, cells)
    deviation = math.sqrt(2) / 8
    assert (figure.name, figure.title) == ("figure9-log", "Solvers of LT-OCF's ODE: log")
    # The seeds of the drawn cells, sorted as text.
    assert figure.caption == "log, test set. Seeds: 0, 11, 2; mean ± standard deviation."
    assert [(panel.title, panel.x_label, panel.y_label, panel.kind) for panel in figure.panels] == [
        ("", "solver", "recall@20", "dot"),
        ("", "solver", "NDCG@20", "dot"),
    ]
    for panel, factor in zip(figure.panels, (1.0, 0.5), strict=True):
        (curve,) = panel.curves
        assert (curve.label, curve.x) == ("LT-OCF", ["RK4", "Euler"])  # the best first
        assert curve.y == [0.375 * factor, 0.125 * factor]
        assert curve.spread == [pytest.approx(deviation * factor), 0.0]
    assert table == Table(
        "On the test set: log",
        ["variant", "recall@20", "NDCG@20", "times", "epochs"],
        [
            ["euler", "0.1250", "0.0625", "", "1"],
            ["rk4", "0.3750 ± 0.1768", "0.1875 ± 0.0884", "1.23, 2.00", "7, 9"],
        ],
    )
    assert values == {
        "recall@20": {"solver/euler": [0.125], "solver/rk4": [0.5, 0.25]},
        "ndcg@20": {"solver/euler": [0.0625], "solver/rk4": [0.25, 0.125]},
    }


def test_the_figure_of_times_has_a_line_for_fixed_and_one_for_learned_times(places: Places) -> None:
    names = {name: name for name in ("times/fixed-1", "times/fixed-2", "times/learned-2", "times/learned-1")}
    cells = [planted(places, name, [(number + 1) / 8]) for number, name in enumerate(names)]
    figure, table, _ = ablation("figure10", names, cells)
    assert figure.panels[0] == Panel(
        "",
        "number of times T",
        "recall@20",
        [
            Curve("fixed times", [1.0, 2.0], [0.125, 0.25], [0.0, 0.0]),
            Curve("learned times", [2.0, 1.0], [0.375, 0.5], [0.0, 0.0]),
        ],
        "line",
    )
    assert [row[0] for row in table.rows] == ["fixed, T = 1", "fixed, T = 2", "learned, T = 2", "learned, T = 1"]
    assert figure.title == "Number of times of LT-OCF, fixed and learned: log"


def test_the_figure_of_horizons_is_one_line(places: Places) -> None:
    names = {"horizon/2": "horizon/2", "horizon/4": "ltocf"}
    figure, table, _ = ablation("figure11", names, [planted(places, name, [0.5]) for name in names.values()])
    assert figure.panels[1] == Panel(
        "", "horizon K", "NDCG@20", [Curve("LT-OCF", [2.0, 4.0], [0.25, 0.25], [0.0, 0.0])], "line"
    )
    assert [row[0] for row in table.rows] == ["K = 2", "K = 4"]


def test_seconds_are_means_over_seeds_and_those_of_an_epoch_over_all_epochs(places: Places) -> None:
    fits = [
        {"selection": {"epochs": 3, "seconds": 6.0}, "retraining": {"epochs": 2, "seconds": 5.0}},
        {"selection": {"epochs": 5, "seconds": 9.0}},
    ]
    cells = [
        planted(places, "mf", [0.5], fits=fits[0], seconds=11.0, ranking_seconds=0.25),
        planted(places, "mf", [0.5], seed=1, fits=fits[1], seconds=9.0, ranking_seconds=0.75),
        planted(places, "ltocf", [0.5], fits={}, seconds=1.0, ranking_seconds=2.0),
    ]
    figure, rows = seconds(cells)
    assert rows == {
        "MF": {"seconds per epoch": 2.0, "seconds of training": 10.0, "seconds of ranking": 0.5},
        "LT-OCF": {"seconds per epoch": 0.0, "seconds of training": 1.0, "seconds of ranking": 2.0},
    }
    shown = {panel.y_label: panel for panel in figure.panels}
    assert list(shown) == ["seconds per epoch", "seconds of training", "seconds of ranking"]
    assert {(panel.kind, panel.log) for panel in figure.panels} == {("dot", True)}
    # The fastest to train first; zero seconds cannot be drawn on a logarithmic axis.
    assert {tuple(curve.x) for panel in figure.panels for curve in panel.curves} == {("LT-OCF", "MF")}
    assert shown["seconds of training"].curves[0].y == [1.0, 10.0]
    assert shown["seconds of ranking"].curves[0].y == [2.0, 0.5]
    none, two = shown["seconds per epoch"].curves[0].y
    assert (math.isnan(none), two) == (True, 2.0)
    assert (figure.name, figure.title) == ("figure12-log", "Time of training and of ranking: log")
    assert figure.caption == (
        "log, logarithmic axes. Training: selection and retraining, validations included. Ranking: all test users."
    )


def test_curves_are_of_the_first_seed_of_each_method(places: Places) -> None:
    cells = [planted(places, "mf", [0.5], seed=4), planted(places, "mf", [0.5], seed=2)]
    for cell, loss in zip(cells, (0.5, 0.25), strict=True):
        row = f'{{"phase": "selection", "epoch": 1, "loss": {loss}, "times": []}}\n'
        cell.file(".jsonl").write_text(row)
    figure = curves_of_training("figure6", cells)
    assert figure.panels == [Panel("", "epoch", "BPR loss", [Curve("MF", [1.0], [0.5])])]
    assert figure.caption == "log, seed 4. The phase that selects the epoch on the validation set."


def test_a_run_that_ended_before_its_first_epoch_has_no_curve(places: Places) -> None:
    cell = planted(places, "ltocf", [0.5])
    cell.file(".jsonl").write_text("")
    assert curves_of_training("figure6", [cell]).panels == [Panel("", "epoch", "BPR loss", [Curve("LT-OCF", [], [])])]


STEP = {"euler": [1, 1], "rk4": [1, 1, 1 / 2, 1 / 6, 1 / 24]}
"""Taylor coefficients of one step of length 1."""


def polynomial(coefficients: Sequence[float], x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.polynomial.Polynomial(coefficients)(x)


def test_a_response_is_the_mean_of_the_states_at_the_times() -> None:
    """Each stretch is 1 long: after k of them the state is the polynomial of one step to the power k."""
    figure, _, values = connections()
    x = np.linspace(-1, 1, 101)
    for solver, coefficients in STEP.items():
        expected = sum(polynomial(coefficients, x) ** power for power in range(5)) / 5
        np.testing.assert_allclose(values[f"{solver}, residual"], expected, rtol=1e-12)
    exact = sum(np.exp(power * x) for power in range(5)) / 5
    np.testing.assert_allclose(values["exact, residual"], exact, rtol=1e-12)
    assert list(values) == [f"{solver}, {connection}" for connection in CONNECTIONS for solver in SOLVERS]
    assert (figure.name, figure.title) == ("table1", "What each solver connects")
    assert figure.caption == "K = 4, T = 3 times at their start, so each stretch is 1 long."
    for index, connection in enumerate(CONNECTIONS):
        response, distance = figure.panels[2 * index : 2 * index + 2]
        exact = np.array(values[f"exact, {connection}"])
        assert (response.title, response.y_label) == (f"{connection} connection: exact", "response h(λ)")
        assert [(curve.label, curve.y) for curve in response.curves] == [("exact", exact.tolist())]
        assert (distance.title, distance.log) == (f"{connection} connection: distance to exact", True)
        others = [solver for solver in SOLVERS if solver != "exact"]
        assert [curve.label for curve in distance.curves] == [solver_name(solver) for solver in others]
        for solver, curve in zip(others, distance.curves, strict=True):
            errors = np.abs(np.array(values[f"{solver}, {connection}"]) - exact)
            assert curve.x == [round(value, 2) for value in x.tolist()]
            np.testing.assert_array_equal(curve.y, np.where(errors > 1e-12, errors, np.nan))


def test_table_1_has_one_stretch_of_each_solver() -> None:
    _, table, _ = connections()
    assert (table.title, table.columns) == (
        "One stretch",
        ["solver", "steps in a stretch", "solution at its end, start 1"],
    )
    assert table.caption == "K = 4, T = 3 times at their start, so each stretch is 1 long."
    steps = {row[0]: row[1] for row in table.rows}
    assert steps == {solver: "3" if solver.startswith("adams") else "1" for solver in SOLVERS}
    polynomials = {row[0]: row[2] for row in table.rows}
    series = "1 + λ + 0.5λ^2 + 0.167λ^3 + 0.0417λ^4 + 0.00833λ^5 + 0.00139λ^6"
    assert polynomials["exact"] == series
    assert polynomials["dopri5"].startswith("1 + λ + 0.5λ^2 + 0.167λ^3 + 0.0417λ^4 + 0.00833λ^5 + ")


def test_the_length_of_a_stretch_is_in_its_polynomial() -> None:
    figure, table, values = connections(horizon=1.0, n_times=1)
    assert table.caption == figure.caption == "K = 1, T = 1 times at their start, so each stretch is 0.5 long."
    polynomials = {row[0]: row[2] for row in table.rows}
    assert polynomials["euler"] == "1 + 0.5λ"
    assert polynomials["rk4"] == "1 + 0.5λ + 0.125λ^2 + 0.0208λ^3 + 0.0026λ^4"
    x = np.linspace(-1, 1, 101)
    expected = (1 + polynomial([1, 0.5], x) + polynomial([1, 0.5], x) ** 2) / 3
    np.testing.assert_allclose(values["euler, residual"], expected, rtol=1e-12)

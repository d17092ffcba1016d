"""Figures 6 to 12 and Table 1 of the paper, from finished cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from statistics import mean, stdev
from typing import Any, cast

import numpy as np
import torch

from ltocf.ode import CONNECTIONS, SOLVERS, LearnableTimes, MeanResponse, Solver
from ltocf.ode.solvers import Connection, SolverName
from ltocf.report.content import Curve, Figure, Panel, Table
from ltocf.report.names import data_name, solver_name
from ltocf.report.run_figures import loss_label, time_name
from ltocf.reproduce.cells import Cell
from ltocf.reproduce.table3 import METRICS, by_name, row_label

HISTORY = {"figure6": ("loss", "loss"), "figure7": ("recall@20", "recall@20"), "figure8": ("ndcg@20", "NDCG@20")}
"""Figure -> the value of the history that it draws, and the name of its axis."""
EXACT = "exact"
"""The solver with which the others are compared."""
MEAN = "mean over seeds"
ROUNDING = 1e-12
"""Differences of this size are rounding errors."""
AXES = {"figure9": "solver", "figure10": "number of times T", "figure11": "horizon K"}
TITLES = {
    "figure6": "Training loss of LightGCN and LT-OCF",
    "figure7": "Recall of LightGCN and LT-OCF while training",
    "figure8": "NDCG of LightGCN and LT-OCF while training",
    "figure9": "Solvers of LT-OCF's ODE",
    "figure10": "Number of times of LT-OCF, fixed and learned",
    "figure11": "The horizon of LT-OCF",
    "figure12": "Time of training and of ranking",
    "table1": "What each solver connects",
}


def curves_of_training(what: str, cells: Sequence[Cell]) -> Figure:
    """Loss or metric of LT-OCF and LightGCN by epoch, and LT-OCF's times, in the phase that selects the epoch."""
    key, label = HISTORY[what]
    drawn, times = [], []
    for name, group in by_name(cells).items():
        rows = group[0].history()
        known = [row for row in rows if key in row]
        drawn.append(Curve(row_label(name), [float(row["epoch"]) for row in known], [row[key] for row in known]))
        if rows and rows[0]["times"]:
            epochs: list[float | str] = [float(row["epoch"]) for row in rows]
            for index, values in enumerate(zip(*(row["times"] for row in rows), strict=True), start=1):
                times.append(Curve(time_name(index), epochs, list(values)))
    on = {"validation": "the validation set", "test": "the test set"}[cells[0].config.run.select_on]
    config = cells[0].config
    named = loss_label(config.model, config.options) if key == "loss" else f"{label} on {on}"
    panels = [Panel("", "epoch", named, drawn)]
    panels += [Panel("", "epoch", "learned times", times)] if times else []
    caption = f"{data_name(cells[0].dataset)}, seed {cells[0].seed}. The phase that selects the epoch on {on}."
    return Figure(f"{what}-{cells[0].dataset}", _title(what, cells), caption, panels)


def ablation(what: str, names: Mapping[str, str], cells: Sequence[Cell]) -> tuple[Figure, Table, dict[str, Any]]:
    """Test metrics of variants of LT-OCF. ``names`` maps each variant to the name of its cell."""
    groups = by_name(cells)
    finished = {variant: groups[name] for variant, name in names.items() if name in groups}
    values = {
        metric: {variant: [cell.metrics()[metric] for cell in group] for variant, group in finished.items()}
        for metric in METRICS
    }
    if what == "figure9":  # the best first
        order = sorted(finished, key=lambda variant: -mean(values["recall@20"][variant]))
        drawn = {metric: {variant: by[variant] for variant in order} for metric, by in values.items()}
    else:
        drawn = values
    panels = [
        Panel("", AXES[what], label, _variant_curves(drawn[metric]), "dot" if what == "figure9" else "line")
        for metric, label in METRICS.items()
    ]
    rows = [
        [
            _variant_label(variant),
            *(_spread(values[metric][variant]) for metric in METRICS),
            _times(group),
            ", ".join(str(cell.metrics()["selected"]["epoch"]) for cell in group),
        ]
        for variant, group in finished.items()
    ]
    table = Table(
        f"On the test set: {data_name(cells[0].dataset)}", ["variant", *METRICS.values(), "times", "epochs"], rows
    )
    seeds = sorted({str(cell.seed) for group in finished.values() for cell in group})
    caption = f"{data_name(cells[0].dataset)}, test set. Seeds: {', '.join(seeds)}; mean ± standard deviation."
    return Figure(f"{what}-{cells[0].dataset}", _title(what, cells), caption, panels), table, values


def seconds(cells: Sequence[Cell]) -> tuple[Figure, dict[str, Any]]:
    """Figure 12: seconds of an epoch, of the whole training, and of ranking all test users, by method."""
    rows: dict[str, dict[str, float]] = {}
    for name, group in by_name(cells).items():
        measured = [cell.metrics() for cell in group]
        fits = [fit for metrics in measured for fit in metrics["fits"].values()]
        rows[row_label(name)] = {
            "seconds per epoch": sum(fit["seconds"] for fit in fits) / max(1, sum(fit["epochs"] for fit in fits)),
            "seconds of training": mean(metrics["seconds"] for metrics in measured),
            "seconds of ranking": mean(metrics["ranking_seconds"] for metrics in measured),
        }
    order = sorted(rows, key=lambda label: rows[label]["seconds of training"])
    labels: list[float | str] = list(order)
    # Closed forms have 0 seconds per epoch, which a logarithmic axis cannot show.
    panels = [
        Panel("", "", quantity, [Curve(MEAN, labels, [rows[name][quantity] or nan for name in order])], "dot", True)
        for quantity in ("seconds per epoch", "seconds of training", "seconds of ranking")
    ]
    caption = (
        f"{data_name(cells[0].dataset)}, logarithmic axes. Training: selection and retraining, validations included. "
        "Ranking: all test users."
    )
    return Figure(f"figure12-{cells[0].dataset}", _title("figure12", cells), caption, panels), rows


def _title(what: str, cells: Sequence[Cell]) -> str:
    """The title with the name of the data set."""
    return f"{TITLES[what]}: {data_name(cells[0].dataset)}"


def connections(horizon: float = 4.0, n_times: int = 3) -> tuple[Figure, Table, dict[str, Any]]:
    """Table 1: the response h(λ) of every solver with either connection, and one stretch of each as a polynomial in λ.

    The paper's linear, residual and dense connections describe what one step does to the state: 1 + λ adds a layer's
    input to its output, and 1 + λ + λ²/2 + ... adds those of all layers before.
    """
    eigenvalues = torch.linspace(-1, 1, 101, dtype=torch.float64)
    x: list[float | str] = [round(float(value), 2) for value in eigenvalues]
    panels: list[Panel] = []
    values: dict[str, list[float]] = {}
    for connection in CONNECTIONS:
        responses = {
            solver: _response(solver, connection, horizon, n_times)(eigenvalues).detach().tolist() for solver in SOLVERS
        }
        values |= {f"{solver}, {connection}": response for solver, response in responses.items()}
        panels += _connection_panels(connection, x, responses)
    rows = [[solver, str(_steps(solver)), _polynomial(solver, horizon / (n_times + 1))] for solver in SOLVERS]
    caption = (
        f"K = {horizon:g}, T = {n_times} times at their start, so each stretch is {horizon / (n_times + 1):g} long."
    )
    table = Table("One stretch", ["solver", "steps in a stretch", "solution at its end, start 1"], rows, caption)
    return Figure("table1", TITLES["table1"], caption, panels), table, values


def _connection_panels(connection: str, x: list[float | str], responses: Mapping[str, list[float]]) -> list[Panel]:
    """The response of the exact solution, and the distances of the other responses from it."""
    true = responses[EXACT]
    distances = {
        solver: [abs(value - exact) for value, exact in zip(response, true, strict=True)]
        for solver, response in responses.items()
        if solver != EXACT
    }
    curves = [
        Curve(solver_name(solver), x, [value if value > ROUNDING else nan for value in values])
        for solver, values in distances.items()
    ]
    title, axis = f"{connection} connection", "eigenvalue λ"
    return [
        Panel(f"{title}: {EXACT}", axis, "response h(λ)", [Curve(EXACT, x, true)]),
        Panel(f"{title}: distance to {EXACT}", axis, "|h(λ) − exact h(λ)|", curves, log=True),
    ]


def _steps(solver: str) -> int:
    # With fewer than three steps Adams methods are RK4.
    return 3 if solver.startswith("adams") else 1


def _response(solver: str, connection: str, horizon: float, n_times: int) -> MeanResponse:
    stepped = Solver(cast(SolverName, solver), cast(Connection, connection), _steps(solver))
    return MeanResponse(stepped, LearnableTimes(n_times, horizon))


def _polynomial(solver: str, length: float) -> str:
    """The solution after one stretch as Σ c_k λ^k, fitted at Chebyshev points, without terms under 0.0005."""
    response = _response(solver, "residual", length, 0)
    nodes = torch.from_numpy(np.polynomial.chebyshev.chebpts1(25))
    # The response is the mean of two states: the start, which is 1, and the end.
    end = 2 * response(nodes).detach().numpy() - 1
    coefficients = np.polynomial.Chebyshev.fit(nodes.numpy(), end, 12, domain=[-1, 1]).convert(
        kind=np.polynomial.Polynomial
    )
    terms = [
        ("" if power and round(c, 3) == 1 else f"{c:.3g}") + ("" if power == 0 else "λ" if power == 1 else f"λ^{power}")
        for power, c in enumerate(coefficients.coef.tolist())
        if abs(c) >= 5e-4
    ]
    return " + ".join(terms)


def _variant_curves(values: Mapping[str, Sequence[float]]) -> list[Curve]:
    """One curve for each kind of variant; ``times/learned-2`` is of kind learned, at x = 2."""
    kinds: dict[str, list[tuple[float | str, Sequence[float]]]] = {}
    for variant, measured in values.items():
        kind, _, number = variant.partition("/")[2].rpartition("-")
        x: float | str = float(number) if number.isdigit() else solver_name(number)
        kinds.setdefault(f"{kind} times" if kind else "LT-OCF", []).append((x, measured))
    return [
        Curve(kind, [x for x, _ in points], [mean(v) for _, v in points], [_deviation(v) for _, v in points])
        for kind, points in kinds.items()
    ]


def _variant_label(variant: str) -> str:
    group, _, name = variant.partition("/")
    return name.replace("-", ", T = ") if group == "times" else f"K = {name}" if group == "horizon" else name


def _times(group: Sequence[Cell]) -> str:
    return ", ".join(f"{time:.2f}" for time in group[0].metrics()["times"])


def _deviation(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")

"""The page about the model: what it learned, how it was trained, and what it is worth beside the most popular items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ltocf.evaluation.evaluate import evaluate
from ltocf.models import Popularity, Recommender
from ltocf.report.comparison import label, shown
from ltocf.report.run_figures import loss_label
from ltocf.runs.folder import RunFolder
from ltocf.service.pages.charts import Chart, Series, line_chart
from ltocf.service.pages.scale import N_COLORS
from ltocf.serving import Snapshot

ACCURACY = ("recall", "ndcg", "precision", "hit_rate", "mrr", "map")
N_EIGENVALUES = 161
PHASE_COLORS = (1, 0, *range(2, N_COLORS))


@dataclass(frozen=True)
class MetricRow:
    """One metric of the run and of the most popular items, as text, and in percent of the larger of the two."""

    name: str
    value: str
    popular: str
    value_percent: float
    popular_percent: float


@dataclass(frozen=True)
class TimeMark:
    """A time at which the solution is read, and its place on the strip in percent."""

    name: str
    text: str
    place: float
    learned: bool


@dataclass(frozen=True)
class ModelView:
    """Everything that the page about a model shows.

    Args:
        facts: names and values, in order.
        response: h(λ), whole and by state, or None if the model is not a filter of the graph.
        times: when the ODE's solution is read, first and last time included; or none.
        learned: all learned numbers.
        curves: charts of the training.
        depth: length of the lists that were measured, 0 if nothing was held back.
        metrics: accuracy on the test set.
        coverage: share of the catalogue that is in somebody's list, of the run and of the most popular items.
        n_covered: the number of items in somebody's list.
        n_items: the size of the catalogue.
        note: the protocol of the measurement.
    """

    facts: tuple[tuple[str, str], ...]
    response: Chart | None
    times: tuple[TimeMark, ...]
    learned: tuple[tuple[str, str], ...]
    curves: tuple[Chart, ...]
    depth: int
    metrics: tuple[MetricRow, ...]
    coverage: MetricRow | None
    n_covered: int
    n_items: int
    note: str


@dataclass(frozen=True)
class RunNumbers:
    """The numbers of a run folder, read once for each generation: the folder of a model does not change.

    Args:
        metrics: the metrics of the run, empty for a folder without any.
        history: the epochs of the run.
        popular: the same metrics of the most popular items, empty if nothing was held back.
        configuration: the settings of the run, by table.
    """

    metrics: Mapping[str, Any]
    history: list[dict[str, Any]]
    popular: Mapping[str, float]
    configuration: Mapping[str, Mapping[str, Any]]


def run_numbers(path: Path) -> RunNumbers:
    """Read a run folder, and measure the most popular items on its test set as the run was measured."""
    if not (path / "config.toml").exists():
        return RunNumbers({}, [], {}, {})
    folder = RunFolder(path)
    metrics = folder.metrics() if folder.metrics_file.exists() else {}
    depth, popular = depth_of(metrics), {}
    if depth and folder.data_file.exists():
        split = folder.read_data().split
        seen = split.train if split.validation is None else split.train.union(split.validation)
        popular = evaluate(Popularity(seen), split.test, seen=seen, ks=(depth,))
    return RunNumbers(metrics, folder.history(), popular, folder.config().tables())


def depth_of(metrics: Mapping[str, Any]) -> int:
    """The largest depth that was measured, 0 if there is none."""
    return max((int(name.partition("@")[2]) for name in metrics if name.startswith("recall@")), default=0)


def model_view(snapshot: Snapshot, numbers: RunNumbers) -> ModelView:
    """What the page shows about a model and its run."""
    metrics, depth = numbers.metrics, depth_of(numbers.metrics)
    parts = _response_parts(snapshot.model)
    learned = snapshot.model.learned()
    times = {name: value for name, value in learned.items() if name.startswith("t_")}
    n_items = snapshot.histories.n_items
    measured = bool(depth and numbers.popular)
    return ModelView(
        facts=_facts(snapshot, metrics),
        response=_response_chart(parts) if parts else None,
        times=_time_marks(times, numbers.configuration.get("model", {}).get("horizon")) if parts else (),
        learned=tuple((_readable(name), f"{value:.4g}") for name, value in learned.items()),
        curves=_curves(numbers),
        depth=depth if measured else 0,
        metrics=tuple(_row(f"{name}@{depth}", numbers) for name in ACCURACY) if measured else (),
        coverage=_row(f"coverage@{depth}", numbers) if measured else None,
        n_covered=round(float(metrics.get(f"coverage@{depth}", 0.0)) * n_items),
        n_items=n_items,
        note=str(metrics.get("protocol", "")),
    )


def _facts(snapshot: Snapshot, metrics: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    n_users, n_items = snapshot.names.sizes
    found = [("model", snapshot.name), ("data", str(metrics.get("dataset", ""))), ("users", f"{n_users:,}")]
    found += [("items", f"{n_items:,}"), ("pairs", f"{len(snapshot.histories.items):,}")]
    found += [("version", snapshot.version[:12])]
    if "seconds" in metrics:
        found.append(("trained in", f"{metrics['seconds']:.0f} s"))
    return tuple((name, value) for name, value in found if value)


def _response_parts(model: Recommender) -> dict[str, list[float]]:
    eigenvalues = torch.linspace(-1, 1, N_EIGENVALUES, dtype=torch.float64)
    with torch.no_grad():
        return {name: part.tolist() for name, part in model.response_parts(eigenvalues).items()}


def _response_chart(parts: Mapping[str, list[float]]) -> Chart:
    x = torch.linspace(-1, 1, N_EIGENVALUES, dtype=torch.float64).tolist()
    whole = [sum(values) for values in zip(*parts.values(), strict=True)]
    series = [Series("h(λ), their sum", x, whole, "line-whole")]
    series += [
        Series(name, x, values, f"line-{place % N_COLORS}") for place, (name, values) in enumerate(parts.items())
    ]
    description = (
        f"h is {whole[0]:.2f} at λ = −1, {whole[len(whole) // 2]:.2f} at 0 and {whole[-1]:.2f} at 1, where the "
        "smoothest components of the graph are."
    )
    axes = ("eigenvalue λ of the normalised graph", "response h(λ)")
    return line_chart("response", "The learned response h(λ)", axes, series, description=description, from_zero=True)


def _time_marks(times: Mapping[str, float], horizon: float | None) -> tuple[TimeMark, ...]:
    if not times or not horizon:
        return ()
    found = [TimeMark("start", "0", 0.0, False)]
    found += [TimeMark(_subscript(name), f"{value:.2f}", 100 * value / horizon, True) for name, value in times.items()]
    return (*found, TimeMark("end", f"{horizon:g}", 100.0, False))


def _curves(numbers: RunNumbers) -> tuple[Chart, ...]:
    phases: dict[str, list[dict[str, Any]]] = {}
    for row in numbers.history:
        phases.setdefault(row["phase"], []).append(row)
    select_by = str(numbers.configuration.get("run", {}).get("select_by", "recall@20"))
    model = numbers.configuration.get("model", {})
    loss = loss_label(str(model.get("name", "")), model)
    selected = numbers.metrics.get("selected", {})
    mark = [(float(selected["epoch"]), f"epoch {selected['epoch']} chosen")] if "epoch" in selected else []
    charts = [
        (select_by, f"Validation: {label(select_by)}", label(select_by), mark),
        ("loss", f"Training: {loss}", loss, []),
    ]
    return tuple(
        line_chart(name.partition("@")[0], title, ("epoch", y_label), series, marks=marks)
        for name, title, y_label, marks in charts
        if (series := _by_phase(phases, name))
    )


def _by_phase(phases: Mapping[str, list[dict[str, Any]]], name: str) -> list[Series]:
    found: list[Series] = []
    for phase, rows in phases.items():
        points = [(float(row["epoch"]), float(row[name])) for row in rows if row.get(name) is not None]
        if points and len(found) < len(PHASE_COLORS):
            x, y = zip(*points, strict=True)
            found.append(Series(phase, x, y, f"line-{PHASE_COLORS[len(found)]}", dots=len(points) < N_EIGENVALUES // 3))
    return found


def _row(name: str, numbers: RunNumbers) -> MetricRow:
    value, popular = float(numbers.metrics[name]), float(numbers.popular[name])
    largest = max(value, popular) or 1.0
    texts = (shown(name, value), shown(name, popular))
    return MetricRow(_readable(label(name)), *texts, 100 * value / largest, 100 * popular / largest)


def _readable(name: str) -> str:
    """A name as people read it.

    Example:
        >>> _readable("hit_rate@20"), _readable("t_1")
        ('hit rate@20', 't₁')
    """
    return _subscript(name) if name.startswith("t_") else name.replace("_", " ")


def _subscript(name: str) -> str:
    letter, _, number = name.partition("_")
    return letter + number.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))

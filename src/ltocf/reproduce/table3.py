"""Table 3: every method on every data set, measured and published, with the significance of differences."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from statistics import mean, stdev
from typing import Any

from ltocf.evaluation.significance import compare_results, holm, mean_result
from ltocf.report.content import Curve, Figure, Panel, Table, p_text
from ltocf.report.names import REFERENCES, data_name, method_name
from ltocf.reproduce.cells import METHODS, Cell

METRICS = {"recall@20": "recall@20", "ndcg@20": "NDCG@20"}
OURS = "ltocf"
ON_TEST = "-test"
"""The end of the name of a configuration that selects the epoch on the test set, as the papers do."""
AS_PUBLISHED = "-published"
"""The end of the name of a configuration that has the variant and the settings of the published row."""

ENDINGS = {
    ON_TEST: ", best on test",
    AS_PUBLISHED: ", as published",
    "-in-order": ", in order",
    "-converged": ", to convergence",
    "-set": ", `fast`, as a set",
}
"""The end of a row's label by the end of its configuration's name. Without "in order" histories are sets."""


def method_of(name: str) -> str:
    """The method of a configuration.

    Example:
        >>> method_of("lightgcn-test"), method_of("ngcf-published"), method_of("grmf-norm")
        ('lightgcn', 'ngcf', 'grmf-norm')
    """
    return name.removesuffix(_ending_of(name))


def row_label(name: str) -> str:
    """The name of a row.

    Example:
        >>> row_label("lightgcn"), row_label("lightgcn-test"), row_label("ngcf-published")
        ('LightGCN', 'LightGCN, best on test', 'NGCF, as published')
    """
    method = method_of(name)
    return method_name(method) + ENDINGS.get(_ending_of(name), "")


def _ending_of(name: str) -> str:
    return next((suffix for suffix in ENDINGS if name.endswith(suffix)), "")


def published(dataset: str) -> dict[str, Any]:
    """``source`` and, by method, the numbers that papers give for exactly this split; empty if there are none."""
    text = files("ltocf.reproduce").joinpath("published.json").read_text(encoding="utf-8")
    published_numbers: dict[str, Any] = json.loads(text).get(dataset, {})
    return published_numbers


def by_name(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Finished cells of one data set, by configuration: references, the paper's methods in its order, all others."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.is_done:
            groups.setdefault(cell.name, []).append(cell)
    return {name: groups[name] for name in sorted(groups, key=_place)}


def numbers(cells: Sequence[Cell]) -> dict[str, Any]:
    """All numbers of the table of one data set: by method its values, spread, published number and comparison."""
    groups = by_name(cells)
    known = published(cells[0].dataset)
    rows: dict[str, Any] = {}
    for name, group in groups.items():
        metrics = [cell.metrics() for cell in group]
        # A published number stands in the row of the variant that it was measured with, if there is one.
        published_number = {} if f"{name}{AS_PUBLISHED}" in groups else known.get(method_of(name), {})
        row: dict[str, Any] = {"model": metrics[0]["model"], "seeds": [cell.seed for cell in group]}
        for metric in METRICS:
            values = [measured[metric] for measured in metrics]
            row[metric] = {
                "mean": mean(values),
                "standard_deviation": stdev(values) if len(values) > 1 else None,
                "published": published_number.get(metric),
            }
        row["epochs"] = [measured["selected"]["epoch"] for measured in metrics]
        row["minutes"] = mean(measured["seconds"] for measured in metrics) / 60
        row["protocol"] = metrics[0]["select_on"]
        row["training"] = metrics[0]["training"]
        rows[name] = row
    for metric in METRICS:
        for name, result in _compared(groups, metric).items():
            rows[name][metric] |= result
    return rows


def table(cells: Sequence[Cell], values: Mapping[str, Any] | None = None) -> Table:
    """The numbers of one data set as a table; ``values`` are its `numbers`, if they are known already."""
    rows = []
    for name, row in (values or numbers(cells)).items():
        line = [row_label(name)]
        for metric in METRICS:
            line += _metric_cells(row[metric])
        setting = row["training"]
        by_gradient = method_of(name) not in REFERENCES
        line.append(
            f"{setting['learning_rate']:g}, {setting['l2']:g}, {setting['batch_size'] or 'auto'}"
            if by_gradient
            else "–"
        )
        line += [", ".join(map(str, row["epochs"])), f"{row['minutes']:.1f}", row["protocol"]]
        rows.append(line)
    columns = ["method"]
    for label in METRICS.values():
        columns += [label, "published", "difference", "p against LT-OCF"]
    columns += ["learning rate, L2, batch", "epochs", "minutes", "epoch selected on"]
    caption = CAPTION + (CAPTION_ON_TEST if any(cell.name.endswith(ON_TEST) for cell in cells) else "")
    caption += CAPTION_AS_PUBLISHED if any(cell.name.endswith(AS_PUBLISHED) for cell in cells) else ""
    caption += CAPTION_OTHER_SPLIT if _has_other_splits(cells) else ""
    if source := published(cells[0].dataset).get("source"):
        caption += f" Published: {source}."
    return Table(data_name(cells[0].dataset), columns, rows, caption)


CAPTION_AS_PUBLISHED = (
    " As published: the variant and settings of the comparison that the published number is from, see the docstring of "
    "the model."
)
CAPTION_OTHER_SPLIT = " A row without p has another validation set than LT-OCF's."
CAPTION_ON_TEST = " Best on test: the protocol of the papers, compared with LT-OCF under the same one."
CAPTION = (
    "Mean ± standard deviation over seeds. Difference: measured minus published, in percent of the published value. "
    "p: two-sided paired t-test against LT-OCF over the test users, their values averaged over seeds, with Holm's "
    "correction for all methods of the column; ▲ marks methods that LT-OCF beats, ▼ methods that beat it, at 0.05. "
    "Minutes: selection and retraining."
)


def figure(cells: Sequence[Cell], values: Mapping[str, Any] | None = None) -> Figure:
    """Measured and published numbers of one data set, best recall first; ``values`` are its `numbers`, if known."""
    dataset, rows = cells[0].dataset, values or numbers(cells)
    names = sorted(rows, key=lambda name: -float(rows[name]["recall@20"]["mean"]))
    labels: list[float | str] = [row_label(name).replace("`", "") for name in names]
    panels = []
    for metric, label in METRICS.items():
        measured = [rows[name][metric] for name in names]
        spread = [row["standard_deviation"] or 0.0 for row in measured]
        curves = [Curve("measured", labels, [row["mean"] for row in measured], spread)]
        papers = [row["published"] for row in measured]
        if any(value is not None for value in papers):
            curves.append(Curve("published", labels, [math.nan if value is None else value for value in papers]))
        panels.append(Panel("", "", label, curves, "dot"))
    title = f"Every method on {data_name(dataset)}"
    return Figure(f"table3-{dataset}", title, "Intervals: standard deviation over seeds. Best recall first.", panels)


def _compared(groups: Mapping[str, list[Cell]], metric: str) -> dict[str, dict[str, float]]:
    """For each method except LT-OCF: LT-OCF's mean difference to it, and the adjusted p-value.

    A row whose epoch was selected on the test set is compared with LT-OCF's row of the same kind. A row on another
    split is not compared: its epoch was chosen on other pairs.
    """
    users = {name: mean_result([cell.user_result(metric) for cell in group]) for name, group in groups.items()}
    ours = {name: OURS + ON_TEST if name.endswith(ON_TEST) else OURS for name in users}
    others = [
        name
        for name in users
        if name != ours[name] and ours[name] in users and users[name].split == users[ours[name]].split
    ]
    comparisons = [compare_results(users[ours[name]], users[name]) for name in others]
    adjusted = holm([comparison.p_value for comparison in comparisons])
    return {
        name: {"ltocf_is_better_by": comparison.difference, "p_holm": p_value}
        for name, comparison, p_value in zip(others, comparisons, adjusted, strict=True)
    }


def _metric_cells(row: Mapping[str, Any]) -> list[str]:
    value, spread, paper = row["mean"], row["standard_deviation"], row["published"]
    shown = f"{value:.4f}" if spread is None else f"{value:.4f} ± {spread:.4f}"
    difference = "–" if paper is None else f"{100 * (value / paper - 1):+.1f} %"
    p_value = "–"
    if "p_holm" in row:
        mark = ("▲" if row["ltocf_is_better_by"] > 0 else "▼") if row["p_holm"] < 0.05 else ""
        p_value = f"{p_text(row['p_holm'])} {mark}".strip()
    return [shown, "–" if paper is None else f"{paper:.4f}", difference, p_value]


def _has_other_splits(cells: Sequence[Cell]) -> bool:
    """Whether rows of the same protocol have different splits."""
    digests: dict[bool, set[str]] = {}
    for cell in cells:
        digests.setdefault(cell.name.endswith(ON_TEST), set()).add(cell.metrics()["split"]["digest"])
    return any(len(group) > 1 for group in digests.values())


def _place(name: str) -> tuple[int, str]:
    method = method_of(name)
    if method in REFERENCES:
        return list(REFERENCES).index(method) - len(REFERENCES), name
    if method not in METHODS:
        return 2 * len(METHODS), name
    return METHODS.index(method) + (len(METHODS) if name.endswith(ON_TEST) else 0), name

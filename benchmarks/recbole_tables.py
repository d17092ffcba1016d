"""The table of docs/results.md that compares six models with RecBole's, made from results/recbole/; see tables.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from ltocf.report.names import method_name
from markdown_tables import spread, table_lines

RESULTS = Path(__file__).resolve().parents[1] / "results" / "recbole"
METRICS = ("recall@20", "ndcg@20")


def comparison(dataset: str) -> str:
    """One row per model: both sides' metrics, and how far ours is from theirs."""
    file = RESULTS / f"{dataset}.json"
    if not file.exists():
        return "Not measured yet: `make recbole`."
    result = json.loads(file.read_text())
    columns = [[metric, "aligned", "RecBole's", "difference"] for metric in ("recall@20", "NDCG@20")]
    heading = ["method", *columns[0], *columns[1]]
    heading += ["rate, L2, batch", "epochs", "RecBole's", "seeds"]
    names = list(dict.fromkeys(run["model"] for run in result["runs"]))
    rows = [row([run for run in result["runs"] if run["model"] == name]) for name in names]
    lines = table_lines([heading, *rows])
    where, split = result["environment"], result["split"]
    note = (
        f"`{dataset}`: {split['users']:,} users, {split['items']:,} items, {split['train']:,} training pairs. Mean"
        f" ± standard deviation over seeds. {where['processor']}, 1 thread."
    )
    return "\n".join([*lines, "", note])


def row(runs: list[dict[str, Any]]) -> list[str]:
    """The row of one model."""
    cells = [method_name(runs[0]["model"])]
    for metric in METRICS:
        ours, aligned, theirs = (
            [run[side][metric] for run in runs if side in run] for side in ("ours", "aligned", "recbole")
        )
        cells += [spread(ours), spread(aligned) if aligned else "–", spread(theirs)]
        cells.append(f"{100 * (mean(ours) / mean(theirs) - 1):+.1f} %")
    settings = runs[0]["settings"]
    cells.append(f"{settings['learning_rate']:g}, {settings['l2']:g}, {settings['batch_size']:,}")
    cells += [", ".join(str(run[side]["epochs"]) for run in runs) for side in ("ours", "recbole")]
    return [*cells, ", ".join(str(run["seed"]) for run in runs)]


RECBOLE_TABLES: dict[str, Callable[[], str]] = {"recbole:movielens-small": partial(comparison, "movielens-small")}

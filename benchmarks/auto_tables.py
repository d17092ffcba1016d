"""The tables of `auto`, from results/auto/: every data set that it was measured on, and what each part adds."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

from markdown_tables import table_lines

RESULTS = Path(__file__).resolve().parents[1] / "results" / "auto"
CAPTION = (
    "Means of the stated seeds, on 2 cores, within the stated time limit or else the default; each contest reads the "
    "test set once. The blend is that of the first seed. Best other: for each metric, the best committed row of the "
    "data set among all methods of Table 3 and the reference rows, each tuned on the validation set."
)
PARTS_CAPTION = (
    "recall@20 / NDCG@20 on the test set, means of the seeds that were run; gain over the row that it builds on."
)
METRICS = ("recall@20", "ndcg@20")
ORDERED = ("gowalla", "yelp2018")
PARTS = (
    ("{}/spectral", "`spectral`, histories as sets", ""),
    ("{}/spectral-in-order", "in order: recency and trend", "{}/spectral"),
    ("{}/ltocf-set", "LT-OCF, `fast`, as sets", ""),
    ("{}/ltocf-in-order", "in order", "{}/ltocf-set"),
    ("{}/blend-set", "closed forms and LT-OCF blended, as sets", "{}/spectral"),
    ("auto/{}-5-minutes", "a contest in order, 5 minutes", "{}/spectral-in-order"),
    ("auto/{}-core-10-5-minutes", "with `core` 10", "auto/{}-5-minutes"),
    ("auto/{}", "a contest in order", "{}/spectral-in-order"),
)
"""Files of the results of a set, name of the row, and files of the row that it is compared with."""


def others(dataset: str) -> dict[str, dict[str, float]]:
    """The means over seeds of every committed row of a data set that was validated, not selected on test."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((RESULTS.parent / dataset).glob("*-seed?.json")):
        measured = json.loads(file.read_text(encoding="utf-8"))
        if measured["select_on"] == "validation":
            found.setdefault(file.stem.rpartition("-seed")[0], []).append(measured)
    return {
        name: {metric: sum(row[metric] for row in rows) / len(rows) for metric in METRICS}
        for name, rows in found.items()
    }


def auto() -> str:
    """A line for each set and limit: both metrics, the best other row and the difference from it, and the minutes."""
    rows = []
    for file in sorted(RESULTS.glob("*-seed0.json")):
        seeds = [
            json.loads(each.read_text(encoding="utf-8")) for each in sorted(RESULTS.glob(f"{file.stem[:-1]}?.json"))
        ]
        result = seeds[0]
        limit = result["configuration"]["training"]["max_minutes"]
        core = result["configuration"]["data"].get("core")
        name = result["dataset"] + (f", `core`\N{NO-BREAK SPACE}{core}" if core else "")
        line = [name + (f", limit {limit:g}\N{NO-BREAK SPACE}min" if limit else "")]
        line.append(", ".join(str(each["seed"]) for each in seeds))
        rivals = others(result["dataset"])
        for metric in METRICS:
            value, best_other = mean(each[metric] for each in seeds), "–"
            if rivals:
                best, rival = max((row[metric], rival) for rival, row in rivals.items())
                best_other = f"{best:.4f} ({rival}), {100 * (value / best - 1):+.1f}\N{NO-BREAK SPACE}%"
            line += [f"{value:.4f}", best_other]
        weights = sorted((row for row in result["contest"] if row.get("weight")), key=lambda row: -row["weight"])
        line.append(", ".join(f"{row['weight']:.2f}\N{NO-BREAK SPACE}{row['name']}" for row in weights))
        minutes = ", ".join(f"{each['seconds_of_this_process'] / 60:.1f}" for each in seeds)
        rows.append([*line, minutes])
    columns = ["data", "seeds", "recall@20", "best other", "NDCG@20", "best other", "the blend", "minutes"]
    return "\n".join([*table_lines([columns, *rows]), "", CAPTION])


def parts() -> str:
    """A line for each part: both metrics on the sets in order, and what is gained over the row it builds on."""
    rows = [["", *(f"{dataset}, {column}" for dataset in ORDERED for column in ("recall / NDCG", "gain in %"))]]
    for files, name, base in PARTS:
        row = [name]
        for dataset in ORDERED:
            found = _means(files, dataset)
            gains = (
                [f"{100 * (a / b - 1):+.1f}" for a, b in zip(found, _means(base, dataset), strict=True)] if base else []
            )
            row += [" / ".join(f"{value:.4f}" for value in found), " / ".join(gains) or "–"]
        rows.append(row)
    return "\n".join([*table_lines(rows), "", PARTS_CAPTION])


def _means(files: str, dataset: str) -> list[float]:
    """Both metrics of a row, the means of its seeds."""
    found = sorted(RESULTS.parent.glob(f"{files.format(dataset)}-seed?.json"))
    measured = [json.loads(file.read_text(encoding="utf-8")) for file in found]
    return [mean(row[metric] for row in measured) for metric in METRICS]


AUTO_TABLES = {"auto": auto, "parts": parts}

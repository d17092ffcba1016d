"""The tables of folding in, updates and weights in the documentation, from the files under results/.

python benchmarks/answers_tables.py
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"
METRICS = ("recall@20", "ndcg@20")
DATASETS = {"gowalla": "Gowalla", "amazon-beauty": "Amazon Beauty"}
COLUMNS = {"trained": "trained", "folded": "folded in", "1 steps": "1 step", "3 steps": "3 steps"}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def pair(values: dict[str, float] | None) -> str:
    """Recall and NDCG as in the paper's tables."""
    return "" if values is None else " / ".join(f"{values[name]:.4f}"[1:] for name in METRICS)


def fold_in() -> str:
    """Hidden users trained and folded in, a row for each model and data set."""
    lines = [f"| data, model | {' | '.join(COLUMNS.values())} |", "|---|" + "---|" * len(COLUMNS)]
    for dataset, title in DATASETS.items():
        rows = read(f"fold-in/{dataset}")["rows"]
        rows += [row for row in read(f"fold-in/{dataset}-implicit")["rows"] if row["model"] != "popular"]
        for row in rows:
            cells = " | ".join(pair(row.get(column)) for column in COLUMNS)
            lines.append(f"| {title}, {row['model']} | {cells} |")
    return "\n".join(lines)


def update() -> str:
    """New events on Gowalla, in accuracy and seconds."""
    lines = ["| way | recall@20 / ndcg@20 | seconds |", "|---|---|---|"]
    for row in read("update/gowalla")["rows"]:
        if row.get("rate", 1.0) not in (0.0, 1.0):
            continue
        epochs = f", {row['epochs']} epoch{'s' * (row['epochs'] != 1)}" if "epochs" in row else ""
        lines.append(f"| {row['way']}{epochs} | {pair(row)} | {row['seconds']:.1f} |")
    return "\n".join(lines)


def weights() -> str:
    """Ratings as weights, the mean over seeds."""
    groups: dict[tuple[str, str, str], list[dict[str, float]]] = defaultdict(list)
    for row in read("weights/movielens-small")["rows"]:
        groups[row["model"], row["reading"], row["weights"]].append(row)
    names = list(dict.fromkeys(name for _, _, name in groups))
    lines = [f"| model, interactions | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for model, reading in dict.fromkeys((model, reading) for model, reading, _ in groups):
        cells = []
        for name in names:
            rows = groups[model, reading, name]
            cells.append(pair({metric: mean(row[metric] for row in rows) for metric in METRICS}))
        lines.append(f"| {model}, {reading} | {' | '.join(cells)} |")
    return "\n".join(lines)


TABLES = {"fold_in": fold_in, "update": update, "weights": weights}


if __name__ == "__main__":
    print("\n\n".join(make() for make in TABLES.values()))

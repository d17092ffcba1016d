"""The tables of docs/spectral.md, made from results/<dataset>/spectral-ranks.json; see tables.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ltocf.training.search import SEARCH_USERS

RESULTS = Path(__file__).resolve().parents[1] / "results"
METRICS = ("recall@20", "ndcg@20")
SECONDS = ("search", "svd", "ranking")


def ranks(dataset: str) -> str:
    """One row per rank, GF-CF's constants, and what papers say."""
    file = RESULTS / dataset / "spectral-ranks.json"
    if not file.exists():
        return f"Not measured yet: `python benchmarks/spectral.py {dataset} --out {file.relative_to(RESULTS.parent)}`."
    result = json.loads(file.read_text())
    lines = [
        "| method | validation recall@20 | NDCG@20 | test recall@20 | NDCG@20 | search | SVD | ranking | peak memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [measured(row) for row in sorted(result["rows"], key=lambda row: (is_ours(row), row["options"]["rank"]))]
    for name, metrics in result["published"].items():
        lines.append(line([f"{name}, published", "–", "–", *(f"{metrics[m]:.4f}" for m in METRICS), *["–"] * 4]))
    where = result["environment"]
    threads = f"{where['threads']} thread{'s' if where['threads'] > 1 else ''}"
    part = result["validation_part"]
    validation = f"the {part['how']} {part['fraction']:.0%} of each history in the {part['core']}-core of train"
    note = (
        f"`{dataset}`, {where['processor']}, {threads}. Validation: {SEARCH_USERS:,} users, {validation}. Search: all"
        " evaluations, without their SVD. Ranking: every user of the test part."
    )
    differences = [
        abs(row["shortlists"][name] - row["validation"][name])
        for row in result["rows"]
        if is_ours(row)
        for name in METRICS
    ]
    exactness = f"to within {max(differences):.0e}" if any(differences) else "exactly"
    note += f" Shortlists: the search saw these validation metrics {exactness}."
    return "\n".join([*lines, "", note])


def measured(row: dict[str, Any]) -> str:
    label = f"SpectralLTOCF, {row['label']}" if is_ours(row) else f"{row['label']}'s constants, here"
    accuracy = [f"{row[part][metric]:.4f}" for part in ("validation", "test") for metric in METRICS]
    seconds = [f"{row['seconds'][name]:.0f} s" for name in SECONDS]
    return line([label, *accuracy, *seconds, f"{row['peak_memory_mib']:,.0f} MiB"])


def is_ours(row: dict[str, Any]) -> bool:
    return row["label"].startswith("rank")


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


SPECTRAL_TABLES: dict[str, Callable[[], str]] = {
    f"spectral-{dataset}": partial(ranks, dataset) for dataset in ("gowalla", "yelp2018")
}

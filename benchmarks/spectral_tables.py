"""The tables of docs/spectral.md, made from results/<dataset>/spectral-*.json; see tables.py."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ltocf.training.simplex import SEARCH_USERS
from markdown_tables import line, table_lines

RESULTS = Path(__file__).resolve().parents[1] / "results"
METRICS = ("recall@20", "ndcg@20")
SAMPLED_RANK = 1024
"""The rank that was searched on several samples of users."""
SECONDS = ("search", "svd", "ranking")


def ranks(dataset: str) -> str:
    """One row per rank, GF-CF's constants, and published results."""
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
    threads = threads_of(where)
    part = result["validation_part"]
    validation = (
        f"the {part['how']} {part['fraction']:.0%} of each history in the {part['core']}-core of the training set"
    )
    note = (
        f"`{dataset}`, {where['processor']}, {threads}. Validation: {SEARCH_USERS:,} users, {validation}. Search: all"
        " evaluations, without their SVD. Ranking: every user of the test set."
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


def threads_of(environment: dict[str, Any]) -> str:
    threads = environment["threads"]
    return f"{threads} thread{'s' if threads > 1 else ''}"


def measured(row: dict[str, Any]) -> str:
    label = f"SpectralLTOCF, {row['label']}" if is_ours(row) else f"{row['label']}'s constants, here"
    accuracy = [f"{row[part][metric]:.4f}" for part in ("validation", "test") for metric in METRICS]
    seconds = [f"{row['seconds'][name]:.0f} s" for name in SECONDS]
    return line([label, *accuracy, *seconds, f"{row['peak_memory_mib']:,.0f} MiB"])


def is_ours(row: dict[str, Any]) -> bool:
    return row["label"].startswith("rank")


def density(dataset: str) -> str:
    """For each share of the training set in the graph: the validation metrics of the best weight at each time."""
    result = json.loads((RESULTS / dataset / "spectral-density.json").read_text())
    parts = result["parts"]
    rows = [["t", *(f"{part['fraction']:.0%} withheld, {part['share_of_train']:.0%} in the graph" for part in parts)]]
    best = [max(part["cells"], key=lambda cell: cell["recall@20"]) for part in parts]
    for t in sorted({cell["t"] for cell in parts[0]["cells"]}):
        cells = []
        for part, highest in zip(parts, best, strict=True):
            cell = max((c for c in part["cells"] if c["t"] == t), key=lambda c: c["recall@20"])
            text = f"{cell['recall@20']:.4f} / {cell['ndcg@20']:.4f} at w = {cell['w']:g}"
            cells.append(f"**{text}**" if cell is highest else text)
        rows.append([f"{t:g}", *cells])
    rare = ", ".join(f"{part['rare_items']:.2f}" for part in parts)
    note = (
        f"Withheld pairs of items with 5 to 7 pairs in the graph, relative to those of all items: {rare}.\n\n"
        f"`{dataset}`, rank {result['rank']:,}: validation recall@20 / NDCG@20 of the weight with the highest recall; "
        "the highest of each column in bold. Withheld: the end of each history in the 10-core of the training set."
    )
    return "\n".join([*table_lines(rows), "", note])


def gram(dataset: str) -> str:
    """How many entries of each row of BᵀB are kept."""
    result = json.loads((RESULTS / dataset / "spectral-gram.json").read_text())
    lines = [
        "| entries kept | validation recall@20 | NDCG@20 | test recall@20 | NDCG@20 | search | SVD and BᵀB | ranking |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(result["rows"], key=lambda row: -row["options"].get("n_neighbours", math.inf)):
        kept = row["options"].get("n_neighbours")
        accuracy = [f"{row[part][metric]:.4f}" for part in ("validation", "test") for metric in METRICS]
        seconds = [f"{row['seconds'][name]:.0f} s" for name in SECONDS]
        lines.append(line(["all, by the product" if kept is None else str(kept), *accuracy, *seconds]))
    where, rank = result["environment"], result["rows"][0]["options"]["rank"]
    return "\n".join(
        [*lines, "", f"`{dataset}`, rank {rank}, {where['processor']}, {threads_of(where)}; else as above."]
    )


def samples(dataset: str) -> str:
    """The same search on other users of the validation set."""
    files = (RESULTS / dataset / f"spectral-{name}.json" for name in ("ranks", "samples"))
    rows = [row for file in files for row in json.loads(file.read_text())["rows"]]
    rows = [row for row in rows if row["options"]["rank"] == SAMPLED_RANK]
    lines = [
        "| users | t | w | a, b, c, d | validation recall@20 | NDCG@20 | test recall@20 | NDCG@20 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = [row["numbers"][name] for name in ("t_1", "w", *"abcd")]
        exponents = ", ".join(f"{number:.2f}" for number in numbers[2:])
        accuracy = [f"{row[part][metric]:.4f}" for part in ("validation", "test") for metric in METRICS]
        name = row["label"].partition(", ")[2] or "sample 0"
        lines.append(line([name, f"{numbers[0]:.1f}", f"{numbers[1]:.2f}", exponents, *accuracy]))
    return "\n".join(lines)


SPECTRAL_TABLES: dict[str, Callable[[], str]] = {
    **{f"spectral-{dataset}": partial(ranks, dataset) for dataset in ("gowalla", "yelp2018")},
    "spectral-density": partial(density, "gowalla"),
    "spectral-gram": partial(gram, "gowalla"),
    "spectral-samples": partial(samples, "gowalla"),
}

"""The tables of docs/speed.md that are made from results/<dataset>/frontier.json; see tables.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from markdown_tables import table_lines

RESULTS = Path(__file__).resolve().parents[1] / "results"
METRICS = ("recall@20", "ndcg@20")


def read(dataset: str) -> dict[str, Any] | None:
    file = RESULTS / dataset / "frontier.json"
    return json.loads(file.read_text()) if file.exists() else None


def absent(dataset: str) -> str:
    return f"Not measured yet: `python benchmarks/frontier.py {dataset} --out results/{dataset}/frontier.json`."


def effects(dataset: str) -> str:
    """Where every variant ends, against the reference."""
    result = read(dataset)
    if result is None:
        return absent(dataset)
    variants = result["variants"]
    reference = variants["reference"]["curve"][-1]
    rows = []
    for name, variant in sorted(variants.items(), key=lambda item: -item[1]["curve"][-1]["recall@20"]):
        last = variant["curve"][-1]
        cells = [f"**{name}**" if name == "reference" else name]
        for metric in METRICS:
            change = last[metric] / reference[metric] - 1
            cells += [f"{last[metric]:.4f}", "" if name == "reference" else f"{100 * change:+.1f} %"]
        rows.append([*cells, str(last["epoch"]), f"{last['seconds']:.0f} s"])
    heading = ["variant", "recall@20", "change", "NDCG@20", "change", "epochs", "training"]
    return "\n".join([*table_lines([heading, *rows]), "", note(result)])


def starts(dataset: str) -> str:
    """What training adds to the spectral start at each dimension."""
    result = read(dataset)
    if result is None:
        return absent(dataset)
    rows = []
    for variant in result["variants"].values():
        if variant.get("init") != "spectral":
            continue
        first, last = variant["curve"][0], variant["curve"][-1]
        best = max(variant["curve"], key=lambda point: point["recall@20"])
        cells = [str(variant["options"]["dim"]), variant["options"]["loss"]]
        cells += [f"{point['recall@20']:.4f} / {point['ndcg@20']:.4f}" for point in (first, variant["curve"][1], last)]
        rows.append([*cells, f"{last['seconds']:.0f} s", str(best["epoch"])])
    heading = ["dim", "loss", "untrained", "after 1 epoch", "at the end", "training", "best epoch"]
    return "\n".join([*table_lines([heading, *rows]), "", note(result)])


def note(result: dict[str, Any]) -> str:
    where = result["environment"]
    return (
        f"`{result['dataset']}`, validation set: the last tenth of each history, {result['n_users']:,} users, trained"
        f" without it. {where['processor']}, {where['threads']} threads. Seed 0."
    )


FRONTIER_TABLES: dict[str, Callable[[], str]] = {
    "frontier-gowalla": partial(effects, "gowalla"),
    "starts-gowalla": partial(starts, "gowalla"),
}

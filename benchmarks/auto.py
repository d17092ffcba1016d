"""The contest of `auto` on a data set, compared with every other row of that set.

    python benchmarks/auto.py irb-amazon2014-health amazon-beauty --data data
    python benchmarks/auto.py gowalla yelp2018 --data data --max-minutes 5
    python benchmarks/auto.py gowalla --data data --max-minutes 5 --core 10

The test set is read once, by the run. Results are kept in results/auto/, those of another limit under its minutes,
those with a core under that, and beside them recall and NDCG of every test user, for a test of significance.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

import ltocf
from auto_tables import METRICS, RESULTS, others
from ltocf.runs.folder import RunFolder


def measure(dataset: str, source: str, seed: int, max_minutes: float, core: int, out: Path) -> dict[str, Any]:
    """One contest, and how it compares with the best of the other rows."""
    metrics = ltocf.train(source, out, model="auto", seed=seed, max_minutes=max_minutes, core=core)
    rows = others(dataset)
    recorded = (
        "split",
        "seed",
        "contest",
        "selected",
        "history",
        "recency_drift",
        "fits",
        "seconds_of_this_process",
        "environment",
        "configuration",
    )
    result = {"dataset": dataset} | {metric: metrics[metric] for metric in METRICS}
    result |= {"others": rows} | {name: metrics[name] for name in recorded if name in metrics}
    best = {metric: max(rows.items(), key=lambda row: row[1][metric]) for metric in METRICS if rows}
    result["best_other"] = {metric: {"name": name, "value": row[metric]} for metric, (name, row) in best.items()}
    result["of_the_best"] = {metric: metrics[metric] / row[metric] for metric, (_, row) in best.items()}
    return result


def write(name: str, result: dict[str, Any], users: dict[str, np.ndarray]) -> None:
    """Write a result, and the metrics of its test users, to results/auto/."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    save_file(users, RESULTS / f"{name}.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="a folder with a folder of each data set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-minutes", type=float, default=0.0, help="0: the default for the size")
    parser.add_argument("--core", type=int, default=0, help="the core of the sets, see docs/protocol.md")
    options = parser.parse_args()
    for dataset in options.datasets:
        source = str(options.data / dataset) if (options.data / dataset).exists() else dataset
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            result = measure(dataset, source, options.seed, options.max_minutes, options.core, run)
            users = load_file(RunFolder(run).test_users_file)
        result["configuration"]["data"]["source"] = dataset
        core = f"-core-{options.core}" if options.core else ""
        limit = f"-{options.max_minutes:g}-minutes" if options.max_minutes else ""
        write(f"{dataset}{core}{limit}-seed{options.seed}", result, {name: users[name] for name in ("users", *METRICS)})
        print(dataset, {metric: round(result[metric], 4) for metric in METRICS}, result["of_the_best"])


if __name__ == "__main__":
    main()

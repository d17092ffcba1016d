"""The time from a CSV file to a Dataset, compared with the time in which polars reads the file.

    python benchmarks/reading.py --out results/speed/reading-synthetic.json

The file has a row for each pair of a power law (`ltocf.bench.synthetic`) in random order, with ids and times as text:
`user_id,item_id,timestamp`. Three calls take turns in this process, the first turn is not counted: `pl.read_csv`, which
leaves ids and times as text; the same with times parsed; and `load_dataset`, which reads the file, recognises its
columns, makes indices of ids and seconds of times, and sorts the pairs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import polars as pl
import torch

from ltocf.bench.synthetic import power_law
from ltocf.data import load_dataset
from ltocf.files import write_text
from ltocf.training import environment

N_ROWS = 10_000_000
FIRST, LAST = 1_500_000_000, 1_700_000_000
"""Seconds since 1970 between which the times are drawn."""


def write_log(path: Path, n_rows: int) -> None:
    """Write a log as people export it: words before numbers, times with a blank, nothing sorted."""
    log = power_law(n_rows)
    random = np.random.default_rng(1)
    order = random.permutation(len(log))
    frame = pl.DataFrame(
        {"user": log.users[order], "item": log.items[order], "when": random.integers(FIRST, LAST, len(log))}
    )
    frame.select(
        user_id=pl.format("customer-{}", "user"),
        item_id=pl.format("B{}", pl.col("item").cast(pl.String).str.zfill(9)),
        timestamp=pl.from_epoch("when").dt.strftime("%Y-%m-%d %H:%M:%S"),
    ).write_csv(path)


def measure(path: Path, repeats: int) -> dict[str, Any]:
    """Seconds of the clock and of the processor, turn by turn."""
    calls: dict[str, Callable[[], Any]] = {
        "pl.read_csv": lambda: pl.read_csv(path),
        "pl.read_csv, times parsed": lambda: pl.read_csv(path, try_parse_dates=True),
        "load_dataset": lambda: load_dataset(path),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    processor: dict[str, list[float]] = {name: [] for name in calls}
    sizes: dict[str, int] = {}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            started, started_processor = perf_counter(), process_time()
            result = call()
            taken, taken_processor = perf_counter() - started, process_time() - started_processor
            if turn:
                seconds[name].append(taken)
                processor[name].append(taken_processor)
            if name == "load_dataset":
                log = result.interactions
                sizes = {"n_users": log.n_users, "n_items": log.n_items, "n_pairs": len(log)}
            del result
    medians = {name: median(values) for name, values in seconds.items()}
    return {
        **sizes,
        "file_bytes": path.stat().st_size,
        "polars": pl.__version__,
        "polars_threads": pl.thread_pool_size(),
        "median": medians,
        "ratios": {name: medians["load_dataset"] / medians[name] for name in medians if name != "load_dataset"},
        "seconds": seconds,
        "processor_seconds": processor,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=N_ROWS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        write_log(path, arguments.rows)
        result = {"n_rows": arguments.rows, **measure(path, arguments.repeats)}
    result["environment"] = environment(torch.device("cpu"))
    for name, taken in result["median"].items():
        print(f"{name}: {taken:.2f} s of {arguments.rows:,} rows")
    for name, ratio in result["ratios"].items():
        print(f"load_dataset / {name}: {ratio:.2f}")
    if arguments.out:
        write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

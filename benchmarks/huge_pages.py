"""A propagation of LT-OCF `fast`, forward and backward, in pages of 4 kB and in huge pages, on power-law graphs.

    python benchmarks/huge_pages.py --millions 1 10 50 --out results/speed/huge-pages-synthetic.json

Two processes take turns, propagation by propagation. The system gives one of them no huge pages, whatever it asks for.
"""

from __future__ import annotations

import argparse
import ctypes
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from ltocf import BipartiteGraph, Config
from ltocf.bench.synthetic import power_law
from ltocf.files import write_text
from ltocf.models import LTOCF
from ltocf.runs.settings import DataSettings
from ltocf.training import environment
from ltocf.training.memory import peak_bytes
from ltocf.training.runtime import keep_freed_memory

PAGES = ("small", "huge")
PR_SET_THP_DISABLE = 41
"""The number of a request in Linux's prctl.h: no huge pages for this process."""
CPU = torch.device("cpu")

propagate: Callable[[], None]
"""The propagation of this process."""


def begin(pages: str, n_pairs: int, dim: int, threads: int) -> None:
    """Make the model of this process, and propagate once."""
    global propagate
    torch.set_num_threads(threads)
    if pages == "small" and ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0):
        raise OSError("the system does not let a process do without huge pages")
    keep_freed_memory()
    options = Config(DataSettings("")).with_values({"dim": dim, "precision": "float32"}).options
    model = LTOCF(BipartiteGraph.from_interactions(power_law(n_pairs)), **options)
    gradient = torch.randn_like(model.initial_embeddings)

    def both_ways() -> None:
        model.propagate(model.initial_embeddings).backward(gradient)

    propagate = both_ways
    propagate()


def seconds() -> tuple[float, int]:
    """Seconds of one more propagation, and the peak of memory so far."""
    started = perf_counter()
    propagate()
    return perf_counter() - started, peak_bytes(CPU)


def measured(n_pairs: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Both processes in turns."""
    shared = (n_pairs, arguments.dim, arguments.threads)
    pools = [ProcessPoolExecutor(1, get_context("spawn"), begin, (pages, *shared)) for pages in PAGES]
    ready = [pool.submit(seconds) for pool in pools]  # both processes make their models at the same time
    for first in ready:
        first.result()
    found: dict[str, list[tuple[float, int]]] = {pages: [] for pages in PAGES}
    for _ in range(arguments.repeats):
        for pages, pool in zip(PAGES, pools, strict=True):
            found[pages].append(pool.submit(seconds).result())
    for pool in pools:
        pool.shutdown()
    row: dict[str, Any] = {"pairs": n_pairs, "dim": arguments.dim}
    row["seconds"] = {pages: [taken for taken, _ in rows] for pages, rows in found.items()}
    row["median"] = {pages: median(taken) for pages, taken in row["seconds"].items()}
    return row | {"peak_bytes": {pages: rows[-1][1] for pages, rows in found.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 10], help="pairs")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu"], default="cpu", help="a GPU has pages of its own")
    parser.add_argument("--out", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result: dict[str, Any] = {"environment": environment(CPU), "rows": []}
    for millions in arguments.millions:
        row = measured(round(millions * 10**6), arguments)
        result["rows"].append(row)
        small, huge = (row["median"][pages] for pages in PAGES)
        print(
            f"{row['pairs']:,} pairs: {small:.3f} s, in huge pages {huge:.3f} s: {small / huge:.2f} times", flush=True
        )
    if arguments.out:
        write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""A training step with malloc as it is by default, and with malloc set to keep freed memory, as training runs set it.

    python benchmarks/freed_memory.py --dataset gowalla --out results/speed/freed-memory-gowalla.json

For each method two processes on the same batches take turns, step by step. Memory is the peak of each process.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from ltocf import BipartiteGraph, load_dataset
from ltocf.data import split_dataset
from ltocf.files import write_text
from ltocf.models import MODELS
from ltocf.training import environment
from ltocf.training.memory import peak_bytes
from ltocf.training.runtime import keep_freed_memory

BATCH_SIZES = {"mf": 8192, "lightgcn": 2048, "ltocf": 2048, "lr-gccf": 2048, "gc-mc": 2048, "ngcf": 2048}
BATCH_SIZES |= {"pinsage": 2048, "mult-vae": 500, "cmn": 8192}
WAYS = ("returned", "kept")
CPU = torch.device("cpu")

steps: Iterator[float]
"""The training of this process: each `next` takes one step and returns its seconds."""


def begin(way: str, dataset: str, model: str, threads: int) -> None:
    """Start the training of this process."""
    global steps
    torch.set_num_threads(threads)
    if way == "kept":
        keep_freed_memory()
    steps = train(dataset, model)
    next(steps)


def train(dataset: str, name: str) -> Iterator[float]:
    split = split_dataset(load_dataset(dataset))
    model: Any = MODELS[name](BipartiteGraph.from_interactions(split.train))
    optimizer = torch.optim.Adam(model.parameters())
    for batch in cycle(model.batches(split.train, BATCH_SIZES[name], seed=0).epoch(0)):
        started = perf_counter()
        optimizer.zero_grad()
        losses = model(batch)
        (losses.ranking + 1e-4 * losses.l2).backward()
        optimizer.step()
        yield perf_counter() - started


def step() -> tuple[float, int]:
    """Seconds of one more step, and the peak of memory so far."""
    return next(steps), peak_bytes(CPU)


def measure(dataset: str, model: str, repeats: int, threads: int) -> dict[str, Any]:
    """Both ways in turns, step by step."""
    pools = [ProcessPoolExecutor(1, get_context("spawn"), begin, (way, dataset, model, threads)) for way in WAYS]
    found: dict[str, list[tuple[float, int]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, pool in zip(WAYS, pools, strict=True):
            found[way].append(pool.submit(step).result())
    for pool in pools:
        pool.shutdown()
    seconds = {way: [second for second, _ in taken] for way, taken in found.items()}
    median = {way: statistics.median(taken) for way, taken in seconds.items()}
    peaks = {way: taken[-1][1] for way, taken in found.items()}
    return {"batch_size": BATCH_SIZES[model], "seconds": seconds, "median": median, "peak_bytes": peaks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="gowalla", help="a catalog name, folder or table file")
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(BATCH_SIZES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu"], default="cpu", help="a GPU has an allocator of its own")
    parser.add_argument("--out", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = {"dataset": Path(arguments.dataset).name, "models": {}, "environment": environment(CPU)}
    for model in arguments.models:
        row = measure(arguments.dataset, model, arguments.repeats, arguments.threads)
        result["models"][model] = row
        seconds, peaks = row["median"], row["peak_bytes"]
        print(
            f"{model}: {seconds['returned']:.3f} s, kept {seconds['kept']:.3f} s, "
            f"peaks {peaks['returned'] / 1e6:,.0f} MB, {peaks['kept'] / 1e6:,.0f} MB",
            flush=True,
        )
    if arguments.out:
        write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

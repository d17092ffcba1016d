"""Lists for a million users against 100,000 items by `ltocf recommend-all`: seconds, rate, peak memory.

    python benchmarks/recommend_all.py --folder scratch --out results/scale/recommend-all.json

Embeddings are random, histories of ten items too: what lists cost does not depend on what is in them. The command is a
process of its own and starts its workers; the peak is that of the memory of all of them together, pages that they share
counted once, sampled twice a second. An interrupted call is continued, but then not recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ltocf.data import Interactions
from ltocf.data.names import Names
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import MF
from ltocf.serving import TrainedModel
from ltocf.training import environment

PER_USER = 10


def write_model(file: Path, n_users: int, n_items: int, dim: int) -> None:
    """Write a model of random embeddings; each user has seen ten items, the popular ones more often."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(n_users), PER_USER)
    items = (n_items * random.random(len(users)) ** 3).astype(np.int64)
    pairs = Interactions.from_pairs(users, items, n_users, n_items)
    model = MF(BipartiteGraph.from_interactions(pairs), dim)
    TrainedModel("mf", {"dim": dim}, model, pairs, Names.identity(n_users, n_items)).save(file)


def processes_of(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield from processes_of(child)


def memory_of(pid: int) -> int:
    """Bytes of a process and all its descendants, shared pages counted once."""
    total = 0
    for process in processes_of(pid):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has ended meanwhile
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def measured(model: Path, out: Path, k: int, workers: int) -> dict[str, Any]:
    """Seconds of the clock and of the processor, and the peak memory, of one call."""
    command = [sys.executable, "-m", "ltocf", "recommend-all", str(model), "--out", str(out), "--k", str(k)]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([*command, "--workers", str(workers)])
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.5)
    if process.returncode:
        sys.exit(process.returncode)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - started, "processor_seconds": processor, "peak_bytes": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, required=True, help="for model and lists; removed at the end")
    parser.add_argument("--out", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    model, lists = arguments.folder / "model.safetensors", arguments.folder / "lists"
    arguments.folder.mkdir(parents=True, exist_ok=True)
    resumed = lists.exists()
    if not model.exists():
        write_model(model, arguments.users, arguments.items, arguments.dim)
    found = measured(model, lists, arguments.k, arguments.workers)
    rows = (
        pl.scan_parquet(lists / "part-*.parquet").select(pl.len(), pl.col("user").n_unique().alias("users")).collect()
    )
    if rows.row(0) != (arguments.users, arguments.users):
        sys.exit(f"each user must have one row, got {rows.row(0)} rows and users of {arguments.users}")
    sizes = {name: getattr(arguments, name) for name in ("users", "items", "dim", "k", "workers")}
    found["list_bytes"] = sum(file.stat().st_size for file in lists.glob("part-*.parquet"))
    shutil.rmtree(arguments.folder)
    rate = arguments.users / found["processor_seconds"]
    print(f"{found['seconds']:,.0f} s, {rate:,.0f} users a second and core, {found['peak_bytes'] / 1e9:.1f} GB")
    if arguments.out and not resumed:
        command = shlex.join(["python", *sys.argv])
        result = {"command": command, **sizes, **found, "environment": environment(torch.device("cpu"))}
        write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

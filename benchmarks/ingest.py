"""Logs of 1 to 200 million events into stores, and some training steps on them: seconds and peak memory of each stage.

    python benchmarks/ingest.py --events 1 10 50 --folder FOLDER --memory 2GiB
    python benchmarks/ingest.py --events 200 --folder FOLDER --trainings 32-float32 64-bfloat16

Events are drawn from a power law on both sides, with ids as text and seconds since 1970, and written as CSV in files of
ten million rows. Each stage is a process of its own; its peak is the maximum of its resident memory, which includes
pages of mapped files that the system could take back. Before the steps the memory that they need is stated, as
`ltocf train` does, from the memory that the process holds and from sizes.
"""

from __future__ import annotations

import argparse
import json
import os
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

from ltocf.files import write_text
from ltocf.models.ltocf import PRECISIONS
from ltocf.training import environment

MILLION = 10**6
PER_FILE = 10 * MILLION
RESULTS = Path(__file__).resolve().parents[1] / "results" / "scale"
USUAL = "64-float32"
USERS_PER_EVENT, ITEMS_PER_EVENT = 1 / 40, 1 / 200
STEPS = """
import json, sys, time
import torch
from ltocf import Config
from ltocf.data import load_dataset
from ltocf.data.store import leave_on_disk
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF
from ltocf.runs.memory import TrainingSizes, stated_memory
from ltocf.runs.settings import DataSettings
from ltocf.training import TrainingSettings
from ltocf.training.memory import return_unused_memory
from ltocf.training.runtime import keep_freed_memory
from ltocf.training.step import Stepper

keep_freed_memory()  # as `ltocf train` does
started = time.perf_counter()
pairs = load_dataset(sys.argv[1]).interactions
opened = time.perf_counter()
options = {"model": "ltocf", "preset": "paper", "dim": int(sys.argv[3]), "precision": sys.argv[4], "batch_size": 8192}
stated = stated_memory(Config(DataSettings("")).with_values(options), TrainingSizes.of(pairs, None)).total
model = LTOCF(BipartiteGraph.from_interactions(pairs), dim=int(sys.argv[3]), seed=0, precision=sys.argv[4])
built = time.perf_counter()
batches = model.batches(pairs, 8192, seed=0)
stepper = Stepper(model, TrainingSettings())
return_unused_memory()
leave_on_disk(pairs)
seconds = []
for number, batch in enumerate(batches.epoch(0)):
    begun = time.perf_counter()
    for step in stepper.steps():
        step(batch)
    seconds.append(time.perf_counter() - begun)
    if number + 1 == int(sys.argv[2]):
        break
found = {"open": opened - started, "graph": built - opened, "steps": seconds, "pairs": len(pairs)}
print(json.dumps(found | {"stated_bytes": stated}))
"""


def write_log(folder: Path, n_events: int) -> None:
    """Write files of events with text ids; some events repeat a pair, as in real logs."""
    folder.mkdir(parents=True, exist_ok=True)
    n_users, n_items = max(10, int(n_events * USERS_PER_EVENT)), max(10, int(n_events * ITEMS_PER_EVENT))
    for number, first in enumerate(range(0, n_events, PER_FILE)):
        file = folder / f"events-{number:03}.csv"
        if file.exists():
            continue
        random, n_rows = np.random.default_rng([7, number]), min(PER_FILE, n_events - first)
        frame = pl.DataFrame(
            {
                "user": (n_users * random.random(n_rows, np.float32) ** 2).astype(np.int64),
                "item": (n_items * random.random(n_rows, np.float32) ** 3).astype(np.int64),
                "timestamp": random.integers(1_500_000_000, 1_700_000_000, n_rows),
            }
        )
        partial = file.with_suffix(".part")
        frame.select(user=pl.format("u{}", "user"), item=pl.format("i{}", "item"), timestamp="timestamp").write_csv(
            partial
        )
        partial.rename(file)


def stage(command: list[str]) -> dict[str, Any]:
    """Run one process: its seconds, its peak memory, and the last line of its output."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    last = output.strip().splitlines()[-1] if output.strip() else ""
    peak = usage.ru_maxrss * 1024
    processor_seconds = usage.ru_utime + usage.ru_stime
    found = {"seconds": seconds, "processor_seconds": processor_seconds, "peak_bytes": peak, "said": last}
    return found | ({"status": status} if status else {})


def measure(n_millions: int, folder: Path, memory: str, n_steps: int, trainings: list[str]) -> Iterator[dict[str, Any]]:
    """All stages for a log of ``n_millions`` million events, once for each of the ``trainings``."""
    log, store = folder / f"log-{n_millions}", folder / f"store-{n_millions}"
    write_log(log, n_millions * MILLION)
    shutil.rmtree(store, ignore_errors=True)
    ingest = [sys.executable, "-m", "ltocf", "ingest", str(log / "*.csv"), "--out", str(store), "--memory", memory]
    found: dict[str, Any] = {"events": n_millions * MILLION, "memory": memory}
    found["log_bytes"] = sum(file.stat().st_size for file in log.glob("*.csv"))
    found["ingest"] = stage(ingest)
    if "status" in found["ingest"]:
        raise RuntimeError(f"{' '.join(ingest)} ended with {found['ingest']['status']}")
    found["store_bytes"] = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    shutil.rmtree(log)
    for training in trainings:
        dim, precision = training.split("-")
        trained = stage([sys.executable, "-c", STEPS, str(store), str(n_steps), dim, precision])
        # A process that the system killed for its memory has a status, and no output.
        trained |= json.loads(trained.pop("said") or "{}")
        yield found | {"dim": int(dim), "precision": precision, "train": trained}
    shutil.rmtree(store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[1, 10], help="millions")
    parser.add_argument("--folder", type=Path, required=True, help="for logs and stores, 60 bytes an event")
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--steps", type=int, default=3)
    choices = [f"{dim}-{precision}" for dim in (32, 64, 128) for precision in PRECISIONS]
    parser.add_argument("--trainings", nargs="+", default=[USUAL], choices=choices, help="dim and states of the filter")
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for n_millions in options.events:
        for result in measure(n_millions, options.folder, options.memory, options.steps, options.trainings):
            result["environment"] = environment(torch.device("cpu"))
            training = "{dim}-{precision}".format(**result)
            name = f"ingest-{n_millions:03}" + (f"-{training}" if training != USUAL else "")
            write_text(RESULTS / f"{name}.json", json.dumps(result, indent=1) + "\n")
            print(n_millions, {name: result[name] for name in ("ingest", "train")}, flush=True)


if __name__ == "__main__":
    main()

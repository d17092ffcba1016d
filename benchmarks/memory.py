"""The peak memory of whole trainings, each a process of its own, and what `ltocf fit` states before it begins.

    python benchmarks/memory.py --millions 1 10 --folder scratch

Pairs of a power law as a Parquet file; `ltocf fit` with one epoch of a step or so, validation, and the same again on
all pairs. The peak is the maximum of the resident memory. Rows that are in the results are skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import torch

from ingest import MILLION, RESULTS, stage
from ltocf.bench.synthetic import power_law
from ltocf.files import write_text
from ltocf.training import environment

FIT = """
import json, sys
import ltocf
from ltocf.training.runtime import keep_freed_memory

keep_freed_memory()
request = json.loads(sys.argv[1])
ltocf.fit(request["source"], request["out"], show_progress=False, **request["settings"])
print(json.dumps(json.load(open(request["out"] + "/metrics.json"))["memory"]))
"""
SHORT = {"epochs": 1, "epoch_share": 0.01, "validation_users": 500, "threads": 1}
VARIANTS: dict[str, dict[str, Any]] = {
    "ltocf, fast": {"model": "ltocf", "preset": "fast", "precision": "float32"},
    "ltocf, fast, bfloat16": {"model": "ltocf", "preset": "fast", "precision": "bfloat16"},
    "ltocf, paper": {"model": "ltocf", "preset": "paper"},
    "lightgcn, fast": {"model": "lightgcn", "preset": "fast"},
    "mf, fast": {"model": "mf", "preset": "fast"},
    "spectral": {"model": "spectral"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10], help="pairs")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--dims", type=int, nargs="+", default=[64])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS / "memory.json")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    for millions in arguments.millions:
        source = arguments.folder / f"pairs-{millions}.parquet"
        for name in arguments.variants:
            for dim in arguments.dims:
                rows = json.loads(arguments.out.read_text(encoding="utf-8"))["rows"] if arguments.out.exists() else []
                size = "rank" if name == "spectral" else "dim"
                key = {"variant": name, "pairs": millions * MILLION, "dim": dim}
                if any(key.items() <= row.items() for row in rows):
                    continue
                if not source.exists():
                    pairs = power_law(millions * MILLION)
                    pl.DataFrame({"user": pairs.users, "item": pairs.items}).write_parquet(source)
                    key |= {"users": pairs.n_users, "items": pairs.n_items}
                    del pairs
                rows.append(key | measured(source, arguments.folder / "run", VARIANTS[name] | SHORT | {size: dim}))
                print(rows[-1], flush=True)
                record = {"environment": environment(torch.device("cpu")), "rows": rows}
                write_text(arguments.out, json.dumps(record, indent=1) + "\n")
        source.unlink(missing_ok=True)


def measured(source: Path, out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """One run in a process of its own."""
    shutil.rmtree(out, ignore_errors=True)
    request = {"source": str(source), "out": str(out), "settings": settings}
    started = time.perf_counter()
    found = stage([sys.executable, "-c", FIT, json.dumps(request)])
    shutil.rmtree(out, ignore_errors=True)
    if "status" in found:
        raise RuntimeError(f"{request} ended with {found['status']}")
    memory = json.loads(found["said"])
    peak, total = found["peak_bytes"], memory["stated"]["total"]
    seconds = time.perf_counter() - started
    return {"stated": memory["stated"], "peak_bytes": peak, "stated_by_peak": total / peak, "seconds": seconds}


if __name__ == "__main__":
    main()

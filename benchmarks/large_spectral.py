"""The spectral model of a large log, from the pairs to everybody's lists: seconds and peak memory, on a power law.

    python benchmarks/large_spectral.py --millions 1 10 --folder scratch

The model is made in a process of its own; `ltocf recommend-all` then reads its file. Its numbers are not searched: what
a model costs does not depend on them. A size that is in the file already is skipped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from ltocf.bench.synthetic import power_law
from ltocf.data.names import Names
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import SpectralLTOCF
from ltocf.serving import TrainedModel
from ltocf.training import environment
from ltocf.training.runtime import keep_freed_memory
from recommend_all import measured

MILLION = 10**6
OUT = Path(__file__).resolve().parents[1] / "results" / "scale" / "spectral.json"


def make_model(file: Path, n_pairs: int, rank: int, threads: int) -> dict[str, Any]:
    """Decompose a log of so many pairs and save the model."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    log = power_law(n_pairs)
    started = time.perf_counter()
    graph = BipartiteGraph.from_interactions(log)
    made = time.perf_counter()
    model = SpectralLTOCF(graph, rank).decompose()
    decomposed = time.perf_counter()
    n_neighbours = model.gram.neighbours.shape[1] if model.gram is not None else 0
    TrainedModel("spectral", {"rank": rank}, model, log, Names.identity(log.n_users, log.n_items)).save(file)
    seconds = {"graph": made - started, "decomposition": decomposed - made, "saving": time.perf_counter() - decomposed}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sizes = {"pairs": n_pairs, "users": log.n_users, "items": log.n_items, "rank": rank, "n_neighbours": n_neighbours}
    return sizes | {"seconds": seconds, "peak_bytes": peak, "file_bytes": file.stat().st_size}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10], help="pairs")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, required=True, help="for models and lists; removed at the end")
    parser.add_argument("--out", type=Path, default=OUT, help="a JSON file")
    arguments = parser.parse_args()
    rows = json.loads(arguments.out.read_text(encoding="utf-8"))["rows"] if arguments.out.exists() else []
    for millions in arguments.millions:
        if any(row["pairs"] == millions * MILLION and row["rank"] == arguments.rank for row in rows):
            continue
        arguments.folder.mkdir(parents=True, exist_ok=True)
        file = arguments.folder / "model.safetensors"
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            row = pool.apply(make_model, (file, millions * MILLION, arguments.rank, arguments.threads))
        lists = measured(file, arguments.folder / "lists", arguments.k, arguments.threads)
        shutil.rmtree(arguments.folder)
        row |= {"k": arguments.k, "threads": arguments.threads, "lists": lists}
        rows.append(row)
        print(json.dumps(row), flush=True)
        record = {"environment": environment(torch.device("cpu")), "rows": rows}
        write_text(arguments.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

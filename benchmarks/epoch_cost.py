"""The time of an epoch for propagation, loss and Adam, by the number of pairs: LT-OCF `fast` on a power law.

    python benchmarks/epoch_cost.py --millions 1 10 50 --threads 1 2 --out results/scale/epoch-cost.json

Wall-clock seconds, the least of some repeats: nothing else should run. What is in the file already is skipped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from ltocf import Config
from ltocf.bench.synthetic import power_law
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF
from ltocf.models.ltocf import chosen_precision
from ltocf.models.pieces import nodes_of
from ltocf.runs.settings import DataSettings
from ltocf.training import environment
from ltocf.training.runtime import keep_freed_memory
from ltocf.training.step import Stepper

MILLION = 10**6


def least_seconds(work: Callable[[], Any], repeats: int) -> float:
    """The least time of some calls, after one that warms up."""
    work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def measured(n_pairs: int, dim: int, repeats: int, threads: list[int]) -> Iterator[dict[str, Any]]:
    """The seconds for a log of ``n_pairs`` pairs, with each number of threads."""
    log, config = power_law(n_pairs), Config(DataSettings("")).with_values({"dim": dim})
    training = config.training
    model = LTOCF(BipartiteGraph.from_interactions(log), **config.options)
    size, n_pieces = training.steps_for(len(log), model.piece_size)
    batch = next(model.batches(log, model.piece_size, seed=0).epoch(0))
    stepper, nodes = Stepper(model, training), nodes_of(batch, model.n_users)
    gradient = torch.randn_like(model.initial_embeddings)

    def propagation() -> None:
        model.propagate(model.initial_embeddings).backward(gradient)

    def piece() -> None:
        rows = gradient.index_select(0, nodes).requires_grad_()
        model.loss_of_rows(batch, rows).backward()
        assert rows.grad is not None
        gradient.index_add_(0, nodes, rows.grad)

    about = {"pairs": len(log), "users": log.n_users, "items": log.n_items, "dim": dim}
    about |= {"degree": len(model.coefficients()) - 1, "negatives": len(batch.negatives), "batch_size": size}
    about |= {"pieces": n_pieces, "piece_size": len(batch.users)}
    about |= {"precision": chosen_precision(str(config.options["precision"]), len(log))}
    for number in threads:
        torch.set_num_threads(number)
        row = about | {"threads": number, "propagation_seconds": least_seconds(propagation, repeats)}
        row["piece_seconds"] = least_seconds(piece, repeats)
        yield row | {"adam_seconds": least_seconds(stepper.optimizer.step, repeats)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10], help="pairs")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    keep_freed_memory()
    rows: list[dict[str, Any]] = json.loads(arguments.out.read_text())["rows"] if arguments.out.exists() else []
    for millions in arguments.millions:
        done = {row["threads"] for row in rows if (row["pairs"], row["dim"]) == (millions * MILLION, arguments.dim)}
        missing = [number for number in arguments.threads if number not in done]
        for row in measured(millions * MILLION, arguments.dim, arguments.repeats, missing) if missing else ():
            rows.append(row)
            print(row, flush=True)
        rows.sort(key=lambda row: (row["pairs"], row["dim"], row["threads"]))
        record = {"environment": environment(torch.device("cpu")), "rows": rows}
        write_text(arguments.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

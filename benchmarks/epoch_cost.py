"""The time of an epoch for propagation, loss and Adam, by the number of pairs: LT-OCF `fast` on a power law.

    python benchmarks/epoch_cost.py --millions 1 10 50 --out results/scale/epoch-cost.json

Seconds are processor time with one thread, the least of some repeats: other work on the machine affects them less than
wall-clock time. A size that is in the file already is skipped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ltocf import Config
from ltocf.bench.synthetic import power_law
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF
from ltocf.models.pieces import nodes_of
from ltocf.runs.settings import DataSettings
from ltocf.training import environment
from ltocf.training.runtime import keep_freed_memory
from ltocf.training.step import Stepper

MILLION = 10**6


def least_seconds(work: Callable[[], Any], repeats: int) -> float:
    """The least processor time of some calls, after one that warms up."""
    work()
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def measured(n_pairs: int, dim: int, repeats: int) -> dict[str, Any]:
    """The seconds for a log of ``n_pairs`` pairs."""
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

    row = {"pairs": len(log), "users": log.n_users, "items": log.n_items, "dim": dim}
    row |= {"degree": len(model.coefficients()) - 1, "negatives": len(batch.negatives), "batch_size": size}
    row |= {"pieces": n_pieces, "piece_size": len(batch.users)}
    row["propagation_seconds"] = least_seconds(propagation, repeats)
    row["piece_seconds"] = least_seconds(piece, repeats)
    row["adam_seconds"] = least_seconds(stepper.optimizer.step, repeats)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10], help="pairs")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows: list[dict[str, Any]] = json.loads(arguments.out.read_text())["rows"] if arguments.out.exists() else []
    for millions in arguments.millions:
        if any((row["pairs"], row["dim"]) == (millions * MILLION, arguments.dim) for row in rows):
            continue
        rows.append(measured(millions * MILLION, arguments.dim, arguments.repeats))
        print(rows[-1], flush=True)
        rows.sort(key=lambda row: (row["pairs"], row["dim"]))
        write_text(
            arguments.out, json.dumps({"environment": environment(torch.device("cpu")), "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()

"""Seconds of a training step of LT-OCF by one process and by two that share columns or nodes, on a power-law graph.

    python benchmarks/scale_step.py --pairs 1_000_000 --out results/scale/step-1m.json

One process with one thread, one with two, two with one each that share the columns, and two that share the nodes: the
last three have the same cores; `--threads-only` measures the second alone. Processes take their steps at the same
time, as in training; nothing else should run. The bytes that a process sends are calculated, and a test compares them
with a count; its seconds in collectives include the waiting for the slower process.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from ltocf.bench.synthetic import power_law
from ltocf.data import Interactions
from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.losses import LossName
from ltocf.models import LTOCF
from ltocf.models.ltocf import PRECISIONS
from ltocf.scale.blocks import Blocks
from ltocf.scale.columns import Columns
from ltocf.scale.traffic import Step
from ltocf.training import TrainingSettings, environment
from ltocf.training.runtime import keep_freed_memory
from ltocf.training.step import Stepper

LAYOUTS = ((1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 1, 2))
"""Processes, threads of each, and blocks of nodes."""
LOSSES: tuple[LossName, ...] = ("bpr", "softmax")


def work(rank: int, layout: tuple[int, int, int], port: int, folder: Path, arguments: argparse.Namespace) -> None:
    """One process of a layout; process 0 writes the rows of all losses."""
    world, threads, blocks = layout
    torch.set_num_threads(threads)
    keep_freed_memory()
    if world > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    ranks: Ranks = ALONE if world == 1 else Columns.of_group() if blocks == 1 else Blocks.of_group(blocks)
    pairs = read_pairs(folder)
    rows = [measured(loss, pairs, ranks, arguments) | {"threads": threads, "blocks": blocks} for loss in LOSSES]
    if rank == 0:
        rows_file(folder, layout).write_text(json.dumps(rows))
    if world > 1:
        dist.destroy_process_group()


def rows_file(folder: Path, layout: tuple[int, int, int]) -> Path:
    """The file in which process 0 writes the rows of a layout."""
    return folder / "rows-{}-{}-{}.json".format(*layout)


def measured(loss: LossName, pairs: Interactions, ranks: Ranks, arguments: argparse.Namespace) -> dict[str, Any]:
    """Steps of one loss: the median of their seconds, the bytes sent, and the peak memory of process 0."""
    options: dict[str, Any] = {"loss": loss, "n_negatives": arguments.negatives, "precision": arguments.precision}
    model = LTOCF(BipartiteGraph.from_interactions(pairs), dim=arguments.dim, **options)
    batches = model.batches(pairs, arguments.batch_size, seed=0)
    waiting = timed_collectives()
    seconds, waited = [], []
    n_products = 2 * (len(model.coefficients()) - 1)
    with ranks.divided(model, pairs, torch.device("cpu")):
        (step,) = Stepper(model, TrainingSettings()).steps()
        for place, batch in zip(range(arguments.warm_ups + arguments.repeats), batches.epoch(0), strict=False):
            ranks.everyone().total(torch.zeros(1))  # so that all begin together
            waiting[0], started = 0.0, time.perf_counter()
            step(batch)
            if place >= arguments.warm_ups:
                seconds.append(time.perf_counter() - started)
                waited.append(waiting[0])
    sent = Step(loss, arguments.batch_size, arguments.negatives, arguments.dim, ranks.world, len(model.times.values))
    blocks = ranks.layout().get("node_blocks", 1)
    sent = sent._replace(blocks=blocks, n_nodes=pairs.n_users + pairs.n_items, n_products=n_products)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    row = {"loss": loss, "processes": ranks.world, "n_products": n_products, "seconds": median(seconds)}
    row |= {"seconds_in_collectives": median(waited), "sent_bytes": sent.sent_bytes(), "peak_bytes": peak}
    return row | {"all_seconds": seconds}


def timed_collectives() -> list[float]:
    """Time the collectives from here on; the only number of the list adds up their seconds."""
    cell = [0.0]

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        call = getattr(call, "untimed", call)

        def run(*arguments: Any, **keywords: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*arguments, **keywords)
            finally:
                cell[0] += time.perf_counter() - started

        run.untimed = call  # type: ignore[attr-defined]
        return run

    for name in ("all_reduce", "all_gather", "all_to_all_single"):
        setattr(dist, name, timed(getattr(dist, name)))
    return cell


def read_pairs(folder: Path) -> Interactions:
    """The pairs that `main` wrote."""
    keys, (n_users, n_items) = np.load(folder / "keys.npy"), np.load(folder / "sizes.npy").tolist()
    return Interactions(keys // n_items, keys % n_items, n_users, n_items)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8192)
    parser.add_argument("--negatives", type=int, default=4096)
    parser.add_argument("--precision", choices=list(PRECISIONS), default="float32", help="of the states of the filter")
    parser.add_argument("--threads-only", action="store_true", help="one process with two threads only")
    parser.add_argument("--warm-ups", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    pairs = power_law(arguments.pairs)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "keys.npy", pairs.keys)
        np.save(folder / "sizes.npy", np.array([pairs.n_users, pairs.n_items]))
        sizes = {"pairs": len(pairs), "users": pairs.n_users, "items": pairs.n_items, "dim": arguments.dim}
        del pairs
        for layout in LAYOUTS[1:2] if arguments.threads_only else LAYOUTS:
            world, threads, blocks = layout
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            spawn(work, (layout, port, folder, arguments), nprocs=world)  # type: ignore[no-untyped-call]
            found = json.loads(rows_file(folder, layout).read_text())
            for row in found:
                print(
                    f"{row['loss']:8} {world} x {threads} threads, {blocks} blocks: {row['seconds']:.3f} s, of which "
                    f"{row['seconds_in_collectives']:.3f} s in collectives, {row['peak_bytes'] / 1e9:.2f} GB",
                    flush=True,
                )
            rows += found
    command = shlex.join(["python", *sys.argv])
    sizes |= {name: getattr(arguments, name) for name in ("batch_size", "negatives", "precision")}
    result = {"command": command, **sizes, "environment": environment(torch.device("cpu")), "rows": rows}
    if arguments.out:
        write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

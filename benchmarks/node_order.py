"""Does it pay to renumber the nodes of a large graph? A propagation of LT-OCF `fast`, forward and backward.

    python benchmarks/node_order.py --millions 10 --threads 1 2 --out results/speed/node-order-synthetic.json

The nodes of a power-law graph as they come, in no order; by degree, so that the rows that are read most lie together;
and by the reverse Cuthill-McKee order, in which neighbours lie together. The orders take turns. A thread computes a
range of rows, so orders that put long rows beside each other divide the work unequally.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.csgraph import reverse_cuthill_mckee

from ltocf import BipartiteGraph, Config
from ltocf.bench.synthetic import power_law
from ltocf.data import Interactions
from ltocf.files import write_text
from ltocf.models import LTOCF
from ltocf.runs.settings import DataSettings
from ltocf.training import environment
from ltocf.training.runtime import keep_freed_memory

ORDERS = ("as they come", "by degree", "Cuthill-McKee")
CPU = torch.device("cpu")


def renumbered(pairs: Interactions, order: str) -> Interactions:
    """The same graph with other numbers for its users and for its items."""
    if order == "as they come":
        return pairs
    if order == "by degree":
        users, items = np.argsort(-pairs.user_degrees), np.argsort(-pairs.item_degrees)
    else:
        matrix = pairs.matrix()
        nodes = reverse_cuthill_mckee(sp.bmat([[None, matrix], [matrix.T, None]], "csr"), symmetric_mode=True)
        users, items = nodes[nodes < pairs.n_users], nodes[nodes >= pairs.n_users] - pairs.n_users
    places = [np.empty(len(side), np.int64) for side in (users, items)]
    for place, side in zip(places, (users, items), strict=True):
        place[side] = np.arange(len(side))
    keys = np.sort(places[0][pairs.users] * np.int64(pairs.n_items) + places[1][pairs.items])
    return Interactions(keys // pairs.n_items, keys % pairs.n_items, pairs.n_users, pairs.n_items)


def measured(n_pairs: int, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each order in turns, with each number of threads."""
    pairs, options = (
        power_law(n_pairs),
        Config(DataSettings("")).with_values({"dim": arguments.dim, "precision": "float32"}).options,
    )
    models, taken = {}, {}
    for order in ORDERS:
        started = perf_counter()
        graph = BipartiteGraph.from_interactions(renumbered(pairs, order))
        taken[order] = perf_counter() - started
        models[order] = LTOCF(graph, **options)
    gradient = torch.randn_like(models[ORDERS[0]].initial_embeddings)
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        seconds: dict[str, list[float]] = {order: [] for order in ORDERS}
        for turn in range(1 + arguments.repeats):
            for order, model in models.items():
                started = perf_counter()
                model.propagate(model.initial_embeddings).backward(gradient)
                seconds[order] += [perf_counter() - started] if turn else []
        row: dict[str, Any] = {"pairs": n_pairs, "dim": arguments.dim, "threads": threads, "seconds": seconds}
        row["median"] = {order: median(values) for order, values in seconds.items()}
        yield row | {"graph_seconds": taken}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[10], help="pairs")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    keep_freed_memory()
    result: dict[str, Any] = {"environment": environment(CPU), "rows": []}
    for millions in arguments.millions:
        for row in measured(round(millions * 10**6), arguments):
            result["rows"].append(row)
            print(row["pairs"], row["threads"], row["median"], row["graph_seconds"], flush=True)
    if arguments.out:
        write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

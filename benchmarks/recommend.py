"""The time of one answer of a trained model, by the number of pairs it was trained on: one catalogue, the same users.

    python benchmarks/recommend.py --out results/speed/recommend-synthetic.json

The largest log follows a power law (`ltocf.bench.synthetic`), the others are random parts of it, so that the scores of
a user cost the same everywhere. The sizes take turns, call by call. Seconds are those of the processor in this process,
so that other work on the machine does not count. `looking through all pairs` ranks the same user from the pairs
themselves, which every call has to look through.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch

from ltocf.bench.synthetic import power_law
from ltocf.data import Interactions
from ltocf.data.names import Names
from ltocf.evaluation import rank
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import MF
from ltocf.serving import Snapshot
from ltocf.training import environment

SIZES = (100_000, 1_000_000, 10_000_000)
K = 10
Call = Callable[[int], Any]


def parts_of(log: Interactions, sizes: tuple[int, ...]) -> dict[int, Interactions]:
    """Random parts of a log, one of each size, over the same users and items."""
    order = np.random.default_rng(0).permutation(len(log))
    parts = {}
    for size in sizes:
        chosen = np.zeros(len(log), dtype=bool)
        chosen[order[:size]] = True
        parts[size] = log.where(chosen)
    return parts


def calls_of(log: Interactions, dim: int) -> tuple[dict[str, Call], float]:
    """The calls to measure, each given a user's index, and the seconds until the first answer."""
    model = MF(BipartiteGraph.from_interactions(log), dim)
    names = Names.identity(log.n_users, log.n_items)
    started = process_time()
    snapshot = Snapshot.of("mf", model, log, names)
    snapshot.recommend(0, K)
    seconds = process_time() - started
    first_unknown = log.n_users
    calls: dict[str, Call] = {
        "recommend": lambda user: snapshot.recommend(user, K),
        "recommend, unknown user": lambda user: snapshot.recommend(first_unknown + user, K, unknown="popular"),
        "history": lambda user: snapshot.history(user),
        "scores alone": lambda user: snapshot.scorer.scores(torch.tensor([user])),
        "looking through all pairs": lambda user: rank(snapshot.scorer, torch.tensor([user]), K, seen=log),
    }
    return calls, seconds


def measure(sizes: tuple[int, ...], dim: int, repeats: int) -> dict[str, Any]:
    """Seconds of every call, by its name and by the number of pairs."""
    logs = parts_of(power_law(max(sizes)), sizes)
    made = {size: calls_of(log, dim) for size, log in logs.items()}
    users = np.random.default_rng(1).integers(logs[max(sizes)].n_users, size=repeats + 1)
    seconds: dict[str, dict[str, list[float]]] = {}
    kinds = list(made[max(sizes)][0])
    for turn, user in enumerate(users.tolist()):
        # Size after size: every call finds the embeddings of another model in the cache, as after a pause.
        for what, size in product(kinds, sizes):
            started = process_time()
            made[size][0][what](user)
            taken = process_time() - started
            if turn:  # the first is not counted
                seconds.setdefault(what, {}).setdefault(str(size), []).append(taken)
    return {
        "n_users": logs[max(sizes)].n_users,
        "n_items": logs[max(sizes)].n_items,
        "dim": dim,
        "k": K,
        "median": {what: {size: median(taken) for size, taken in found.items()} for what, found in seconds.items()},
        "first answer": {str(size): first for size, (_, first) in made.items()},
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: tuple(map(int, text.split(","))), default=SIZES)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--threads", type=int, default=1, help="one, as in a server that answers by many workers")
    parser.add_argument("--device", choices=["cpu"], default="cpu")
    parser.add_argument("--out", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = measure(arguments.sizes, arguments.dim, arguments.repeats)
    result["environment"] = environment(torch.device("cpu"))
    for what, found in {**result["median"], "first answer": result["first answer"]}.items():
        print(f"{what}: " + ", ".join(f"{int(size):,} pairs {value * 1e3:.2f} ms" for size, value in found.items()))
    if arguments.out:
        write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What serving a model costs: memory, the time of one answer, and requests per second, by users, items and dim.

    python benchmarks/serving_memory.py
    python benchmarks/serving_memory.py --users 10000 100000   # these sizes anew, the other rows are kept

Each model has random weights and 25 items for every user, and is opened in a process of its own, which answers and then
measures its memory. Seconds are of the processor, of one thread: they hardly depend on what else runs. Requests per
second are those of one worker over HTTP, sent by wrk on the same machine, see `benchmarks/service.py`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch

from ltocf.data import Interactions, Names
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.service.engine import Engine
from ltocf.serving import TrainedModel
from ltocf.training import environment
from ltocf.training.memory import peak_bytes, resident_bytes
from service import measured, scripts, service

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((10_000, 5_000, 64), (100_000, 50_000, 64), (100_000, 50_000, 128), (1_000_000, 100_000, 64))
"""Users, items, dim."""
PAIRS_PER_USER = 25
ANSWERS = 200
K, HISTORY = 10, 20
CPU = torch.device("cpu")
CONNECTIONS, SECONDS = 16, 5
MOST_USERS_OVER_HTTP = 100_000
"""Users of the largest model that is also measured over HTTP: a larger one takes minutes to start."""


def make(path: Path, n_users: int, n_items: int, dim: int) -> None:
    """Write a model file of untrained LT-OCF: what it costs does not depend on what it has learned."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(n_users), PAIRS_PER_USER)
    pairs = Interactions.from_pairs(users, random.integers(0, n_items, len(users)), n_users, n_items)
    model = build_model("ltocf", BipartiteGraph.from_interactions(pairs), {"dim": dim})
    model.prepare()
    TrainedModel("ltocf", {"dim": dim}, model, pairs, Names.identity(n_users, n_items)).save(path)


def measure(path: Path) -> dict[str, Any]:
    """Open a model file as the service does, answer, and measure this process."""
    torch.set_num_threads(1)
    empty, started = resident_bytes(), process_time()
    loaded = Engine(path).loaded
    seconds = process_time() - started
    random = np.random.default_rng(1)
    n_users, n_items = loaded.snapshot.names.sizes
    users = random.integers(0, n_users, ANSWERS).tolist()
    histories = [random.choice(n_items, HISTORY, replace=False).tolist() for _ in range(ANSWERS)]
    known = [elapsed(lambda user=user: loaded.recommend_one(user, K)) for user in users]
    folded = [elapsed(lambda history=history: loaded.recommend_history(history, K)) for history in histories]
    return {
        "file_bytes": path.stat().st_size,
        "resident_bytes": resident_bytes(),
        "empty_bytes": empty,
        "peak_bytes": peak_bytes(CPU),
        "open_seconds": seconds,
        "recommend_seconds": median(known[1:]),
        "fold_in_seconds": median(folded[1:]),
    }


def elapsed(call: Callable[[], object]) -> float:
    started = process_time()
    call()
    return process_time() - started


def over_http(file: Path) -> dict[str, dict[str, Any]]:
    """The loads of `benchmarks/service.py` on one worker."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, service(file, 1) as (url, _):
        for name, script in scripts(file, Path(folder), seed=0).items():
            measured(script, url, 1, CONNECTIONS)  # warm
            found[name] = measured(script, url, SECONDS, CONNECTIONS)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "service" / "memory.json")
    parser.add_argument("--measure", type=Path, help="measure this model file in this process, and print")
    parser.add_argument("--make", nargs=4, metavar=("FILE", "USERS", "ITEMS", "DIM"), help="write a model file")
    parser.add_argument(
        "--users", type=int, nargs="+", help="measure only models with so many users; other rows are kept"
    )
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
    elif arguments.make:
        make(Path(arguments.make[0]), *map(int, arguments.make[1:]))
    else:
        write(arguments.out, arguments.users)


def write(out: Path, only: list[int] | None) -> None:
    """Write the rows of all sizes, each made and measured in a process of its own."""
    torch.set_num_threads(1)
    where = environment(CPU)
    before = json.loads(out.read_text())["rows"] if only and out.exists() else []
    rows = {(row["users"], row["items"], row["dim"]): row for row in before}
    for n_users, n_items, dim in SIZES:
        if only and n_users not in only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "model.safetensors")
            command = [sys.executable, __file__]
            subprocess.run([*command, "--make", file, *map(str, (n_users, n_items, dim))], check=True)
            output = subprocess.run([*command, "--measure", file], check=True, capture_output=True, text=True).stdout
            loads = over_http(Path(file)) if n_users <= MOST_USERS_OVER_HTTP else {}
        size = {"users": n_users, "items": n_items, "dim": dim}
        rows[n_users, n_items, dim] = size | json.loads(output) | {"over_http": loads, "commit": where["commit"]}
        print(rows[n_users, n_items, dim], flush=True)
    content = {"pairs_per_user": PAIRS_PER_USER, "k": K, "history": HISTORY, "answers": ANSWERS}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content | {"rows": [*rows.values()], "environment": where}, indent=2) + "\n")


if __name__ == "__main__":
    main()

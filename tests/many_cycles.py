"""Train, load and recommend repeatedly in this process; print its memory, files and threads after each cycle as JSON.

python tests/many_cycles.py FOLDER N
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from pathlib import Path
from typing import Any

import ltocf
from process_sizes import open_files, own_mb

PAIRS = [(user, item) for user in range(30) for item in range(20) if (user * 7 + item * 3) % 4]
MODELS = ("ltocf", "lightgcn", "spectral", "mf", "ease")


def cycle(folder: Path, number: int) -> list[Any]:
    """Train one of the models, load it from its folder, and return the lists of all users and one folded-in list."""
    options: dict[str, Any] = {"model": MODELS[number % len(MODELS)], "show_progress": False, "seed": 1}
    if options["model"] in ("ltocf", "lightgcn", "mf"):
        options |= {"dim": 8, "epochs": 2}
    ltocf.fit(PAIRS, folder, exists="replace", **options)
    trained = ltocf.load(folder)
    return [trained.recommend(list(range(30)), k=5).rows(), trained.snapshot.fold_in([1, 2, 3], k=5).rows()]


def main() -> None:
    folder, n, process = Path(sys.argv[1]), int(sys.argv[2]), int(Path("/proc/self").readlink().name)
    first_lists: dict[int, list[Any]] = {}
    for number in range(n):
        lists = cycle(folder / "run", number)
        if lists != first_lists.setdefault(number % len(MODELS), lists):
            raise AssertionError(f"cycle {number} gave other lists than the first one of its model")
        gc.collect()
        held = {"mb": own_mb(process), "files": open_files(process), "threads": threading.active_count()}
        held["tasks"] = len(list(Path("/proc/self/task").iterdir()))
        sys.stdout.write(json.dumps(held) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

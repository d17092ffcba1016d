"""Train a model by one thread and by two, and print as JSON whether any weight differs.

python tests/one_and_two_threads.py MODEL FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.numpy import load_file

import ltocf
from model_samples import OPTIONS
from samples import random_interactions

FILES = ("model.safetensors", "model-selection.safetensors")


def weights(name: str, folder: Path, threads: int) -> list[bytes]:
    log = random_interactions(1500, 1000, density=0.03)
    pairs = list(zip(log.users.tolist(), log.items.tolist(), strict=True))
    options = OPTIONS[name] | ({"dim": 16} if "dim" in OPTIONS[name] else {}) | {"model": name, "epochs": 1}
    out = folder / f"by-{threads}"
    ltocf.train(pairs, out, threads=threads, exists="replace", show_progress=False, **options)
    arrays = [load_file(out / file) for file in FILES]
    return [content[key].tobytes() for content in arrays for key in sorted(content)]


if __name__ == "__main__":
    by_one, by_two = (weights(sys.argv[1], Path(sys.argv[2]), threads) for threads in (1, 2))
    sys.stdout.write(json.dumps(by_one != by_two))

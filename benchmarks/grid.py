"""Choose learning rate and L2 on the validation part, then train with several seeds and read test once each.

    python benchmarks/grid.py ../shared/data/irb-amazon2014-health --out results/irb-amazon2014-health

The grid never touches the test part. Every cell and every run is written when it is done; a second start goes on
from there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ltocf import MODELS, BipartiteGraph, Split, evaluate, load_dataset, train
from ltocf.data import carve_validation, split_dataset
from ltocf.files import write_text
from ltocf.training import TrainingSettings, environment, fit

GRID = {"learning_rate": [3e-3, 1e-2], "l2": [1e-4, 1e-3, 1e-2, 1e-1]}
FIXED = TrainingSettings(batch_size=2048, epochs=400, validate_every=5, patience=10)
SEEDS = (0, 1, 2)


def validation_recall(model_name: str, split: Split, values: dict[str, float]) -> dict[str, Any]:
    """Best validated recall@20 of one cell, with seed 0."""
    model = MODELS[model_name](BipartiteGraph.from_interactions(split.train), seed=0)
    settings = replace(FIXED, **values)
    batches = model.batches(split.train, settings.batch_size, seed=0)
    result = fit(
        model,
        batches,
        settings=settings,
        validate=lambda: evaluate(model.scorer(), split.validation, seen=split.train),
    )
    return {**values, "recall@20": result.best_value, "epoch": result.best_epoch, "seconds": result.seconds}


def search(model_name: str, split: Split, path: Path) -> dict[str, float]:
    """The best cell of the grid, read from ``path`` as far as it is known."""
    known = json.loads(path.read_text()) if path.exists() else {"environment": environment(torch.device("cpu"))}
    cells = known.setdefault(model_name, [])
    for combination in itertools.product(*GRID.values()):
        values = dict(zip(GRID, combination, strict=True))
        if not any(all(cell[name] == value for name, value in values.items()) for cell in cells):
            cells.append(validation_recall(model_name, split, values))
            print(model_name, cells[-1], flush=True)
            write_text(path, json.dumps(known, indent=2) + "\n")
    best = max(cells, key=lambda cell: cell["recall@20"])
    return {name: best[name] for name in GRID}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a catalog name, folder or table file")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split = carve_validation(split_dataset(load_dataset(arguments.source)))
    for model_name in MODELS:
        chosen = search(model_name, split, arguments.out / "grid.json")
        for seed in SEEDS:
            path = arguments.out / f"{model_name}-seed{seed}.json"
            if path.exists():
                continue
            fixed = {"batch_size": FIXED.batch_size, "epochs": FIXED.epochs, "threads": arguments.threads}
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                metrics = train(arguments.source, out, model=model_name, seed=seed, **fixed, **chosen)
            write_text(path, json.dumps(metrics, indent=2) + "\n")
            print(model_name, seed, chosen, metrics["recall@20"], metrics["ndcg@20"], flush=True)


if __name__ == "__main__":
    main()

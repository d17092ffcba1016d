"""How much time recording the steps of an epoch as a CUDA graph saves: epochs of the preset `fast`, with and without.

python benchmarks/cuda_graphs.py --out results/speed/cuda-graphs.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ltocf import Config
from ltocf.bench.synthetic import power_law
from ltocf.data import Interactions
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import GradientRecommender, build_model
from ltocf.runs.settings import DataSettings
from ltocf.training import EpochRecord, FitContext, environment, fit

MODELS = ("ltocf", "lightgcn")
DIM = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    log = power_law(arguments.pairs)
    rows = [train(name, log, arguments.epochs, graphs) for name in MODELS for graphs in (False, True)]
    content = {
        "command": f"python benchmarks/cuda_graphs.py --pairs {arguments.pairs} --epochs {arguments.epochs}",
        "data": f"power_law({arguments.pairs}), seed 0: {log.n_users} users, {log.n_items} items",
        "environment": environment(torch.device("cuda")),
        "rows": rows,
    }
    write_text(arguments.out, json.dumps(content, indent=2) + "\n")


def train(name: str, log: Interactions, epochs: int, graphs: bool) -> dict[str, Any]:
    """Median seconds of the epochs after the first, and the losses, which should be the same with and without."""
    config = Config(DataSettings(""), name).with_values({"dim": DIM, "epochs": epochs, "cuda_graphs": graphs})
    settings = config.training
    model = build_model(name, BipartiteGraph.from_interactions(log), config.options).to("cuda")
    assert isinstance(model, GradientRecommender)
    records: list[EpochRecord] = []
    batches = model.batches(log, settings.batch_size_for(len(log)), 0, "cuda")
    fit(model, batches, settings=settings, context=FitContext(on_epoch=records.append))
    return {
        "model": name,
        "dim": DIM,
        "batch_size": batches.batch_size,
        "steps_per_epoch": len(batches),
        "cuda_graphs": graphs,
        "seconds_per_epoch": median(record["seconds"] for record in records[1:]),
        "losses": [record["loss"] for record in records],
        "learned": model.learned(),
    }


if __name__ == "__main__":
    main()

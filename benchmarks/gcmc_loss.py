"""GC-MC with the cross-entropy of its source, compared with BPR on the validation set.

    python benchmarks/gcmc_loss.py irb-amazon2014-health --data data

The source classifies ratings: a softmax over levels, each with a decoder Q_r. With the levels 0 (not touched) and 1,

    p(1 | u, i) = exp(Z[u] Q_1 Z[i]) / (exp(Z[u] Q_0 Z[i]) + exp(Z[u] Q_1 Z[i])) = σ(Z[u] (Q_1 - Q_0) Z[i]),

so one decoder Q = Q_1 - Q_0 and `loss = "cross-entropy"` are the same model. One item that the user has not touched
stands for level 0 beside each pair. Both losses have the same rates and penalties to choose from; the test set is not
read.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch

from ltocf.data import Split, carve_validation, load_dataset, split_dataset
from ltocf.evaluation import Validation
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.losses import LossName
from ltocf.models import GCMC
from ltocf.training import FitContext, TrainingSettings, environment, fit

RESULTS = Path(__file__).resolve().parents[1] / "results"
RATES, PENALTIES = (1e-3, 3e-3, 1e-2), (1e-3, 1e-2)


def trained(loss: LossName, split: Split, rate: float, l2: float, seed: int) -> dict[str, Any]:
    """The best validation metrics of one training."""
    assert split.validation is not None
    started = time.perf_counter()
    model = GCMC(BipartiteGraph.from_interactions(split.train), seed=seed, loss=loss)
    settings = TrainingSettings(learning_rate=rate, l2=l2, batch_size=2048, epochs=400, validate_every=5, patience=6)
    validation = Validation(split.validation, seen=split.train)
    best: dict[str, float] = {}

    def validate() -> dict[str, float]:
        metrics = validation(model.scorer())
        if metrics["recall@20"] > best.get("recall@20", 0.0):
            best.update({name: metrics[name] for name in ("recall@20", "ndcg@20")})
        return metrics

    result = fit(
        model,
        model.batches(split.train, settings.batch_size, seed),
        settings=settings,
        validate=validate,
        context=FitContext(show_progress=False),
    )
    return {"learning_rate": rate, "l2": l2, "seed": seed, **best, "best_epoch": result.best_epoch} | {
        "epochs": result.epochs,
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True, help="the folder that has a folder of the data set")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    folder = options.data / options.dataset
    split = carve_validation(split_dataset(load_dataset(folder if folder.exists() else options.dataset)))
    rows: dict[LossName, list[dict[str, Any]]] = {"bpr": [], "cross-entropy": []}
    for loss, trials in rows.items():
        trials += [trained(loss, split, rate, l2, 0) for rate, l2 in product(RATES, PENALTIES)]
        best = max(trials, key=lambda row: row["recall@20"])
        trials += [trained(loss, split, best["learning_rate"], best["l2"], seed) for seed in range(1, options.seeds)]
        print(loss, best)
    record = {"dataset": options.dataset, "losses": rows, "environment": environment(torch.device("cpu"))}
    out = RESULTS / "recipe" / f"gcmc-loss-{options.dataset}.json"
    write_text(out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

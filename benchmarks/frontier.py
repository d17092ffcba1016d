"""Accuracy against seconds of training, of every variant tried: one run each, on the validation set.

    python benchmarks/frontier.py gowalla --out results/gowalla/frontier.json
    python benchmarks/frontier.py gowalla --out ... --only "MF;dim 128"

Nothing here sees the test set. A variant is close to the preset `fast` with some settings changed, or `paper`.
Seconds are those of training alone; the validation that draws the curve is not counted. Every variant is written when
it is done, and a second start continues from there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from ltocf import MODELS, BipartiteGraph, Config, Split, evaluate, load_dataset
from ltocf.data import carve_validation, split_dataset
from ltocf.files import write_text
from ltocf.models import EmbeddingRecommender, start_from_spectrum
from ltocf.runs.settings import DataSettings
from ltocf.training import FitContext, environment, fit, sample_users

N_USERS = 15_000
"""Validation users of the curve, about half of Gowalla's: differences between variants are good to about 0.001."""
REFERENCE: dict[str, Any] = {
    "epochs": 8,
    "precision": "bfloat16",
    "learning_rate": 0.03,
    "robustness": 0.2,
    "n_negatives": 4096,
    "popularity": 1.0,
}
"""Close to `fast`, with half its negatives, which halves the time of the loss."""
ODE: dict[str, Any] = {"horizon": 3.0, "connection": "residual"}
"""The preset's values when the variants were tried; it has those of "horizon 4, linear" as a result."""


def changed(**settings: Any) -> dict[str, Any]:
    return REFERENCE | ODE | settings


GRAPHLESS = {name: value for name, value in REFERENCE.items() if name != "precision"}
PAPER = {"preset": "paper", "epochs": 8, "learning_rate": 0.02, "batch_size": 8192, "precision": "bfloat16"}
VARIANTS: dict[str, dict[str, Any]] = {
    "reference": changed(),
    "8,192 negatives": changed(n_negatives=8192),
    "robustness 0.1": changed(robustness=0.1),
    "robustness 0.4": changed(robustness=0.4),
    "robustness 0": changed(robustness=0.0),
    "robustness 0, rate 0.1": changed(robustness=0.0, learning_rate=0.1),
    "robustness 0, rate 0.01": changed(robustness=0.0, learning_rate=0.01, precision="float32"),
    "robustness 0, temperature 0.10": changed(robustness=0.0, temperature=0.1),
    "robustness 0.15, temperature 0.14": changed(robustness=0.15, temperature=0.14),
    "robustness 0, rate 0.01, adaptive temperatures": changed(
        robustness=0.0, learning_rate=0.01, adaptive_temperature=0.5
    ),
    "ranked by inner product": changed(ranking="inner_product", popularity=0.0),
    "horizon 4, linear": changed(horizon=4.0, connection="linear"),
    "spectral start": changed(init="spectral"),
    "BPR, as in the paper": PAPER,
    "LightGCN": GRAPHLESS | {"model": "lightgcn"},
    "MF": GRAPHLESS | {"model": "mf"},
    "constant rate": changed(schedule="constant"),
    "256 negatives": changed(n_negatives=256),
    "horizon 2": changed(horizon=2.0),
    "dim 128": changed(dim=128),
    "spectral start, dim 256": changed(init="spectral", dim=256, epochs=3),
    "dim 256": changed(dim=256, epochs=3),
    "spectral start, dim 512": changed(init="spectral", dim=512, epochs=2),
}


def run(config: Config, split: Split) -> dict[str, Any]:
    """Train on the training part and rank the validation set after every epoch."""
    assert split.validation is not None
    graph, seed = BipartiteGraph.from_interactions(split.train), config.run.seed
    truth = sample_users(split.validation, seed, N_USERS)
    started = perf_counter()
    model = MODELS[config.model](graph, **config.options, seed=seed)
    assert isinstance(model, EmbeddingRecommender)
    if config.run.init == "spectral":
        start_from_spectrum(model, graph, seed)
    curve = [{"seconds": perf_counter() - started, "epoch": 0} | _measured(model, split, truth)]

    def record(epoch: dict[str, Any]) -> None:
        # An epoch ends here, and the next one begins when this returns.
        seconds = curve[-1]["seconds"] + epoch["seconds"]
        curve.append({"seconds": seconds, "epoch": epoch["epoch"]} | _measured(model, split, truth))

    batches = model.batches(split.train, config.training.batch_size_for(len(split.train)), seed)
    fit(model, batches, settings=config.training, context=FitContext(on_epoch=record))
    return {
        "model": config.model,
        "init": config.run.init,
        "options": dict(config.options),
        "training": vars(config.training),
        "curve": curve,
    }


def _measured(model: EmbeddingRecommender, split: Split, truth: Any) -> dict[str, float]:
    found = evaluate(model.scorer(), truth, seen=split.train)
    return {name: found[name] for name in ("recall@20", "ndcg@20")}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a catalog name or a folder")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")
    parser.add_argument("--only", help="names of variants, joined by semicolons")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    split = carve_validation(split_dataset(load_dataset(arguments.dataset)), seed=0, how="last")
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    variants = known.setdefault("variants", {})
    for name in arguments.only.split(";") if arguments.only else VARIANTS:
        if name in variants:
            continue
        config = Config(DataSettings(arguments.dataset)).with_values(VARIANTS[name])
        variants[name] = {"changed": VARIANTS[name]} | run(config, split)
        known |= {"dataset": Path(arguments.dataset).name, "n_users": N_USERS}
        known["environment"] = environment(torch.device("cpu"))
        last = variants[name]["curve"][-1]
        print(f"{name}: {last['recall@20']:.4f} {last['ndcg@20']:.4f} after {last['seconds']:.0f} s", flush=True)
        write_text(arguments.out, json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Do weights help? Ratings of the shipped MovieLens set as weights, against the same pairs without.

    python benchmarks/weights.py --models spectral lightgcn --seeds 3

Two readings of ratings: films rated at least 3.5 are the interactions (``liked``), or all rated films are (``all``).
The test pairs are withheld films rated at least 3.5; all films rated in training are left out of the lists.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch

import ltocf
from ltocf.data import Interactions, carve_validation, find, random_split
from ltocf.evaluation import Validation, evaluate
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.runs.config import Config
from ltocf.runs.settings import DataSettings
from ltocf.training import environment

LIKED = 3.5
WEIGHTS = {
    "none": None,
    "rating": lambda ratings: ratings / 5,
    "rating - 3": lambda ratings: np.maximum(ratings - 3, 0.1),
    "2^rating": lambda ratings: 2.0 ** (ratings - 5),
}


def ratings() -> tuple[Interactions, np.ndarray]:
    """All rated films as pairs, and their ratings."""
    frame = pl.read_parquet(find("movielens-small") / "movielens-small.parquet")
    users, items = (frame[column].rank("dense").cast(pl.Int64).to_numpy() - 1 for column in ("user", "item"))
    rated = Interactions.from_pairs(users, items, weights=frame["rating"].to_numpy())
    return Interactions(rated.users, rated.items, rated.n_users, rated.n_items), np.asarray(rated.weights)


def weighted(pairs: Interactions, values: np.ndarray, name: str) -> Interactions:
    weigh = WEIGHTS[name]
    weights = None if weigh is None else weigh(values).astype(np.float32)
    return Interactions(pairs.users, pairs.items, pairs.n_users, pairs.n_items, None, weights)


def measure(model: str, reading: str, name: str, seed: int, device: str) -> dict[str, float]:
    pairs, values = ratings()
    split = random_split(pairs, seed=seed)
    liked = Interactions(pairs.users[values >= LIKED], pairs.items[values >= LIKED], pairs.n_users, pairs.n_items)
    test = split.test.where(np.isin(split.test.keys, liked.keys))
    known = np.isin(pairs.keys, split.train.keys) & ((values >= LIKED) | (reading == "all"))
    train = weighted(pairs.where(known), values[known], name)
    carved = carve_validation(ltocf.Split(train, test), seed=seed)
    assert carved.validation is not None
    truth = carved.validation.where(np.isin(carved.validation.keys, liked.keys))
    config = Config(DataSettings("movielens-small"), model)
    recommender = build_model(model, BipartiteGraph.from_interactions(carved.train), config.options, seed=seed).to(
        device
    )
    validation = Validation(truth, split.train.where(~np.isin(split.train.keys, truth.keys)))
    started = time.perf_counter()
    recommender.train_on(carved.train, settings=config.training, validation=validation, seed=seed)
    seconds = time.perf_counter() - started
    measured = evaluate(recommender.scorer(), test, seen=split.train, ks=[20])
    return {"recall@20": measured["recall@20"], "ndcg@20": measured["ndcg@20"], "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["spectral", "mf", "lightgcn", "ltocf"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("results/weights/movielens-small.json"))
    arguments = parser.parse_args()
    rows = []
    for model in arguments.models:
        for reading in ("liked", "all"):
            for name in WEIGHTS:
                for seed in range(arguments.seeds):
                    row = {"model": model, "reading": reading, "weights": name, "seed": seed}
                    rows.append(row | measure(model, reading, name, seed, arguments.device))
                    print(rows[-1], flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/weights.py --models {' '.join(arguments.models)} --seeds {arguments.seeds}"
    command += f" --device {arguments.device}"
    content = {"command": command, "environment": environment(torch.device(arguments.device)), "rows": rows}
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()

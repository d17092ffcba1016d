"""How recency changes as histories grow: the best power of similarities, and the slope of the trend, at one cut after
another.

    python benchmarks/drift.py gowalla yelp2018 movielens-small --data data

The last fifth of every history of the training set is withheld, then the last fifth of what is left, and so on. At each
cut, what comes after it is predicted from what comes before. The similarities know nothing after the first cut.
The test set is the last part, unless the set has none: no cut before it depends on it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltocf import load_dataset
from ltocf.data import Interactions, Split, carve_validation
from ltocf.data.splitting import split_dataset
from ltocf.files import write_text
from ltocf.models.drift import Cut, best_powers, trend_slope
from ltocf.training import environment

RESULTS = Path(__file__).resolve().parents[1] / "results"
FIFTH, N_CUTS = 0.2, 3


def cuts_of(train: Interactions, n_cuts: int) -> list[Cut]:
    """The training set without its last fifth, then without that of the rest, and so on; the earliest first."""
    cuts: list[Cut] = []
    for _ in range(n_cuts):
        split = carve_validation(Split(train, train.where(np.zeros(len(train), bool))), FIFTH, how="last")
        assert split.validation is not None
        cuts.insert(0, Cut(split.train, split.validation))
        train = split.train
    return cuts


def measure(source: str, data: Path, seed: int) -> dict[str, Any]:
    """A row for each cut."""
    dataset = load_dataset(source, data_dir=data)
    how = "given" if dataset.test is not None else "none"
    split = split_dataset(dataset, how)
    cuts = cuts_of(split.train, N_CUTS)
    names = [*(f"cut {place}" for place in range(1, N_CUTS)), "validation set"]
    if len(split.test):
        cuts, names = [*cuts, Cut(split.train, split.test)], [*names, "test set"]
    best, resampled = best_powers(cuts, seed)
    rows = []
    for place, (name, cut) in enumerate(zip(names, cuts, strict=True)):
        slope, error = trend_slope(cut)
        power = {"power": float(best[place]), "power_error": float(resampled[:, place].std())}
        rows.append({"cut": name, "pairs": len(cut.before), **power, "slope": slope, "slope_error": error})
        print(source, rows[-1], flush=True)
    return {"dataset": source, "seed": seed, "cuts": rows, "environment": environment(torch.device("cpu"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="a folder with a folder of each data set")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for dataset in options.datasets:
        result = measure(dataset, options.data, options.seed)
        write_text(RESULTS / "recipe" / f"drift-{dataset}.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""How often the rare items of a k-core are in its test set, beside what `ltocf.models.core` expects.

    python benchmarks/core.py gowalla yelp2018 --data data

Of each number of training pairs: the items, and how many test pairs they have for each training pair, relative to items
with k training pairs or more. Only counts of items are read, and nothing is trained. Results are kept in
results/recipe/.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from ltocf.data import Split, load_dataset, split_dataset
from ltocf.files import write_text
from ltocf.models.core import log_core_ratio
from ltocf.training import environment

RESULTS = Path(__file__).resolve().parents[1] / "results" / "recipe"


def measure(split: Split, core: int) -> dict[str, Any]:
    """A row for each number of training pairs below ``core``, and the share of the test pairs of all these items."""
    kept, held_out = split.train.item_degrees, split.test.item_degrees
    others = held_out[kept >= core].sum() / kept[kept >= core].sum()
    expected = log_core_ratio(torch.arange(core).double(), core, split.held_out).exp().tolist()
    rows = []
    for degree in range(1, core):
        chosen = kept == degree
        if not chosen.any():
            continue
        found = held_out[chosen].mean() / degree / others
        row = {"training_pairs": degree, "items": int(chosen.sum()), "test_pairs": int(held_out[chosen].sum())}
        rows.append(row | {"ratio": float(found), "expected": expected[degree]})
    share = held_out[kept < core].sum() / held_out.sum()
    return {"core": core, "held_out": split.held_out, "share_of_test_pairs": float(share), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="a folder with a folder of each data set")
    parser.add_argument("--core", type=int, default=10)
    options = parser.parse_args()
    for dataset in options.datasets:
        split = split_dataset(load_dataset(dataset, data_dir=options.data))
        result = {"dataset": dataset, "split": split.summary()} | measure(split, options.core)
        result["environment"] = environment(torch.device("cpu"))
        write_text(RESULTS / f"core-{dataset}.json", json.dumps(result, indent=1) + "\n")
        for row in result["rows"]:
            print(dataset, {name: round(value, 2) for name, value in row.items()})


if __name__ == "__main__":
    main()

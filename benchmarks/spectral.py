"""Accuracy of SpectralLTOCF against its rank and the seconds it takes, and that of GF-CF's constants.

    python benchmarks/spectral.py gowalla --out results/gowalla/spectral-ranks.json
    python benchmarks/spectral.py gowalla --ranks 512 --neighbours 0,50,200 --out results/gowalla/spectral-gram.json

Every row is a process of its own, so that its peak memory is its own: numbers are searched on the validation set with
a decomposition that has not seen it, then the whole training set is decomposed and all users of the test set
are ranked. The rank of `configs/` was chosen by the validation columns. Rows that the file has already are kept.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from ltocf import BipartiteGraph, evaluate, load_dataset
from ltocf.data import Interactions, carve_validation, split_dataset
from ltocf.files import write_text
from ltocf.models import SpectralLTOCF
from ltocf.training import (
    MOST_EVALUATIONS,
    SEARCH_USERS,
    EpochRecord,
    FitContext,
    Shortlist,
    environment,
    sample_users,
    search,
)

METRICS = ("recall@20", "ndcg@20")
VALIDATION: dict[str, Any] = {"fraction": 0.1, "how": "last", "core": 10}
"""The end of each history of a 10-core, as the test sets of these sets are, but a tenth and not a fifth: the graph is
fuller then, see docs/spectral.md, "How much to withhold"."""
RANKS = (64, 128, 256, 512, 1024)
GFCF_WEIGHT = 0.3
GFCF: dict[str, Any] = {
    "options": {"rank": 256, "user_exponent": 0.5, "item_exponent": 0.5},
    # log t: far beyond every 1 / σ², the ideal low-pass; then log w, a, b, c, d.
    "numbers": [50.0, -math.log(GFCF_WEIGHT), 0.5, 0.5, 0.0, 0.0],
}
PUBLISHED = {
    "gowalla": {
        "GF-CF": {"recall@20": 0.1849, "ndcg@20": 0.1518},
        "BSPM": {"recall@20": 0.1920, "ndcg@20": 0.1597},
        "ChebyCF": {"recall@20": 0.1941, "ndcg@20": 0.1617},
    },
    "yelp2018": {
        "GF-CF": {"recall@20": 0.0697, "ndcg@20": 0.0571},
        "BSPM": {"recall@20": 0.0720, "ndcg@20": 0.0593},
    },
}
"""Training-free methods on exactly these splits, as their papers give them."""


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """One row: search on validation, then decompose the whole training set and rank the test set."""
    torch.set_num_threads(task["threads"])
    dataset = load_dataset(task["dataset"], data_dir=task["data_dir"])
    split = carve_validation(split_dataset(dataset), **VALIDATION)
    assert split.validation is not None
    model, records, searched = choose(task, split.train, split.validation)
    chosen = max(records, key=lambda record: record["recall@20"])
    validated = evaluate(
        model, sample_users(split.validation, task["sample"], SEARCH_USERS), seen=split.train, ks=(20,)
    )
    everything = split.train.union(split.validation)
    final = SpectralLTOCF(BipartiteGraph.from_interactions(everything), **task["options"])
    final.numbers.copy_(model.numbers)
    started = perf_counter()
    final.decompose()
    decomposed = perf_counter()
    tested = evaluate(final, split.test, seen=everything, ks=(20,))
    ranked = perf_counter()
    return {
        "label": task["label"],
        "options": task["options"],
        "numbers": final.learned(),
        "validation": {name: validated[name] for name in METRICS},
        "shortlists": {name: chosen[name] for name in METRICS},
        "test": {name: tested[name] for name in METRICS},
        "seconds": {"search": searched, "svd": decomposed - started, "ranking": ranked - decomposed},
        "evaluations": len(records),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def choose(
    task: dict[str, Any], train: Interactions, validation: Interactions
) -> tuple[SpectralLTOCF, list[EpochRecord], float]:
    """The model with the numbers that validate best, or with those of the task; all evaluations, and their seconds."""
    model = SpectralLTOCF(BipartiteGraph.from_interactions(train), **task["options"])
    if task["numbers"] is not None:
        model.numbers.copy_(torch.tensor(task["numbers"]))
    sample = sample_users(validation, task["sample"], SEARCH_USERS)
    shortlist = Shortlist(model, sample, train, k=20)
    records: list[EpochRecord] = []

    def validate() -> dict[str, float]:
        return evaluate(shortlist, sample, seen=train, ks=(20,))

    context = FitContext(on_epoch=records.append)
    search(model, validate=validate, evaluations=task["evaluations"], context=context)
    return model, records, sum(record["seconds"] for record in records)


def numbers(text: str) -> list[int]:
    """Of a list with commas."""
    return [int(number) for number in text.split(",")]


def tasks(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    shared = {name: getattr(arguments, name) for name in ("dataset", "data_dir", "threads", "sample")}
    sample = f", sample {arguments.sample}" if arguments.sample else ""
    searched = {"numbers": None, "evaluations": arguments.evaluations}
    rows = [] if arguments.neighbours else [{"label": "GF-CF", **GFCF, "evaluations": 1}]
    for rank, n_neighbours in product(arguments.ranks, arguments.neighbours or [0]):
        kept = f", {n_neighbours} neighbours" if n_neighbours else ""
        options = {"rank": rank} | ({"n_neighbours": n_neighbours} if n_neighbours else {})
        rows.append(searched | {"label": f"rank {rank}{kept}{sample}", "options": options})
    return [shared | row for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a catalog name")
    parser.add_argument("--data-dir")
    parser.add_argument("--ranks", type=numbers, default=RANKS)
    parser.add_argument("--neighbours", type=numbers, default=[], help="of each item; 0: the exact product")
    parser.add_argument("--evaluations", type=int, default=MOST_EVALUATIONS, help="of each search")
    parser.add_argument("--sample", type=int, default=0, help="seed of the users who are searched on")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result: dict[str, Any] = {"dataset": arguments.dataset, "rows": []}
    if arguments.out.exists():
        result = json.loads(arguments.out.read_text())
    result |= {
        "validation_part": VALIDATION,
        "published": PUBLISHED.get(arguments.dataset, {}),
        "environment": environment(torch.device("cpu")),
    }
    for task in tasks(arguments):
        if task["label"] in [row["label"] for row in result["rows"]]:
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            row = pool.apply(measure, (task,))
        result["rows"].append(row)
        write_text(arguments.out, json.dumps(result, indent=2) + "\n")
        seconds = ", ".join(f"{name} {value:.0f} s" for name, value in row["seconds"].items())
        print(f"{row['label']}: {row['test']}, {seconds}, {row['peak_memory_mib']:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()

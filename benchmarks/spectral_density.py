"""Which times and weights of SpectralLTOCF a validation set prefers, by how much it leaves in the graph.

    python benchmarks/spectral_density.py gowalla --out results/gowalla/spectral-density.json

The end of each history in the 10-core of the training set is withheld, a fifth, a tenth or a twentieth of it; the rest
is decomposed, and a grid of t and w is measured with the exponents that the search starts from. The test set is not
read.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import torch

from ltocf import BipartiteGraph, Split, evaluate, load_dataset
from ltocf.data import Interactions, carve_validation, split_dataset
from ltocf.files import write_text
from ltocf.models import SpectralLTOCF
from ltocf.training import SEARCH_USERS, Shortlist, environment, sample_users

FRACTIONS = (0.2, 0.1, 0.05)
TIMES = (4.0, 6.0, 9.0, 13.5, 20.0, 30.0)
WEIGHTS = (1.3, 2.0, 3.3, 5.0)
METRICS = ("recall@20", "ndcg@20")


def measure(split: Split, fraction: float, rank: int) -> dict[str, Any]:
    """The grid on one validation set."""
    carved = carve_validation(split, fraction, how="last", core=10)
    assert carved.validation is not None
    model = SpectralLTOCF(BipartiteGraph.from_interactions(carved.train), rank=rank).decompose()
    truth = sample_users(carved.validation, 0, SEARCH_USERS)
    shortlist = Shortlist(model, truth, carved.train, k=20)
    evaluate(shortlist, truth, seen=carved.train, ks=(20,))  # The shortlists are made with the initial numbers.
    cells = []
    for t in TIMES:
        for w in WEIGHTS:
            model.numbers[:2] = torch.tensor([math.log(t), math.log(w)])
            metrics = evaluate(shortlist, truth, seen=carved.train, ks=(20,))
            cells.append({"t": t, "w": w, **{name: metrics[name] for name in METRICS}})
    return {
        "fraction": fraction,
        "share_of_train": len(carved.train) / len(split.train),
        "rare_items": rare_items(carved.train, carved.validation),
        "cells": cells,
    }


def rare_items(graph: Interactions, withheld: Interactions) -> float:
    """Withheld pairs for each pair in the graph, of items with 5 to 7 pairs there, relative to all items."""
    rare = (graph.item_degrees >= 5) & (graph.item_degrees <= 7)
    share_of_rare = withheld.item_degrees[rare].sum() / graph.item_degrees[rare].sum()
    return float(share_of_rare / (len(withheld) / len(graph)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a catalog name")
    parser.add_argument("--data-dir")
    parser.add_argument("--rank", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split = split_dataset(load_dataset(arguments.dataset, data_dir=arguments.data_dir))
    result = {
        "dataset": arguments.dataset,
        "rank": arguments.rank,
        "parts": [measure(split, fraction, arguments.rank) for fraction in FRACTIONS],
        "environment": environment(torch.device("cpu")),
    }
    write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

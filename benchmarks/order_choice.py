"""Ways to choose the numbers of `spectral` if histories are in order, tried on a test set made of training pairs.

    python benchmarks/order_choice.py gowalla --rank 512 --data data

The last fifth of every user's training pairs stands in for the test set; the rest is trained on. With the rest the
numbers are chosen in one of these ways, and measured once on the stand-in:

- `fifth`: power and trend of recency and all other numbers together on the last fifth;
- `tenth`: the same on the last tenth;
- `tenth, order on fifth`: those numbers, power and trend chosen again on the last fifth;
- `set`: all other numbers on a random tenth, without recency;
- `set, order on fifth`: those numbers, power and trend on the last fifth;
- `fifth, no trend`: as `fifth`, the power chosen again without a trend;
- `stand-in`: the search may read the stand-in itself, which no choice can beat by much.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltocf.data import Interactions, Split, carve_validation, load_dataset, split_dataset
from ltocf.evaluation import Validation
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import SpectralLTOCF
from ltocf.training import SEARCH_USERS, FitContext, TrainingSettings, environment

RESULTS = Path(__file__).resolve().parents[1] / "results"
POWERS = np.arange(0, 1.51, 0.125).tolist()
TRENDS = np.arange(0, 1.51, 0.25).tolist()
METRICS = ("recall@20", "ndcg@20")


def withheld(pairs: Interactions, fraction: float, how: str) -> tuple[Interactions, Interactions]:
    """The pairs to train on, and the withheld pairs."""
    split = carve_validation(Split(pairs, pairs.where(np.zeros(len(pairs), bool))), fraction, how=how)
    assert split.validation is not None
    return split.train, split.validation


class Choice:
    """A model trained without some pairs, and the choice of its numbers on these pairs.

    Args:
        train: the pairs to train on.
        truth: the withheld pairs.
        rank: rank of the model.
        recency: ``off`` or ``auto``.
    """

    def __init__(self, train: Interactions, truth: Interactions, rank: int, recency: str = "auto") -> None:
        self.train, self.validation = train, Validation(truth, seen=train, n_users=SEARCH_USERS)
        self.model = SpectralLTOCF(BipartiteGraph.from_interactions(train), rank=rank, recency=recency)
        self.model.prepare()

    def choose_all(self) -> None:
        """Choose all numbers by the package's own search."""
        settings, context = TrainingSettings(epochs=40), FitContext(show_progress=False)
        self.model.train_on(self.train, settings=settings, validation=self.validation, context=context)

    def choose_order(
        self, numbers: torch.Tensor, powers: Sequence[float] = POWERS, trends: Sequence[float] = TRENDS
    ) -> None:
        """Choose the power, and then the trend; the other numbers are given."""
        numbers = torch.cat([numbers, torch.zeros(2)])
        for place, values in ((-2, powers), (-1, trends)):
            found = {}
            for value in values:
                numbers[place] = value
                found[float(value)] = self.measure(numbers)["recall@20"]
            numbers[place] = max(found, key=lambda value: found[value])
        self.measure(numbers)

    def measure(self, numbers: torch.Tensor) -> dict[str, float]:
        """Give the model these numbers, and measure it."""
        self.model.numbers.copy_(numbers)
        metrics = self.validation(self.model)
        return {name: metrics[name] for name in METRICS}


def compare(dataset: str, rank: int, data_dir: Path | None) -> dict[str, Any]:
    """Every way of choosing, measured on the stand-in."""
    train = split_dataset(load_dataset(dataset, data_dir=data_dir)).train
    known, stand_in = withheld(train, 0.2, "last")
    on_stand_in = Choice(known, stand_in, rank)
    fifth, tenth = (Choice(*withheld(known, fraction, "last"), rank) for fraction in (0.2, 0.1))
    as_set = Choice(*withheld(known, 0.1, "random"), rank, "off")
    found: dict[str, Any] = {}

    def note(name: str, choice: Choice) -> None:
        numbers = choice.model.numbers.clone()
        found[name] = on_stand_in.measure(numbers) | {"numbers": choice.model.learned()}
        print(dataset, name, found[name])

    fifth.choose_all()
    note("fifth", fifth)
    tenth.choose_all()
    note("tenth", tenth)
    fifth.choose_order(fifth.model.own_numbers, trends=(0.0,))
    note("fifth, no trend", fifth)
    fifth.choose_order(tenth.model.own_numbers)
    note("tenth, order on fifth", fifth)
    as_set.choose_all()
    fifth.choose_order(as_set.model.numbers, powers=(0.0,), trends=(0.0,))
    note("set", fifth)
    fifth.choose_order(as_set.model.numbers)
    note("set, order on fifth", fifth)
    on_stand_in.choose_all()
    note("stand-in", on_stand_in)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--rank", type=int, default=512)
    parser.add_argument("--data", type=Path, help="a folder with a folder of each data set")
    options = parser.parse_args()
    for dataset in options.datasets:
        result = {"dataset": dataset, "rank": options.rank, "choices": compare(dataset, options.rank, options.data)}
        result["environment"] = environment(torch.device("cpu"))
        write_text(RESULTS / "recipe" / f"order-choice-{dataset}.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Ways to choose the numbers of `spectral` if histories are in order, tried on a test set made of training pairs.

    python benchmarks/order_choice.py gowalla yelp2018 --data data

The files of these sets are 10-cores whose ends were taken for the test set. Here the 10-core of the training pairs is
divided in the same way: the last fifth of every user stands in for the test set. With the rest the numbers are chosen
in one of these ways, and measured once on the stand-in:

- `last fifth`: power and trend of recency and all other numbers together on the last fifth, as `auto` does;
- `last fifth of the core`: the same on the last fifth of the 10-core; other pairs stay in the histories;
- `last tenth`: the same on the last tenth;
- `set`: all other numbers on a random tenth of the 10-core, without recency;
- `set, order on the last fifth`: those numbers, power and trend on the last fifth;
- `last fifth, no trend`: as `last fifth`, the power chosen again without a trend;
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
FIFTH, CORE = 0.2, 10


def withheld(
    pairs: Interactions, fraction: float, how: str = "last", core: int = 0
) -> tuple[Interactions, Interactions]:
    """The pairs to train on, and the withheld pairs."""
    split = carve_validation(Split(pairs, pairs.where(np.zeros(len(pairs), bool))), fraction, how=how, core=core)
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
        self.train, self.whole = train, Validation(truth, seen=train)
        self.validation = self.whole.of_at_most(SEARCH_USERS)
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

    def measure(self, numbers: torch.Tensor, *, everybody: bool = False) -> dict[str, float]:
        """Give the model these numbers, and measure it, by the users of a search or by all."""
        self.model.numbers.copy_(numbers)
        metrics = (self.whole if everybody else self.validation)(self.model)
        return {name: metrics[name] for name in METRICS}


def compare(dataset: str, rank: int, data_dir: Path | None) -> dict[str, Any]:
    """Every way of choosing, measured on the stand-in."""
    pairs = split_dataset(load_dataset(dataset, data_dir=data_dir)).train.core(CORE)
    known, stand_in = withheld(pairs, FIFTH)
    on_stand_in = Choice(known, stand_in, rank)
    found: dict[str, Any] = {}

    def note(name: str, choice: Choice) -> None:
        numbers = choice.model.numbers.clone()
        found[name] = on_stand_in.measure(numbers, everybody=True) | {"numbers": choice.model.learned()}
        print(dataset, name, found[name], flush=True)

    def choose(name: str, *withheld_pairs: Interactions) -> Choice:
        choice = Choice(*withheld_pairs, rank)
        choice.choose_all()
        note(name, choice)
        return choice

    fifth = choose("last fifth", *withheld(known, FIFTH))
    choose("last fifth of the core", *withheld(known, FIFTH, core=CORE))
    choose("last tenth", *withheld(known, FIFTH / 2))
    fifth.choose_order(fifth.model.own_numbers, trends=(0.0,))
    note("last fifth, no trend", fifth)
    as_set = Choice(*withheld(known, 0.1, "random", CORE), rank, "off")
    as_set.choose_all()
    fifth.choose_order(as_set.model.numbers, powers=(0.0,), trends=(0.0,))
    note("set", fifth)
    fifth.choose_order(as_set.model.numbers)
    note("set, order on the last fifth", fifth)
    on_stand_in.choose_all()
    note("stand-in", on_stand_in)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--rank", type=int, default=256)
    parser.add_argument("--data", type=Path, help="a folder with a folder of each data set")
    options = parser.parse_args()
    for dataset in options.datasets:
        result = {"dataset": dataset, "rank": options.rank, "choices": compare(dataset, options.rank, options.data)}
        result["environment"] = environment(torch.device("cpu"))
        write_text(RESULTS / "recipe" / f"order-choice-{dataset}.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The recipe `fast`, chosen on validation sets of several data sets together; and how to train again on everything.

    python benchmarks/recipe.py choose --data data --out results/recipe/choose.json
    python benchmarks/recipe.py retraining --data data --out results/recipe/retraining.json
    python benchmarks/recipe.py test --data data --out results/recipe/test.json --seeds 0 1 2 --variants before fast

`choose` trains the selection phase of each variant. `retraining` withholds a second tenth of the training set, selects
on it, trains again on both in each way, and measures on the validation set. Neither sees a test set; `test` does, for
the old recipe and the present one. Every result is written as soon as it exists, and a second start continues.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ltocf
from ltocf import Config, Split, evaluate, load_dataset
from ltocf.data import Interactions, Names, carve_validation, split_dataset
from ltocf.files import write_text
from ltocf.runs.folder import RunData, RunFolder
from ltocf.runs.protocol import Experiment, Selected
from ltocf.runs.settings import DataSettings
from ltocf.runs.time_budget import TimeBudget
from ltocf.serving import TrainedModel
from ltocf.training import environment
from ltocf.training.settings import RETRAININGS

SETS = ("irb-amazon2014-health", "movielens-small", "amazon-beauty", "gowalla-fifth")
SHARES = {"gowalla-fifth": ("gowalla", 0.2)}
"""A share of the users of a larger set, with the items that five of them have in the training set."""
LAST = ("gowalla", "gowalla-fifth", "yelp2018")
"""Sets whose lines are in order, and whose test set is their end."""

BEFORE: dict[str, Any] = {
    "temperature": 0.12,
    "robustness": 0.15,
    "n_negatives": 8192,
    "whole_catalogue": False,
    "popularity": 1.1,
    "choose_ranking": False,
    "learning_rate": 0.03,
    "scale_rate": False,
    "epochs": 8,
    "epoch_share": 1.0,
    "validate_every": 2,
    "patience": 10,
    "retraining": "compressed",
    "init": "random",
}
"""The former settings of `fast`; the others have not changed."""
STEPS: dict[str, Any] = BEFORE | {
    "whole_catalogue": True,
    "choose_ranking": True,
    "scale_rate": True,
    "epochs": 32,
    "epoch_share": 0.25,
}
Place = dict[str, Any]
"""Where a variant runs: its settings ``device`` and ``cuda_graphs``."""
AS_A_SET: dict[str, Any] = {"recency": "off", "init": "random"}
LEVERS: dict[str, dict[str, Any]] = {
    "in order": {"init": "random"},
    "as a set": AS_A_SET,
    **{
        f"as a set, {name}": AS_A_SET | changed
        for name, changed in {
            "constant rate": {"schedule": "constant"},
            "spectral start": {"init": "spectral"},
            "spectral start, constant rate": {"init": "spectral", "schedule": "constant"},
            "spectral start, rate 0.01": {"init": "spectral", "learning_rate": 0.01},
            "spectral start, rate 0.003": {"init": "spectral", "learning_rate": 0.003},
            "rate 0.015": {"learning_rate": 0.015},
            "64 epochs": {"epochs": 64},
            "robustness 0": {"robustness": 0.0},
            "robustness 0.3": {"robustness": 0.3},
            "temperature 0.1": {"temperature": 0.1},
            "temperature 0.14": {"temperature": 0.14},
            "16,384 negatives": {"n_negatives": 16384},
            "K 3, residual": {"horizon": 3.0, "connection": "residual"},
            "alternating updates": {"time_updates": "alternating"},
            "bfloat16": {"precision": "bfloat16"},
        }.items()
    },
}
"""`fast` from random initial embeddings, and what might improve it."""
VARIANTS: dict[str, dict[str, Any]] = {
    "before": BEFORE,
    "before, ranking chosen": BEFORE | {"choose_ranking": True},
    "steps that fit": STEPS,
    "temperature 0.16": STEPS | {"temperature": 0.16},
    "temperature 0.2": STEPS | {"temperature": 0.2},
    "temperature 0.25": STEPS | {"temperature": 0.25},
    "temperature 0.3": STEPS | {"temperature": 0.3},
    "fast": STEPS | {"temperature": 0.2, "retraining": "repeated"},
    "temperature 0.2, robustness 0": STEPS | {"temperature": 0.2, "robustness": 0.0},
    "temperature 0.2, L2 0.001": STEPS | {"temperature": 0.2, "l2": 0.001},
    "temperature 0.2, 16 passes": STEPS | {"temperature": 0.2, "epochs": 64},
    "temperature 0.2, residual": STEPS | {"temperature": 0.2, "connection": "residual"},
    **LEVERS,
}


def train_of(name: str, data: Path) -> Interactions:
    """The training pairs of a set, or of the share of its users that its name stands for; the test set is not used."""
    source, share = SHARES.get(name, (name, 1.0))
    dataset = load_dataset(place_of(source, data), data_dir=str(data))
    pairs = split_dataset(dataset, "auto", test_fraction=0.2, seed=0).train
    return pairs if share == 1 else _of_users(pairs, share)


def place_of(source: str, data: Path) -> str:
    return str(data / source) if (data / source).is_dir() else source


def _of_users(pairs: Interactions, share: float) -> Interactions:
    chosen = np.zeros(pairs.n_users, dtype=bool)
    chosen[np.random.default_rng(1).choice(pairs.n_users, int(share * pairs.n_users), replace=False)] = True
    pairs = pairs.where(chosen[pairs.users])
    pairs = pairs.where(pairs.item_degrees[pairs.items] >= 5)
    users, items = (np.unique(side, return_inverse=True)[1] for side in (pairs.users, pairs.items))
    return Interactions.from_pairs(users, items, timestamps=pairs.timestamps)


def carved(name: str, train: Interactions) -> tuple[Interactions, Interactions]:
    """The rest of ``train``, and a tenth of it, withheld in the same way as the set's own test set."""
    no_pairs = train.where(np.zeros(len(train), dtype=bool))
    split = carve_validation(Split(train, no_pairs), 0.1, 0, "last" if name in LAST else "random")
    assert split.validation is not None
    return split.train, split.validation


@contextmanager
def experiment(name: str, split: Split, settings: dict[str, Any]) -> Iterator[Experiment]:
    """A run on ``split`` in a temporary folder."""
    config = Config(DataSettings(name)).with_values({"threads": 1, **settings})
    names = Names.identity(split.n_users, split.n_items)
    with (
        tempfile.TemporaryDirectory() as place,
        RunFolder.started(Path(place) / "run", config) as folder,
        config.runtime().active() as device,
    ):
        data = RunData(name, split, names)
        folder.write_data(data)
        yield Experiment(folder, config, data, device, show_progress=False, budget=TimeBudget(math.inf))


def chosen(name: str, variant: str, where: Place, seed: int, data: Path) -> dict[str, Any]:
    """How well the selection phase of a variant validates, and how long it trains."""
    train, validation = carved(name, train_of(name, data))
    no_pairs = train.where(np.zeros(len(train), dtype=bool))
    with experiment(name, Split(train, no_pairs, validation), VARIANTS[variant] | where | {"seed": seed}) as run:
        trained, fitted = run.phase("selection", train, validation)
        return measured(trained, train, validation) | {
            "epoch": fitted.best_epoch,
            "epochs": fitted.epochs,
            "learned": trained.model.learned(),
            "training_seconds": fitted.seconds,
        }


def retrained(name: str, variant: str, where: Place, seed: int, data: Path) -> dict[str, Any]:
    """The selected model, and each way to train it again, measured on pairs that took no part in any choice."""
    train, outer = carved(name, train_of(name, data))
    kept, inner = carved(name, train)
    found: dict[str, Any] = {}
    with experiment(name, Split(kept, outer, inner), VARIANTS[variant] | where | {"seed": seed}) as run:
        selected, fitted = run.phase("selection", kept, inner)
        found["selected"] = measured(selected, train, outer) | {"epoch": fitted.best_epoch}
        for how in RETRAININGS:
            run.folder.checkpoint_file("retraining").unlink(missing_ok=True)
            again = replace(run, config=run.config.with_values({"retraining": how}))
            trained, _ = again.phase("retraining", train, None, Selected(selected.model, fitted))
            found[how] = measured(trained, train, outer)
    return found


def tested(name: str, variant: str, where: Place, seed: int, data: Path) -> dict[str, Any]:
    """The test metrics of a whole run, as the command line makes it."""
    how = "last" if name in LAST else "random"
    with tempfile.TemporaryDirectory() as place:
        metrics = ltocf.train(
            place_of(name, data),
            Path(place) / "run",
            data_dir=str(data),
            validation_split=how,
            threads=1,
            seed=seed,
            show_progress=False,
            **(VARIANTS[variant] | where),
        )
    kept = ("recall@20", "ndcg@20", "selected", "learned", "seconds")
    return {key: metrics[key] for key in kept}


def measured(trained: TrainedModel, seen: Interactions, truth: Interactions) -> dict[str, float]:
    return evaluate(trained.model.scorer(), truth, seen=seen, ks=(20,))


MEASURES: dict[str, Callable[[str, str, Place, int, Path], dict[str, Any]]] = {
    "choose": chosen,
    "retraining": retrained,
    "test": tested,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=MEASURES)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="a GPU replays recorded steps")
    arguments = parser.parse_args()
    place: Place = {"device": arguments.device, "cuda_graphs": arguments.device == "cuda"}
    for name, variant, seed in product(arguments.sets, arguments.variants, arguments.seeds):
        trials = json.loads(arguments.out.read_text(encoding="utf-8"))["trials"] if arguments.out.exists() else []
        key = {"set": name, "variant": variant, "seed": seed}
        if any(key.items() <= trial.items() for trial in trials):
            continue
        started = time.perf_counter()
        found = MEASURES[arguments.what](name, variant, place, seed, arguments.data)
        where, seconds = environment(torch.device(arguments.device)), time.perf_counter() - started
        trials.append(key | found | {"seconds_in_all": seconds, "commit": where["commit"], "device": where["device"]})
        record = {"what": arguments.what, "variants": VARIANTS, "environment": where, "trials": trials}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(arguments.out, json.dumps(record, indent=1) + "\n")
        print(key, {name: value for name, value in found.items() if "@" in name or name in RETRAININGS}, flush=True)


if __name__ == "__main__":
    main()

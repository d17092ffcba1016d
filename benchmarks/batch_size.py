"""Does a batch far beyond 8,192 keep the accuracy, and at which learning rate? Selection on validation, no test set.

    python benchmarks/batch_size.py --data data --sets gowalla yelp2018
    python benchmarks/batch_size.py --synthetic 10_000_000 --batch-sizes 8192 122295 --folder checkpoints
    python benchmarks/batch_size.py --synthetic 3_000_000 --batch-sizes 25692 --rates constant --precision bfloat16

LT-OCF `fast`; the rate of the recipe is that of 8,192 pairs. Larger batches have it as it is (`constant`), times the
root of their size in units of 8,192 (`root`), or divided by this root or this size (`inverse-root`, `inverse`). A
finished run is a row of the results and is not repeated; one that was interrupted continues from its checkpoint, if
there is a folder for it.

The synthetic log is drawn from a model that is known: users are mixtures of a few of 64 tastes, a taste is a
distribution over items, popularity a power law. Its validation set is drawn from the same model, so the lists of the
model itself (`planted`) bound what anybody can reach.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ltocf import Config
from ltocf.bench.synthetic import EXPONENT, PAIRS_PER_ITEM, PAIRS_PER_USER, SHIFT
from ltocf.data import Interactions
from ltocf.evaluation import Validation, evaluate
from ltocf.evaluation.validation import sample_users
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.models.ltocf import PRECISIONS
from ltocf.models.spectral_start import start_from_spectrum
from ltocf.runs.settings import DataSettings
from ltocf.training import FitContext, environment
from ltocf.training.memory import return_unused_memory
from ltocf.training.runtime import keep_freed_memory
from ltocf.training.settings import LARGEST_BATCH
from recipe import carved, train_of

OUT = Path(__file__).resolve().parents[1] / "results" / "scale" / "batch-size.json"
RATES = {"root": 0.5, "constant": 0.0, "inverse-root": -0.5, "inverse": -1.0}
"""The power of the batch size that the learning rate is proportional to."""
TASTES, TASTES_PER_USER, SPREAD = 64, 3, 2.0
HELD_BACK, VALIDATION_USERS = 0.1, 2_000
DEPTH = 20
KEPT = ("recall@20", "ndcg@20")


class Planted(NamedTuple):
    """The model that a synthetic log is drawn from.

        p(i | u) = Σ_t mixture[u, t] taste[t, i],   taste[t, i] ∝ (rank_i + shift)^-exponent e^(spread g_ti),   g normal

    Args:
        mixture: the tastes of each user, (users, tastes).
        cumulative: cumulative probabilities of each taste over the items, (tastes, items).
        activity: probability of each user to be drawn.
    """

    mixture: np.ndarray
    cumulative: np.ndarray
    activity: np.ndarray

    @classmethod
    def for_pairs(cls, n_pairs: int, random: np.random.Generator) -> Planted:
        """A model for a log of ``n_pairs`` pairs, with as many users and items as `power_law` has for it."""
        n_users, n_items = n_pairs // PAIRS_PER_USER, n_pairs // PAIRS_PER_ITEM
        mixture = np.zeros((n_users, TASTES), np.float32)
        chosen = random.integers(TASTES, size=(n_users, TASTES_PER_USER))
        shares = random.dirichlet(np.ones(TASTES_PER_USER), n_users)
        np.add.at(mixture, (np.arange(n_users)[:, None], chosen), shares.astype(np.float32))
        popularity = (random.permutation(n_items) + SHIFT) ** -EXPONENT
        tastes = popularity * np.exp(SPREAD * random.standard_normal((TASTES, n_items)))
        activity = (random.permutation(n_users) + SHIFT) ** -EXPONENT
        return cls(mixture, np.cumsum(tastes / tastes.sum(1, keepdims=True), axis=1), activity / activity.sum())

    def drawn(self, n_pairs: int, random: np.random.Generator) -> Interactions:
        """``n_pairs`` different pairs."""
        n_users, n_items = len(self.mixture), self.cumulative.shape[1]
        keys = np.empty(0, np.int64)
        while len(keys) < n_pairs:
            size = int((n_pairs - len(keys)) * 1.3) + 64
            users = np.searchsorted(np.cumsum(self.activity), random.random(size)).clip(max=n_users - 1)
            uniform = random.random(size, np.float32)
            tastes = (np.cumsum(self.mixture, axis=1)[users] < uniform[:, None]).sum(1).clip(max=TASTES - 1)
            items = np.empty(size, np.int64)
            for taste in range(TASTES):
                rows = np.flatnonzero(tastes == taste)
                items[rows] = np.searchsorted(self.cumulative[taste], random.random(len(rows))).clip(max=n_items - 1)
            keys = np.unique(np.concatenate([keys, users * np.int64(n_items) + items]))
        keys = np.delete(keys, random.choice(len(keys), len(keys) - n_pairs, replace=False))
        return Interactions(keys // n_items, keys % n_items, n_users, n_items)

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        """p(i | u): no list has a higher recall on average."""
        tastes = np.diff(self.cumulative, axis=1, prepend=0.0).astype(np.float32)
        return torch.from_numpy(self.mixture[users.numpy()] @ tastes)


def planted_log(n_pairs: int) -> tuple[Interactions, Interactions, dict[str, Any]]:
    """Training pairs, pairs held back, and the accuracy of the planted model on the latter."""
    random = np.random.default_rng(11)
    planted = Planted.for_pairs(n_pairs, random)
    pairs = planted.drawn(int(n_pairs * (1 + HELD_BACK)), random)
    held_back = random.random(len(pairs)) < HELD_BACK / (1 + HELD_BACK)
    train, validation = pairs.where(~held_back), pairs.where(held_back)
    sample = sample_users(validation, 0, VALIDATION_USERS)
    best = evaluate(planted, sample, seen=train, ks=(DEPTH,))
    return train, validation, {f"planted {name}": best[name] for name in KEPT}


def validated(pairs: Interactions, truth: Interactions, arguments: argparse.Namespace, size: int, rate: str) -> Any:
    """The selection phase with batches of ``size`` pairs."""
    config = Config(DataSettings("")).with_values({"preset": "fast", "model": "ltocf", "dim": arguments.dim})
    config = config.with_values({"precision": arguments.precision})
    factor = (size / LARGEST_BATCH) ** RATES[rate]
    changed = {"batch_size": size, "scale_rate": False, "learning_rate": factor * config.training.learning_rate}
    changed |= {"epochs": arguments.epochs} if arguments.epochs else {}
    changed |= {"validation_users": VALIDATION_USERS} if arguments.synthetic else {}
    training = config.with_values(changed).training
    started = time.perf_counter()
    graph = BipartiteGraph.from_interactions(pairs)
    model = build_model("ltocf", graph, config.options, seed=arguments.seed).to(arguments.device)
    if arguments.init == "spectral":
        start_from_spectrum(model, graph, arguments.seed)
    validation = Validation(truth, pairs, DEPTH, training.validation_users, arguments.seed)
    seed = arguments.seed
    varied = (arguments.dim, size, rate, arguments.init, arguments.epochs, seed)
    varied += () if arguments.precision == "float32" else (arguments.precision,)
    name = "-".join(map(str, (arguments.synthetic or "set", len(pairs), *varied)))
    checkpoint = arguments.folder / f"{name}.safetensors" if arguments.folder else None
    context = FitContext(checkpoint=checkpoint, fingerprint=name, description=name, show_progress=arguments.progress)
    return_unused_memory()  # of drawing the log
    fitted = model.train_on(pairs, settings=training, validation=validation, seed=arguments.seed, context=context)
    metrics = validation(model.scorer())
    if checkpoint is not None:
        checkpoint.unlink()
    steps = math.ceil(training.epochs * training.epoch_share * len(pairs) / size)
    row = {"learning_rate": training.learning_rate, "steps": steps, "best_epoch": fitted.best_epoch}
    row |= {"device": str(environment(model.device)["device"])}
    row |= {"epochs": fitted.epochs, "training_seconds": fitted.seconds, "seconds": time.perf_counter() - started}
    return row | {f"validation {name}": metrics[name] for name in KEPT}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds the sets")
    parser.add_argument("--sets", nargs="*", default=[], choices=("gowalla", "yelp2018"))
    parser.add_argument("--synthetic", type=int, default=0, help="pairs of a synthetic log")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8_192, 32_768, 131_072])
    parser.add_argument("--rates", nargs="+", default=list(RATES), choices=RATES)
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=0, help="quarters of a pass, for all; 0: as many as `fast`")
    parser.add_argument("--init", choices=("random", "spectral"), default="spectral", help="initial embeddings")
    parser.add_argument("--precision", choices=list(PRECISIONS), default="float32", help="of the states of the filter")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--folder", type=Path, help="for checkpoints")
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    keep_freed_memory()
    names = [*arguments.sets, *([f"synthetic-{arguments.synthetic}"] if arguments.synthetic else [])]
    for name in names:
        pairs = truth = None
        about_log: dict[str, Any] = {}
        for size, rate in product(arguments.batch_sizes, arguments.rates):
            if size == LARGEST_BATCH and rate != arguments.rates[0]:
                continue  # all rates are the same
            rate = "constant" if size == LARGEST_BATCH else rate
            rows = json.loads(arguments.out.read_text(encoding="utf-8"))["rows"] if arguments.out.exists() else []
            key = {"set": name, "dim": arguments.dim, "batch_size": size, "rate": rate, "seed": arguments.seed}
            key |= {"init": arguments.init, "precision": arguments.precision}
            if any(key.items() <= ({"precision": "float32"} | row).items() for row in rows):
                continue
            if pairs is None or truth is None:
                if arguments.synthetic and name.startswith("synthetic"):
                    pairs, truth, about_log = planted_log(arguments.synthetic)
                else:
                    pairs, truth = carved(name, train_of(name, arguments.data))
                about_log |= {"pairs": len(pairs), "users": pairs.n_users, "items": pairs.n_items}
            rows.append(key | about_log | validated(pairs, truth, arguments, size, rate))
            print(rows[-1], flush=True)
            record = {"environment": environment(torch.device(arguments.device)), "rows": rows}
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            write_text(arguments.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Users who were not in training, folded in from their history, compared with the same users trained.

    python benchmarks/fold_in.py --dataset gowalla --models ltocf lightgcn spectral mf implicit

A tenth of the users is hidden from training altogether. From 80 % of their history the other 20 % are to be
recommended. ``trained`` had these 80 % in training; ``folded`` sees the hidden users only when it recommends to them;
``popular`` is the list that needs no history. Both models are trained for the epochs of their recipe, without
validation.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ltocf.data import Histories, Interactions, load_dataset
from ltocf.evaluation import evaluate
from ltocf.graph import BipartiteGraph
from ltocf.models import LinearModel, Popularity, Recommender, build_model
from ltocf.runs.config import Config
from ltocf.runs.settings import DataSettings
from ltocf.serving.abilities import HistoryScorer, history_score, start_vectors, vectors
from ltocf.training import environment

HIDDEN, KNOWN = 0.1, 0.8
STEPS = (1, 3, 8)
WITHOUT_STEPS = ("spectral", "mult-vae")


class Task(NamedTuple):
    """The training pairs without and with the hidden users, and the known pairs of these and those to be found."""

    others: Interactions
    everybody: Interactions
    known: Interactions
    truth: Interactions


def make_task(dataset: str, data_dir: str | None, seed: int) -> Task:
    """All pairs of a set, a tenth of its users hidden."""
    source = load_dataset(dataset, data_dir=data_dir)
    pairs = source.interactions if source.test is None else source.interactions.union(source.test)
    draws = np.random.default_rng(seed)
    hidden = np.zeros(pairs.n_users, bool)
    hidden[draws.choice(pairs.n_users, round(HIDDEN * pairs.n_users), replace=False)] = True
    order = np.lexsort((draws.random(len(pairs)), pairs.users))
    place = np.empty(len(pairs), np.int64)
    place[order] = np.arange(len(pairs)) - (np.cumsum(pairs.user_degrees) - pairs.user_degrees)[pairs.users[order]]
    given = place < np.maximum(1, np.rint(KNOWN * pairs.user_degrees))[pairs.users]
    is_hidden = hidden[pairs.users]
    known, truth = pairs.where(is_hidden & given), pairs.where(is_hidden & ~given)
    others = pairs.where(~is_hidden)
    return Task(others, others.union(known), known, truth)


def trained_on(model: str, pairs: Interactions, dataset: str, device: str, seed: int) -> tuple[Recommender, float]:
    """A model trained by its recipe on these pairs, and the seconds that this took."""
    config, started = Config(DataSettings(source=dataset), model), time.perf_counter()
    graph = BipartiteGraph.from_interactions(pairs)
    recommender = build_model(model, graph, config.options, seed=seed).to(device)
    recommender.train_on(pairs, settings=config.training, seed=seed)
    return recommender, time.perf_counter() - started


def values(measured: dict[str, float]) -> dict[str, float]:
    return {name: measured[name] for name in ("recall@20", "ndcg@20")}


def measure(model: str, task: Task, dataset: str, device: str, seed: int) -> dict[str, Any]:
    """One model: the accuracy for hidden users, trained and folded in."""
    full, seconds = trained_on(model, task.everybody, dataset, device, seed)
    row: dict[str, Any] = {"model": model, "seed": seed, "training_seconds": seconds}
    row["trained"] = values(evaluate(full.scorer(), task.truth, seen=task.known, ks=[20]))
    without, _ = trained_on(model, task.others, dataset, device, seed)
    linear = without.user_map() if isinstance(without, LinearModel) else None
    histories = Histories.of(task.known)
    scorer = HistoryScorer(histories, history_score(model, without, linear))
    started = time.perf_counter()
    row["folded"] = values(evaluate(scorer, task.truth, seen=task.known, ks=[20]))
    row["ranking_seconds"] = time.perf_counter() - started
    if model not in WITHOUT_STEPS:
        start, steps = start_vectors(model, without, linear), vectors(model, without).user_steps()
        for n_steps in STEPS:

            def score(rows: Histories, users: torch.Tensor | None, n_steps: int = n_steps) -> torch.Tensor:
                return steps.scores(start(rows, users), rows, n_steps)

            scorer = HistoryScorer(histories, score)
            row[f"{n_steps} steps"] = values(evaluate(scorer, task.truth, seen=task.known, ks=[20]))
    row["folded / trained"] = {name: row["folded"][name] / value for name, value in row["trained"].items()}
    return row


class Factors:
    """User and item vectors of another library."""

    scores_are_new = True

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        self.users, self.items = torch.from_numpy(users), torch.from_numpy(items)

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        return self.users[users] @ self.items.T


def measure_implicit(task: Task, seed: int) -> dict[str, Any]:
    """implicit's alternating least squares, hidden users by its ``recalculate_user``."""
    from implicit.als import AlternatingLeastSquares

    row: dict[str, Any] = {"model": "implicit ALS", "seed": seed}
    for way, pairs in (("trained", task.everybody), ("folded", task.others)):
        als = AlternatingLeastSquares(64, alpha=10, regularization=0.05, iterations=15, random_state=seed)
        started = time.perf_counter()
        als.fit(pairs.matrix(), show_progress=False)
        row.setdefault("training_seconds", time.perf_counter() - started)
        users = als.user_factors.copy()
        if way == "folded":
            hidden = np.unique(task.known.users)
            users[hidden] = als.recalculate_user(hidden, task.known.matrix()[hidden])
        scorer = Factors(np.asarray(users), np.asarray(als.item_factors))
        row[way] = values(evaluate(scorer, task.truth, seen=task.known, ks=[20]))
    row["folded / trained"] = {name: row["folded"][name] / value for name, value in row["trained"].items()}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="gowalla")
    parser.add_argument("--data-dir")
    parser.add_argument("--models", nargs="+", default=["ltocf", "lightgcn", "spectral", "mf", "implicit"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    task = make_task(arguments.dataset, arguments.data_dir, arguments.seed)
    popular = values(evaluate(Popularity(task.others), task.truth, seen=task.known, ks=[20]))
    rows = [{"model": "popular", "seed": arguments.seed, "folded": popular}]
    print(rows[0], flush=True)
    for model in arguments.models:
        if model == "implicit":
            rows.append(measure_implicit(task, arguments.seed))
        else:
            rows.append(measure(model, task, arguments.dataset, arguments.device, arguments.seed))
        print(rows[-1], flush=True)
        write(arguments, task, rows)


def write(arguments: argparse.Namespace, task: Task, rows: list[dict[str, Any]]) -> None:
    content = {
        "command": f"python benchmarks/fold_in.py --dataset {arguments.dataset} --models {' '.join(arguments.models)} "
        f"--device {arguments.device} --seed {arguments.seed}",
        "dataset": arguments.dataset,
        "hidden_users": len(np.unique(task.truth.users)),
        "environment": environment(torch.device(arguments.device)),
        "rows": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""New events: a model brought up to date, compared with one trained again from the beginning.

    python benchmarks/update.py --dataset gowalla

Yesterday's log lacks a twentieth of the users and of the items, and the last tenth of everybody's items; today's log
has them. Both models are measured on the test set of the source, over all its users; users whom yesterday's model does
not know get the popular list.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltocf.data import Dataset, IdMap, Interactions, Names, given_split, load_dataset
from ltocf.data.events import join_events
from ltocf.evaluation import evaluate
from ltocf.graph import BipartiteGraph
from ltocf.models import Popularity, Recommender, build_model
from ltocf.runs.config import Config
from ltocf.runs.settings import DataSettings
from ltocf.training import environment

NEW = 0.05
LAST = 0.1


def logs(dataset: Dataset, seed: int) -> tuple[Interactions, Interactions]:
    """Yesterday's pairs and the new ones, by the indices of the source."""
    pairs, draws = dataset.interactions, np.random.default_rng(seed)
    new_users, new_items = draws.random(pairs.n_users) < NEW, draws.random(pairs.n_items) < NEW
    order = np.lexsort((pairs.timestamps, pairs.users))
    from_end = np.empty(len(pairs), np.int64)
    from_end[order] = np.cumsum(pairs.user_degrees)[pairs.users[order]] - np.arange(len(pairs))
    late = from_end <= np.rint(LAST * pairs.user_degrees)[pairs.users]
    new = new_users[pairs.users] | new_items[pairs.items] | late
    return pairs.where(~new), pairs.where(new)


def compact(pairs: Interactions) -> Dataset:
    """The same pairs over the users and items that occur."""
    users, items = np.unique(pairs.users), np.unique(pairs.items)
    inner = Interactions.from_pairs(
        np.searchsorted(users, pairs.users), np.searchsorted(items, pairs.items), len(users), len(items)
    )
    return Dataset("log", inner, Names(IdMap(users.tolist()), IdMap(items.tolist())))


class InSourceOrder:
    """The scores of a model by the indices of the source; users whom it does not know get the popular items."""

    scores_are_new = True

    def __init__(self, model: Recommender, names: Names, source: Interactions, popularity: Popularity) -> None:
        self.scorer, self.popularity = model.scorer(), popularity
        self.users = torch.from_numpy(names.user_ids.encode(np.arange(source.n_users).tolist()))
        self.items = torch.from_numpy(names.item_ids.encode(np.arange(source.n_items).tolist()))

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        known, inner = self.items >= 0, self.users[users]
        scores = self.popularity.scores(users).clone()
        of_model = self.scorer.scores(inner.clamp(min=0)).cpu()[:, self.items.clamp(min=0)]
        of_model[:, ~known] = -1e9
        scores[inner >= 0] = of_model[inner >= 0]
        return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="gowalla")
    parser.add_argument("--data-dir")
    parser.add_argument("--model", default="ltocf")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 0.3, 0.1])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    source = load_dataset(arguments.dataset, data_dir=arguments.data_dir)
    split = given_split(source)
    config = Config(DataSettings(source=arguments.dataset), arguments.model)
    yesterday, new = logs(source, arguments.seed)
    popularity = Popularity(yesterday)
    before = compact(yesterday)
    joined = join_events(before.names, before.interactions, None, compact(new))
    rows: list[dict[str, Any]] = []

    def build(pairs: Interactions) -> Recommender:
        graph = BipartiteGraph.from_interactions(pairs)
        return build_model(arguments.model, graph, config.options, seed=arguments.seed)

    def keep(way: str, model: Recommender, names: Names, seconds: float, **more: Any) -> None:
        measured = evaluate(InSourceOrder(model, names, yesterday, popularity), split.test, seen=split.train, ks=[20])
        row = {"way": way, **more, "recall@20": measured["recall@20"], "ndcg@20": measured["ndcg@20"]}
        rows.append(row | {"seconds": seconds})
        print(rows[-1], flush=True)

    old, started = build(before.interactions).to(arguments.device), time.perf_counter()
    old.train_on(before.interactions, settings=config.training, seed=arguments.seed)
    keep("yesterday's model", old, before.names, time.perf_counter() - started)
    for epochs in arguments.epochs:
        for rate in arguments.rates if epochs else [0.0]:
            started = time.perf_counter()
            model = build(joined.interactions)
            model.grow_from(old.cpu(), BipartiteGraph.from_interactions(joined.interactions))
            model.to(arguments.device)
            if epochs:
                settings = replace(config.training, epochs=epochs, learning_rate=rate * config.training.learning_rate)
                model.train_on(joined.interactions, settings=settings, seed=arguments.seed)
            keep("updated", model, joined.names, time.perf_counter() - started, epochs=epochs, rate=rate)
    started = time.perf_counter()
    again = build(joined.interactions).to(arguments.device)
    again.train_on(joined.interactions, settings=config.training, seed=arguments.seed)
    keep("trained again", again, joined.names, time.perf_counter() - started)
    content = {
        "command": f"python benchmarks/update.py --dataset {arguments.dataset} --model {arguments.model} "
        f"--device {arguments.device} --seed {arguments.seed}",
        "dataset": arguments.dataset,
        "new_users": len(joined.names.user_ids) - len(before.names.user_ids),
        "new_items": len(joined.names.item_ids) - len(before.names.item_ids),
        "new_pairs": joined.n_new_pairs,
        "environment": environment(torch.device(arguments.device)),
        "rows": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Six models compared with those of RecBole 1.2.1: one split, equal settings, one evaluator.

    make recbole                                           # everything, results/recbole/movielens-small.json
    python benchmarks/recbole/compare.py --models mf,ngcf --seeds 0

Both sides train on the training pairs alone, stop by recall@20 on the same validation pairs, and rank all items that a
user has in neither; this package's evaluator measures the lists of both on the test set. Finished runs are kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from aligned import ALIGNED, align
from settings import DEPTH, OURS, PATIENCE, SEEDS, SHARED, SOURCE

from ltocf.data import Interactions, Split, carve_validation, load_dataset, split_dataset
from ltocf.evaluation import evaluate
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.training import FitContext, TrainingSettings, environment

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "results" / "recbole" / f"{SOURCE}.json"
PYTHON = ROOT / ".venv-recbole" / "bin" / "python"
METRICS = (f"recall@{DEPTH}", f"ndcg@{DEPTH}")
TOLERANCE = 1e-4
"""Equal scores may be ranked in another order."""


class Lists:
    """Lists as a scorer: the first item of a user scores highest, an item that is not in the list lowest."""

    scores_are_new = True
    device = torch.device("cpu")

    def __init__(self, lists: dict[str, list[str]], split: Split) -> None:
        self.table = torch.full((split.n_users, split.n_items), -1.0)
        for user, items in lists.items():
            for place, item in enumerate(items):
                self.table[int(user), int(item)] = float(DEPTH - place)

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        return self.table[users]


def write_split(split: Split, folder: Path) -> None:
    """Write the split as RecBole's benchmark files, with the indices of users and items."""
    for name, pairs in (("train", split.train), ("valid", split.validation), ("test", split.test)):
        assert pairs is not None
        rows = "".join(f"{user}\t{item}\n" for user, item in zip(pairs.users, pairs.items, strict=True))
        (folder / f"{folder.name}.{name}.inter").write_text(f"user_id:token\titem_id:token\n{rows}")


def measured(scorer: Any, truth: Interactions, seen: Interactions) -> dict[str, float]:
    found = evaluate(scorer, truth, seen=seen, ks=[DEPTH])
    return {name: found[name] for name in METRICS}


def tested(scorer: Any, split: Split) -> dict[str, float]:
    assert split.validation is not None
    return measured(scorer, split.test, split.train.union(split.validation))


def ours(name: str, split: Split, seed: int, *, aligned: bool = False) -> dict[str, Any]:
    """One of our models, trained and measured; if ``aligned``, with RecBole's choices in `ALIGNED`."""
    assert split.validation is not None
    graph = BipartiteGraph.from_interactions(split.train)
    model = build_model(name, graph, OURS[name], seed=seed)
    if aligned:
        align(name, model, graph, seed)
    settings = TrainingSettings(**SHARED[name], patience=PATIENCE)
    validation = Validation(split.validation, split.train, DEPTH, 0, seed)
    context, started = FitContext(select_by=METRICS[0]), time.perf_counter()
    result = model.train_on(split.train, settings=settings, validation=validation, seed=seed, context=context)
    kept = {"validated": result.best_value, "epochs": result.epochs, "seconds": time.perf_counter() - started}
    return tested(model.scorer(), split) | kept


def theirs(name: str, split: Split, seed: int, folder: Path) -> dict[str, Any]:
    """The same model of RecBole, in a process with an environment of its own."""
    assert split.validation is not None
    out = folder / f"{name}-{seed}.json"
    script = Path(__file__).with_name("theirs.py")
    subprocess.run([PYTHON, "-W", "ignore", script, name, folder, str(seed), out], check=True, cwd=folder)
    found = json.loads(out.read_text())
    validation, test = (Lists(found.pop(f"{part}_lists"), split) for part in ("validation", "test"))
    validated = measured(validation, split.validation, split.train)[METRICS[0]]
    result = tested(test, split) | {"validated": validated}
    check(result, found["own_evaluator"])
    return result | found


def check(here: dict[str, float], there: dict[str, float]) -> None:
    """Check that both evaluators give the same numbers for the same lists."""
    for name, value in here.items():
        assert abs(value - there[name]) < TOLERANCE, f"`{name}` is {value} here, {there[name]} by RecBole's evaluator"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(SHARED))
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if not PYTHON.exists():
        sys.exit(f"no {PYTHON}: run `make recbole`")
    torch.set_num_threads(1)
    split = carve_validation(split_dataset(load_dataset(SOURCE)), 0.1)
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"runs": []}
    runs: list[dict[str, Any]] = known["runs"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / SOURCE
        folder.mkdir()
        write_split(split, folder)
        for seed in map(int, arguments.seeds.split(",")):
            for name in arguments.models.split(","):
                run = run_of(runs, name, seed)
                if "recbole" not in run:
                    run |= {"ours": ours(name, split, seed), "recbole": theirs(name, split, seed, folder)}
                if name in ALIGNED and "aligned" not in run:
                    run["aligned"] = {"differs": ALIGNED[name]} | ours(name, split, seed, aligned=True)
                sides = (side for side in ("ours", "aligned", "recbole") if side in run)
                print(name, seed, *(f"{side} {run[side][METRICS[0]]:.4f}" for side in sides), flush=True)
                content = {"split": split.summary(), "environment": environment(torch.device("cpu")), "runs": runs}
                arguments.out.parent.mkdir(parents=True, exist_ok=True)
                arguments.out.write_text(json.dumps(content, indent=1) + "\n")


def run_of(runs: list[dict[str, Any]], name: str, seed: int) -> dict[str, Any]:
    """The run of a model and a seed, added if there is none."""
    for run in runs:
        if (run["model"], run["seed"]) == (name, seed):
            return run
    runs.append({"model": name, "seed": seed, "settings": SHARED[name] | OURS[name]})
    return runs[-1]


if __name__ == "__main__":
    main()

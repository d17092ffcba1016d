"""The README's first table, and the rows of its picture: what is best on two sets, and at what cost; see tables.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from ltocf.evaluation.significance import UserResult, compare, mean_result
from ltocf.reproduce.cells import Places, make_cells
from ltocf.reproduce.table3 import published
from ltocf.shapes import UserValues

ROOT = Path(__file__).resolve().parents[1]
SETS = {"gowalla": "Gowalla", "yelp2018": "Yelp2018"}
METRICS = ("recall@20", "ndcg@20")
SEEDS = (0, 1, 2)
CONTEST = "auto"
LEADERS = {
    CONTEST: ("Several models blended, `auto`", "in order"),
    "spectral-in-order": ("Spectral, recent items count more", "in order"),
    "ltocf-in-order": ("LT-OCF, `fast`, recent items count more", "in order"),
    "blend-set": ("Closed forms and LT-OCF `fast`, blended", "a set"),
    "spectral": ("Spectral", "a set"),
    "ltocf-set": ("LT-OCF, `fast`", "a set"),
    "ltocf": ("LT-OCF as in the paper", "a set"),
    "lightgcn": ("LightGCN", "a set"),
}
"""Configuration -> the name of its row, and how it treats a history."""
PUBLISHED = {"ltocf": "LT-OCF, published", "lightgcn": "LightGCN, published"}
REFERENCE = "spectral"
"""The row that the others of its kind are tested against."""


@dataclass(frozen=True)
class Row:
    """The seeds of one configuration on one set: mean accuracy, minutes of the fastest seed, and its device.

    Some seeds ran beside other work, which affects the minutes but not the accuracy.

    Args:
        seeds: the metrics of each seed.
        seconds: the name of the time among them.
        user_results: for each seed, a function that reads a metric of every test user.
    """

    seeds: list[dict[str, Any]]
    seconds: str
    user_results: list[Callable[[str], UserResult]]

    def metric(self, name: str) -> float:
        return mean(measured[name] for measured in self.seeds)

    @property
    def minutes(self) -> float:
        return min(measured[self.seconds] for measured in self.seeds) / 60

    @property
    def on_gpu(self) -> bool:
        return bool(self.seeds[0]["environment"]["device"] != "cpu")

    def users(self, metric: str) -> UserValues:
        """The metric of every test user in order, averaged over the seeds."""
        return mean_result([read(metric) for read in self.user_results]).values


def row(dataset: str, name: str) -> Row | None:
    """The row of a configuration, or of `auto`, whose name may have a time limit, as in ``auto-5-minutes``."""
    if name.startswith(CONTEST):
        return _contests(dataset + name.removeprefix(CONTEST))
    cells = make_cells(dataset, [name], SEEDS, Places(ROOT / "configs", ROOT / "results"))
    done = [cell for cell in cells if cell.is_done]
    return Row([cell.metrics() for cell in done], "seconds", [cell.user_result for cell in done]) if done else None


def _contests(name: str) -> Row | None:
    files = sorted((ROOT / "results" / "auto").glob(f"{name}-seed?.json"))
    seeds = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    digests = [measured["split"]["digest"] for measured in seeds]
    user_results = [partial(_contest_users, file, digest) for file, digest in zip(files, digests, strict=True)]
    return Row(seeds, "seconds_of_this_process", user_results) if files else None


def _contest_users(file: Path, digest: str, metric: str) -> UserResult:
    found = load_file(file.with_suffix(".safetensors"))
    return UserResult(found["users"], found[metric].astype(np.float64), digest)


def leaders() -> str:
    """Every row with a result: both metrics and the minutes on each set."""
    lines = [
        "| | a history is | " + " | ".join(f"{title}, recall / NDCG@20 | minutes" for title in SETS.values()) + " |",
        "|---|---|" + "---|---:|" * len(SETS),
    ]
    for name, (label, history) in LEADERS.items():
        found = {dataset: row(dataset, name) for dataset in SETS}
        if any(found.values()):
            cells = [cell for dataset in SETS for cell in _measured(dataset, name, found[dataset])]
            lines.append(f"| {' | '.join([label, history, *cells])} |")
    for name, label in PUBLISHED.items():
        cells = []
        for dataset in SETS:
            known = published(dataset)[name]
            cells += [f"{known['recall@20']:.4f} / {known['ndcg@20']:.4f}", ""]
        lines.append(f"| *{label}* | a set | {' | '.join(cells)} |")
    return "\n".join([*lines, "", NOTE])


NOTE = (
    "Test set, all items ranked; everything is chosen on a validation set, then the model is trained on the whole "
    "training set. Minutes: selection and retraining, with `auto` the whole run, of the fastest seed, on one or two "
    "CPU cores or, with ᴳ, on an H200 that eight runs shared. ▲, ▼: better or worse than the spectral model that reads "
    "histories in the same way, paired t-test over users, p < 0.001 in both metrics. "
    "Every row but the first is a file of [configs/](configs/). Published: epoch chosen on the test set."
)


def _measured(dataset: str, name: str, found: Row | None) -> list[str]:
    if found is None:
        return ["–", ""]
    values = " / ".join(f"{found.metric(metric):.4f}" for metric in METRICS)
    return [values + _mark(dataset, name, found), f"{found.minutes:.1f}{'ᴳ' if found.on_gpu else ''}"]


def _mark(dataset: str, name: str, found: Row) -> str:
    """Whether the row differs from the spectral model that reads as much as it does."""
    rival_name = f"{REFERENCE}-in-order" if LEADERS[name][1] == "in order" else REFERENCE
    rival = row(dataset, rival_name)
    if rival is None or name == rival_name:
        return ""
    # `compare` takes the values alone: the test users are the same, but the validation sets differ.
    tests = [compare(found.users(metric), rival.users(metric)) for metric in METRICS]
    if max(test.p_value for test in tests) >= 0.001 or tests[0].difference * tests[1].difference < 0:
        return ""
    return " ▲" if tests[0].difference > 0 else " ▼"


LEADER_TABLES = {"leaders": leaders}

"""The tables of how the recipe `fast` was chosen, from the files under results/recipe/."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from markdown_tables import spread, table_lines

RECIPE = Path(__file__).resolve().parents[1] / "results" / "recipe"
METRICS = ("recall@20", "ndcg@20")
RETRAININGS = ("selected", "compressed", "repeated", "continued")


def choose() -> str:
    """The validation metrics of each variant on each set."""
    return _table(_trials("choose"), "choose")


def levers() -> str:
    """Variants that might improve the recipe on large sets, validated on the last tenth of each history."""
    return _table(_trials("levers"), "levers")


def start() -> str:
    """Random and spectral initial embeddings, and learning rates for the latter."""
    return _table(_trials("start"), "start")


def retraining() -> str:
    """Each way to train again on each set, measured on pairs that took no part in any choice."""
    trials = [trial | {"variant": how, **trial[how]} for trial in _trials("retraining") for how in RETRAININGS]
    return _table(trials, "retraining")


def test() -> str:
    """Both recipes on the test sets."""
    return _table(_trials("test"), "test")


def drift() -> str:
    """At each cut of each set the best power of recency and the slope of the trend, with their standard errors."""
    files = sorted(RECIPE.glob("drift-*.json"))
    if not files:
        return "Not measured yet: `python benchmarks/drift.py gowalla yelp2018 --data data`."
    records = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    names = list(dict.fromkeys(row["cut"] for record in records for row in record["cuts"]))
    rows = [["", *(f"{record['dataset']}, {what}" for record in records for what in ("power", "slope"))]]
    for name in names:
        cells = [name]
        for record in records:
            found = next((row for row in record["cuts"] if row["cut"] == name), None)
            keys = ("power", "slope")
            cells += ["–" if found is None else f"{found[key]:.2f} ± {found[f'{key}_error']:.2f}" for key in keys]
        rows.append(cells)
    seeds = sorted({record["seed"] for record in records})
    caption = f"Estimate ± standard error. Seed {', '.join(map(str, seeds))} of the users who are ranked."
    return "\n".join([*table_lines(rows), "", caption])


def core() -> str:
    """How often items with few training pairs are in the test set, measured and expected."""
    files = sorted(RECIPE.glob("core-*.json"))
    if not files:
        return "Not measured yet: `python benchmarks/core.py gowalla yelp2018 --data data`."
    records = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    columns = ("items", "ratio", "expected")
    rows = [["training pairs", *(f"{record['dataset']}, {column}" for record in records for column in columns)]]
    by_degree = [{row["training_pairs"]: row for row in record["rows"]} for record in records]
    for degree in sorted(set.intersection(*map(set, by_degree))):
        found = [row[degree] for row in by_degree]
        cells = [f"{row['items']:,} {row['ratio']:.2f} {row['expected']:.2f}".split() for row in found]
        rows.append([str(degree), *chain.from_iterable(cells)])
    shares = ", ".join(f"{100 * record['share_of_test_pairs']:.0f} % on {record['dataset']}" for record in records)
    return "\n".join([*table_lines(rows), "", f"The share of these items in the test pairs: {shares}."])


def _trials(name: str) -> list[dict[str, Any]]:
    path = RECIPE / f"{name}.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    return sorted(record["trials"], key=lambda trial: [*record["variants"]].index(trial["variant"]))


def _table(trials: list[dict[str, Any]], command: str) -> str:
    """A row for each variant, a column for each set: recall and NDCG, mean and spread where there are seeds."""
    if not trials:
        out = f"results/recipe/{command}.json"
        return f"Not measured yet: `python benchmarks/recipe.py {command} --data data --out {out}`."
    sets, variants = (list(dict.fromkeys(trial[key] for trial in trials)) for key in ("set", "variant"))
    rows = [["", *sets]]
    for variant in variants:
        cells = [[t for t in trials if (t["set"], t["variant"]) == (name, variant)] for name in sets]
        rows.append([variant, *map(_cell, cells)])
    seeds = sorted({trial["seed"] for trial in trials})
    caption = f"recall@20 / NDCG@20. Seeds: {', '.join(map(str, seeds))}; for each data set, those that have been run."
    return "\n".join([*table_lines(rows), "", caption])


def _cell(trials: list[dict[str, Any]]) -> str:
    return " / ".join(spread([trial[metric] for trial in trials]) for metric in METRICS) if trials else "not run"


RECIPE_TABLES: dict[str, Callable[[], str]] = {
    "recipe-choose": choose,
    "recipe-levers": levers,
    "recipe-start": start,
    "recipe-retraining": retraining,
    "recipe-test": test,
    "drift": drift,
    "core": core,
}

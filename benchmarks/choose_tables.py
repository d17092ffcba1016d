"""The table of docs/choose.md: the models to choose from on every committed set; see tables.py."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

from leader_tables import CONTEST, row
from markdown_tables import table_lines

ROOT = Path(__file__).resolve().parents[1]
SETS = {
    "irb-amazon2014-health": "Amazon Health",
    "amazon-beauty": "Amazon Beauty",
    "gowalla": "Gowalla",
    "yelp2018": "Yelp2018",
}
MODELS = {
    "popularity": "`popularity`",
    "item-knn": "`item-knn`",
    "rp3beta": "`rp3beta`",
    "ease": "`ease`",
    "history-regression": "`history-regression`",
    "als": "`als`",
    "spectral": "`spectral`",
    "spectral-in-order": '`spectral`, `recency = "auto"`',
    "mf": "`mf`",
    "lightgcn": "`lightgcn`",
    "ltocf": '`ltocf`, `preset = "paper"`',
    "ltocf-set": '`ltocf`, `recency = "off"`',
    "auto": "no `--model`: a contest and a blend",
}
"""Configuration -> the options that choose it."""
CAPTION = (
    "recall@20 on the test set, read once, and the time of selection and retraining on one or two CPU cores or, with "
    "ᴳ, on an H200 that several runs shared. Histories are sets except in the row with `recency` and, on Gowalla and "
    "Yelp2018, in the last row. Means over the committed seeds."
)


def choose() -> str:
    """A row for each model, a column for each set: recall@20 and the time it took."""
    rows = [["model", *SETS.values()], ["training pairs", *map(_pairs, SETS)]]
    for name, label in MODELS.items():
        rows.append([label, *(_cell(dataset, name) for dataset in SETS)])
    return "\n".join([*table_lines(rows), "", CAPTION])


def _pairs(dataset: str) -> str:
    split = json.loads((ROOT / "results" / dataset / "spectral-seed0.json").read_text(encoding="utf-8"))["split"]
    return f"{split['train'] + split['validation']:,}"


def _cell(dataset: str, name: str) -> str:
    has_result = name == CONTEST or (ROOT / "results" / dataset / f"{name}-seed0.json").exists()
    if has_result and (found := row(dataset, name)) is not None:
        return _recall_and_time(found.metric("recall@20"), found.minutes, on_gpu=found.on_gpu)
    return _recipe(dataset) if name == "ltocf-set" else "–"


def _recipe(dataset: str) -> str:
    """The preset `fast` on the sets that it was chosen with; these have no run folder."""
    trials = json.loads((ROOT / "results" / "recipe" / "test.json").read_text(encoding="utf-8"))["trials"]
    found = [trial for trial in trials if (trial["set"], trial["variant"]) == (dataset, "fast")]
    if not found:
        return "–"
    minutes = mean(trial["seconds"] for trial in found) / 60
    return _recall_and_time(mean(trial["recall@20"] for trial in found), minutes, on_gpu=False)


def _recall_and_time(recall: float, minutes: float, *, on_gpu: bool) -> str:
    time = f"{minutes:.1f}\N{NO-BREAK SPACE}min" if minutes >= 1 else f"{60 * minutes:.0f}\N{NO-BREAK SPACE}s"
    return f"{recall:.4f}, {time}{'ᴳ' if on_gpu else ''}"


CHOOSE_TABLES = {"choose": choose}

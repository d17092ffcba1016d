"""``ltocf evaluate`` and ``ltocf recommend``: what a finished run is worth, and what it answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from ltocf.cli.output import table


def evaluate(
    folder: Path,
    /,
    *,
    on: Literal["test", "validation"] = "test",
    k: str = "5,10,20",
    format: Literal["table", "json"] = "table",
) -> None:
    """Measure a finished run at any depths.

    Parameters
    ----------
    folder
        The run.
    on
        The set that is ranked.
    k
        Depths, separated by commas.
    format
        How to print them.
    """
    from ltocf.evaluation import METRICS
    from ltocf.runs import experiment

    depths = [_depth(part) for part in k.split(",")]
    measured = experiment.evaluate_run(folder, on=on, ks=depths, show_progress=True)
    if format == "json":
        sys.stdout.write(json.dumps(measured, indent=2) + "\n")
        return
    names = [name for name in (*METRICS, "coverage") if f"{name}@{depths[0]}" in measured]
    rows = [(name, *(f"{measured[f'{name}@{depth}']:.4f}" for depth in depths)) for name in names]
    Console().print(table(("metric", *(f"@{depth}" for depth in depths)), rows, f"{folder} on {on}"))


def recommend(
    folder: Path,
    /,
    *,
    user: Annotated[list[str], Parameter(negative="")],
    k: int = 10,
    format: Literal["table", "json", "csv"] = "table",
    include_seen: Annotated[bool, Parameter(negative="")] = False,
    unknown: Literal["error", "popular"] = "error",
) -> None:
    """Recommend items to users, by their own ids.

    Parameters
    ----------
    folder
        A run, or a model file.
    user
        A user's id; may be repeated.
    k
        Items per user.
    format
        How to print them.
    include_seen
        Keep items the user touched in training.
    unknown
        What a user who was not in training gets: an error, or the most popular items.
    """
    from ltocf.runs import experiment

    frame = experiment.load(folder).recommend(user, k, exclude_seen=not include_seen, unknown=unknown)
    if format == "json":
        sys.stdout.write(json.dumps(frame.to_dicts(), indent=2, ensure_ascii=False) + "\n")
    elif format == "csv":
        sys.stdout.write(frame.write_csv())
    else:
        Console().print(table(frame.columns, frame.iter_rows()))


def _depth(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()) or int(text) < 1:
        raise ValueError(f"`--k` takes depths >= 1 separated by commas, like 5,10,20; got {text!r}")
    return int(text)

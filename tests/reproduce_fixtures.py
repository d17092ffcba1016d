"""A small log, configurations that train in a second, and results written without training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ltocf.reproduce.cells import Cell, Places, make_cells, with_splits
from ltocf.reproduce.run import METRICS
from samples import random_interactions

QUICK = """[model]
name = "{model}"
dim = 4
{options}
[training]
epochs = 3
validate_every = 1
batch_size = 64
learning_rate = {learning_rate}

[run]
preset = "paper"
threads = 1
"""


def write_source(folder: Path) -> str:
    """Write random interactions to log.csv; returns its path."""
    log = random_interactions(40, 60, density=0.2)
    path = folder / "log.csv"
    path.write_text(
        "user,item\n" + "".join(f"{user},{item}\n" for user, item in zip(log.users, log.items, strict=True))
    )
    return str(path)


def write_places(folder: Path) -> Places:
    """Write the configurations of three models; returns the folders."""
    for model, learning_rate in (("ltocf", 0.02), ("lightgcn", 0.01), ("mf", 0.01)):
        path = folder / "configs" / "log" / f"{model}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# a comment\n\n" + QUICK.format(model=model, options="", learning_rate=learning_rate))
    return Places(folder / "configs", folder / "results", folder / "runs")


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_source(tmp_path)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return write_places(tmp_path)


def plant(cell: Cell, recall: Sequence[float], ndcg: Sequence[float] | None = None, **more: Any) -> Cell:
    """Write the result of a cell as `run_cell` would, with these values of the test users and without training.

    ``more`` replaces entries of metrics.json.
    """
    assert cell.split is not None
    paths = {suffix: cell.file(suffix) for suffix in (".json", ".jsonl", ".safetensors")}
    paths[".json"].parent.mkdir(parents=True, exist_ok=True)
    values = {
        name: np.array(by_user, np.float32) for name, by_user in zip(METRICS, (recall, ndcg or recall), strict=True)
    }
    save_file({"users": np.arange(len(recall)), **values}, paths[".safetensors"])
    history = [
        {"phase": phase, "epoch": epoch, "loss": 1 / epoch, "times": planted_times(cell, epoch)}
        | (dict.fromkeys(METRICS, epoch / 4) if phase == "selection" and epoch != 2 else {})
        for phase, n_epochs in (("selection", 3), ("retraining", 1))
        for epoch in range(1, n_epochs + 1)
    ]
    paths[".jsonl"].write_text("".join(json.dumps(row) + "\n" for row in history))
    metrics = {
        **{name: float(by_user.mean(dtype=np.float64)) for name, by_user in values.items()},
        "model": cell.config.model,
        "seed": cell.seed,
        "select_on": cell.config.run.select_on,
        "training": asdict(cell.config.training),
        "times": planted_times(cell, 1),
        "selected": {"epoch": 1},
        "fits": {"selection": {"epochs": 3, "seconds": 7.0}, "retraining": {"epochs": 1, "seconds": 2.0}},
        "seconds": 9.0,
        "seconds_of_this_process": 10.0,
        "ranking_seconds": 0.5,
        "environment": {"device": "cpu", "processor": "a processor"},
        "split": cell.split,
        "configuration": cell.recorded,
    }
    paths[".json"].write_text(json.dumps(metrics | more))
    assert cell.is_done
    return cell


def planted_times(cell: Cell, epoch: int) -> list[float]:
    """Learned times, which grow by one with every epoch."""
    return [float(index + epoch) for index in range(cell.config.options.get("n_times", 0))]


@pytest.fixture
def cells(source: str, places: Places) -> list[Cell]:
    """Cells with results: ltocf and mf with seeds 0 and 1."""
    planned = with_splits(make_cells(source, ["ltocf", "mf"], [0, 1], places))
    # Sixteenths: their means are exact.
    values = np.random.default_rng(0).integers(0, 17, (len(planned), 2, 8)) / 16
    return [plant(cell, *metrics.tolist()) for cell, metrics in zip(planned, values, strict=True)]

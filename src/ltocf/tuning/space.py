"""The settings that a search tries: read from the command line, and the best ones written to a configuration file."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import tomli_w

from ltocf.files import write_text
from ltocf.runs.settings import DataSettings, RunSettings
from ltocf.training import TrainingSettings

Space = Mapping[str, Sequence[Any]]

PAPER_SPACE: Space = {"learning_rate": (1e-5, 1e-4, 1e-3, 1e-2), "l2": (1e-4, 1e-3, 1e-2)}
PAPER_SPACES: dict[str, Space] = {"ltocf": {**PAPER_SPACE, "horizon": (2.0, 3.0, 4.0), "n_times": (1, 2, 3)}}
"""Models for which the paper searches more settings: LT-OCF, section 4.1: λ, the learning rate, K and T."""

FIXED = {
    "model": "each model has a configuration of its own",
    "preset": "it only stands for other settings",
    "source": "a search is on one data set",
    "data_dir": "a search is on one data set",
    "core": "it changes nothing on the validation set",
    "device": "it changes no result",
    "threads": "it changes no result",
    "tensorboard": "it changes no result",
    "select_on": "settings are chosen on the validation set",
    "select_by": "trials are compared by it",
}
"""Settings that are never searched, and why."""


def paper_space(model: str) -> Space:
    """The settings and values that the paper searches for a model."""
    return PAPER_SPACES.get(model, PAPER_SPACE)


def read_space(texts: Sequence[str]) -> dict[str, list[Any]]:
    """A space from ``setting=value,value`` for each setting; a value is a number, true, false or a word.

    Raises:
        ValueError: a text of another form, or a setting given twice.

    Example:
        >>> read_space(["solver=rk4,exact", "learnable_times=true,false", "l2=0.01,1e-3"])
        {'solver': ['rk4', 'exact'], 'learnable_times': [True, False], 'l2': [0.01, 0.001]}
    """
    space: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        if not (name and values and all(values.split(","))):
            raise ValueError(f"`--grid` takes setting=value,value, got {text!r}")
        if name in space:
            raise ValueError(f"`--grid` takes each setting once, got `{name}` twice")
        space[name] = [_value(value) for value in values.split(",")]
    return space


def check_space(space: Space) -> None:
    """Raise a ValueError for a setting without values, or one that is never searched."""
    for name, values in space.items():
        if not values:
            raise ValueError(f"`{name}` must have at least one value to try, got none")
        if name in FIXED:
            raise ValueError(f"`{name}` cannot be searched: {FIXED[name]}")


def write_best(path: Path, values: Mapping[str, Any]) -> None:
    """Write settings into a configuration file, each into its own table; the comments at its top stay."""
    text = path.read_text(encoding="utf-8")
    heading = list(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines()))
    tables = tomllib.loads(text)
    for name, value in values.items():
        tables.setdefault(_table_of(name), {})[name] = value
    write_text(path, "\n".join([*heading, "", tomli_w.dumps(tables)]).lstrip("\n"))


def _table_of(name: str) -> str:
    for table, settings in (("data", DataSettings), ("training", TrainingSettings), ("run", RunSettings)):
        if name in (field.name for field in fields(settings)):
            return table
    return "model"


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

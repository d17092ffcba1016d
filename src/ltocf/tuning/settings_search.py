"""Settings of a model, chosen on the validation part: the paper's grid, or a sampler over the same space."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tomli_w
import torch

from ltocf.files import write_text
from ltocf.progress import progress_bar
from ltocf.reproduce.cells import Cell
from ltocf.runs import experiment
from ltocf.runs.config import Config
from ltocf.training import TrainingSettings, environment
from ltocf.tuning.processes import run_all

logger = logging.getLogger(__name__)

Space = Mapping[str, Sequence[Any]]
Sampler = Literal["grid", "tpe"]

PAPER_SPACE: Space = {"learning_rate": (1e-5, 1e-4, 1e-3, 1e-2), "l2": (1e-4, 1e-3, 1e-2)}
PAPER_LTOCF_SPACE: Space = {**PAPER_SPACE, "horizon": (2.0, 3.0, 4.0), "n_times": (1, 2, 3)}
"""LT-OCF, section 4.1: λ, the learning rate, K and T."""


@dataclass(frozen=True)
class Trial:
    """One point of the space and where it is tried."""

    config: Config
    values: dict[str, Any]
    folder: Path


def paper_space(model: str) -> Space:
    """What the paper searches for a model."""
    return PAPER_LTOCF_SPACE if model == "ltocf" else PAPER_SPACE


def search_settings(
    cell: Cell,
    space: Space,
    *,
    sampler: Sampler = "grid",
    n_trials: int = 30,
    processes: int = 1,
    max_minutes: float = 0.0,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Try settings on the validation part, keep every trial, and write the best into the cell's configuration.

    Trials are kept in ``results/<dataset>/search/<name>.json``; those that are there are not done again, whatever
    sampler asked for them, and one that was interrupted goes on. The test part is never read.

    Args:
        cell: what is searched; its other settings stay.
        space: setting -> values; the grid is their product.
        sampler: ``grid`` tries all; ``tpe`` is Optuna's tree-structured Parzen estimator, between the smallest and the
            largest value of a setting that is a decimal number, on a logarithmic scale, and among the values of others.
        n_trials: trials of ``tpe`` in all, earlier ones included.
        processes: trials at a time.
        max_minutes: of this call, 0 for no limit.
        show_progress: show a bar.

    Returns:
        The file's content: ``trials``, each with its values, metric, epoch and seconds, and ``best``.

    Raises:
        ValueError: a setting that is not there, an empty list of values, or a trial that failed.
        ImportError: ``tpe`` without the ``search`` extra.
    """
    if empty := [name for name, values in space.items() if not values]:
        raise ValueError(f"`{empty[0]}` must have at least one value to try, got none")
    path = cell.places.results / cell.dataset / "search" / f"{cell.name}.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"trials": []}
    metric = cell.config.run.select_by
    points = _grid(space, known["trials"]) if sampler == "grid" else _parzen(space, known["trials"], metric, n_trials)
    total = len(list(itertools.product(*space.values()))) if sampler == "grid" else n_trials
    with progress_bar(enabled=show_progress) as bar:
        task = bar.add_task(f"{cell.dataset} {cell.name}", total=total, completed=len(known["trials"]), note="")
        limit = max_minutes * 60 or float("inf")
        trials = (_trial(cell, values) for values in points)
        for outcome in run_all(trials, try_settings, processes=processes, max_seconds=limit):
            if outcome.error is not None:
                raise ValueError(f"{cell.label} with {outcome.task.values} failed:\n{outcome.error}")
            known["trials"].append({"values": outcome.task.values} | outcome.value)
            known["best"] = max(known["trials"], key=lambda trial: trial[metric])
            known["environment"] = environment(torch.device("cpu"))
            write_text(path, json.dumps(known, indent=1) + "\n")
            logger.info("%s %s: %s", cell.name, outcome.task.values, outcome.value)
            bar.update(task, advance=1, note=f"{metric} {known['best'][metric]:.4f}")
    if known["trials"]:
        write_best(cell, known["best"]["values"])
    return known


def try_settings(trial: Trial) -> dict[str, Any]:
    """Validated metric, epoch and seconds of one trial."""
    result = experiment.select(trial.config, trial.folder)
    shutil.rmtree(trial.folder)
    return {trial.config.run.select_by: result.best_value, "epoch": result.best_epoch, "seconds": result.seconds}


def write_best(cell: Cell, values: Mapping[str, Any]) -> None:
    """Put settings into the cell's configuration file; its comments at the top stay."""
    path = cell.places.configs / cell.dataset / f"{cell.name}.toml"
    text = path.read_text(encoding="utf-8")
    heading = list(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines()))
    tables = tomllib.loads(text)
    for name, value in values.items():
        section = "training" if name in TrainingSettings.__annotations__ else "model"
        tables.setdefault(section, {})[name] = value
    write_text(path, "\n".join([*heading, "", tomli_w.dumps(tables)]).lstrip("\n"))


def _trial(cell: Cell, values: dict[str, Any]) -> Trial:
    name = ",".join(f"{name}={value:g}" for name, value in values.items())
    return Trial(cell.config.with_values(values), values, cell.places.runs / cell.dataset / "search" / cell.name / name)


def _grid(space: Space, trials: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Points of the product that no trial has."""
    for combination in itertools.product(*space.values()):
        values = dict(zip(space, combination, strict=True))
        if all(trial["values"] != values for trial in trials):
            yield values


def _parzen(space: Space, trials: list[dict[str, Any]], metric: str, n_trials: int) -> Iterator[dict[str, Any]]:
    """Points that Optuna asks for, told of every trial that is done when the next is asked."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError("the sampler tpe needs the `search` extra: pip install 'ltocf[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(min(values), max(values), log=True)
        if all(isinstance(value, float) for value in values) and len(set(values)) > 1 and min(values) > 0
        else optuna.distributions.CategoricalDistribution(list(values))
        for name, values in space.items()
    }
    # Another seed for each call, or the next would ask for the first points again.
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=len(trials)))
    n_told = 0
    for _ in range(len(trials), n_trials):
        for trial in trials[n_told:]:
            if trial["values"].keys() == distributions.keys():
                study.add_trial(
                    optuna.trial.create_trial(params=trial["values"], distributions=distributions, value=trial[metric])
                )
        n_told = len(trials)
        yield study.ask(distributions).params

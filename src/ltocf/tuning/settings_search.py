"""Settings of a model, chosen on the validation set by a grid or by a sampler over the same space."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ltocf.files import locked_name, remove_leftovers, write_text
from ltocf.installation import needs_extra
from ltocf.progress import progress_bar
from ltocf.runs import experiment
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.runs.leftovers import remove_run
from ltocf.training import environment
from ltocf.training.processes import DiedError, Outcome, run_all
from ltocf.tuning.identity import Splits, differences, recorded, run_key
from ltocf.tuning.space import Space, check_space

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

Sampler = Literal["grid", "tpe"]


@dataclass(frozen=True)
class Trial:
    """A point of the space, and the folder of its run."""

    config: Config
    values: dict[str, Any]
    folder: Path


def search_settings(
    config: Config,
    space: Space,
    folder: Path,
    file: Path,
    *,
    sampler: Sampler = "grid",
    n_trials: int = 30,
    processes: int = 1,
    max_minutes: float = 0.0,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Try settings on the validation set and keep every trial; the test set is never read.

    A trial is identified by its whole configuration and the digest of its split. A trial that ``file`` holds is not
    repeated, whichever sampler proposes it; an interrupted one continues. A trial that raises, for example because
    training diverges, is kept with its error and without a metric, and the search continues.

    Args:
        config: the configuration to start from; settings that are not in ``space`` keep its values.
        space: setting -> values; the grid is their product.
        folder: the folder of the trials' runs.
        file: the JSON file that keeps the trials.
        sampler: ``grid`` tries all points; ``tpe`` is Optuna's tree-structured Parzen estimator. It draws positive
            decimal numbers between the smallest and the largest of the given values, on a logarithmic scale, and other
            settings among the given values.
        n_trials: the number of trials of ``tpe``, earlier ones included.
        processes: the number of trials that may run at the same time.
        max_minutes: the limit in minutes for this call, 0 for none.
        show_progress: show a bar.

    Returns:
        The content of ``file``: ``trials``, each with its values, configuration, split, environment, metric, epoch and
        seconds, and ``best``, the best of those whose other settings and data are those of this call.

    Raises:
        OSError: a trial failed because of the system, with a full disk for example.
        ValueError: a setting that does not exist or cannot be searched, an empty list of values, a configuration that
            selects on the test set, or trials that all failed.
        BlockingIOError: another process is searching with the same folder.
        ImportError: ``tpe`` without the ``search`` extra.
    """
    with locked_name(folder):
        remove_leftovers(file.parent, file.name)
        search = _Search(config, space, folder, file)
        return _searched(search, sampler, n_trials, processes, max_minutes, show_progress)


def _searched(
    search: _Search, sampler: Sampler, n_trials: int, processes: int, max_minutes: float, show_progress: bool
) -> dict[str, Any]:
    config = search.config
    known = [trial for trial in search.trials if search.is_comparable(trial)]
    points = search.grid() if sampler == "grid" else search.parzen(n_trials)
    with progress_bar(enabled=show_progress) as bar:
        total = len(search.points()) if sampler == "grid" else n_trials
        task = bar.add_task(f"{config.model} settings", total=total, completed=min(len(known), total), note="")
        limit = max_minutes * 60 or float("inf")
        for outcome in run_all(points, try_settings, processes=processes, max_seconds=limit):
            search.keep(outcome)
            best = search.best()
            bar.update(task, advance=1, note="" if best is None else f"{search.metric} {best[search.metric]:.4f}")
    if search.failures and search.best() is None:
        raise ValueError(f"every trial failed, the last one with {search.failures[-1]}")
    return search.content()


def try_settings(trial: Trial) -> dict[str, Any]:
    """Validated metric, epoch and seconds of one trial, with its environment and split."""
    if (trial.folder / "config.toml").exists() and RunFolder(trial.folder).config() != trial.config:
        # The folder is named after all settings that change a result, so the device or the like differs.
        remove_run(trial.folder)
    result = experiment.select(trial.config, trial.folder)
    with trial.config.runtime().active() as device:
        where = environment(device)
    split = RunFolder(trial.folder).read_data().split.summary()
    remove_run(trial.folder)
    return {
        trial.config.run.select_by: result.best_value,
        "epoch": result.best_epoch,
        "seconds": result.seconds,
        "split": split,
        "environment": where,
    }


@dataclass
class _Search:
    """The trials in a file, and the points of a space that have not been tried yet."""

    config: Config
    space: Space
    folder: Path
    file: Path
    splits: Splits = field(default_factory=Splits)
    trials: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_space(self.space)
        if self.config.run.select_on != "validation":
            raise ValueError(
                f"settings are chosen on the validation set, got select_on = {self.config.run.select_on!r}"
            )
        # So that a wrong name or type is an error before the first trial.
        for values in self.points():
            self.config.with_values(values)
        if self.file.exists():
            self.trials = json.loads(self.file.read_text(encoding="utf-8"))["trials"]

    @property
    def metric(self) -> str:
        return self.config.run.select_by

    def points(self) -> list[dict[str, Any]]:
        return [dict(zip(self.space, values, strict=True)) for values in itertools.product(*self.space.values())]

    def is_comparable(self, trial: dict[str, Any]) -> bool:
        """Whether the trial's other settings and its data are those of this search."""
        try:
            return self._is_of(trial, self.config.with_values(trial["values"]))
        except ValueError:
            return False

    def best(self) -> dict[str, Any] | None:
        """The best of the comparable trials."""
        measured = [trial for trial in self.trials if "error" not in trial and self.is_comparable(trial)]
        return max(measured, key=lambda trial: trial[self.metric]) if measured else None

    def content(self) -> dict[str, Any]:
        best = self.best()
        if best is None:
            return {"trials": self.trials}
        return {
            "trials": self.trials,
            "best": {name: best[name] for name in ("values", self.metric, "epoch", "seconds")},
        }

    def keep(self, outcome: Outcome[Trial]) -> None:
        values = outcome.task.values
        if outcome.error is not None:
            self.failures.append(str(outcome.error).strip().splitlines()[-1])
        if outcome.error is not None and outcome.error.failure.is_of_system:
            # A full disk, say: the next trial would meet it too.
            raise OSError(f"{outcome.error.failure.reason}; the same call continues the search")
        if isinstance(outcome.error, DiedError):
            # Out of memory or killed: that says nothing about the settings, so the next call tries them again.
            logger.error("%s with %s: %s", self.config.model, values, outcome.error)
            return
        trial: dict[str, Any] = {"values": values, "configuration": recorded(outcome.task.config)}
        if outcome.error is None:
            trial |= outcome.value
        else:
            trial["split"] = self.splits.summary(outcome.task.config)
            trial["error"] = self.failures[-1]
        self.trials.append(trial)
        write_text(self.file, json.dumps(self.content(), indent=1) + "\n")
        logger.info("%s %s: %s", self.config.model, values, trial.get("error", trial.get(self.metric)))

    def grid(self) -> Iterator[Trial]:
        """Points of the product that have not been tried yet."""
        for values in self.points():
            config = self.config.with_values(values)
            if not any(self._is_of(trial, config) for trial in self.trials):
                yield self._trial(config, values)

    def parzen(self, n_trials: int) -> Iterator[Trial]:
        """Points that Optuna proposes; it learns of every finished trial before it proposes the next point."""
        try:
            import optuna
        except ImportError as error:
            raise needs_extra("the sampler tpe needs", "search") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        distributions = {name: _distribution(values) for name, values in self.space.items()}
        reported: list[dict[str, Any]] = []
        n_done = sum(map(self.is_comparable, self.trials))
        # A different seed for each call, or the next call would propose the first points again.
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=n_done))
        for _ in range(n_done, n_trials):
            for trial in self.trials:
                if trial not in reported and "error" not in trial and self.is_comparable(trial):
                    reported.append(trial)
                    _tell(study, trial["values"], distributions, trial[self.metric])
            values = study.ask(distributions).params
            yield self._trial(self.config.with_values(values), values)

    def _trial(self, config: Config, values: dict[str, Any]) -> Trial:
        return Trial(config, values, self.folder / run_key(config, self.splits.summary(config)["digest"])[:12])

    def _is_of(self, trial: dict[str, Any], config: Config) -> bool:
        # A trial of an earlier version records neither its other settings nor its data.
        if not {"configuration", "split"} <= trial.keys():
            return False
        if differences(trial["configuration"], recorded(config), with_data=False):
            return False
        return bool(trial["split"]["digest"] == self.splits.summary(config)["digest"])


def _distribution(values: Any) -> optuna.distributions.BaseDistribution:
    import optuna

    if all(isinstance(value, float) for value in values) and len(set(values)) > 1 and min(values) > 0:
        return optuna.distributions.FloatDistribution(min(values), max(values), log=True)
    return optuna.distributions.CategoricalDistribution(list(values))


def _tell(
    study: optuna.Study,
    values: dict[str, Any],
    distributions: dict[str, optuna.distributions.BaseDistribution],
    value: float,
) -> None:
    """Report a trial to Optuna, if it lies in the space of this search."""
    import optuna

    if values.keys() != distributions.keys():
        return
    try:
        trial = optuna.trial.create_trial(params=values, distributions=distributions, value=value)
    except ValueError:
        return
    study.add_trial(trial)

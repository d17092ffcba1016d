"""Train, resume, select, load, evaluate: from a configuration to a run folder and back."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from ltocf.data import Dataset
from ltocf.evaluation import evaluate
from ltocf.runs.candidates import default_minutes
from ltocf.runs.config import AUTO, Config, first_model_setting
from ltocf.runs.contest import Contest
from ltocf.runs.existing import Exists, in_place_of, refuse_existing, same_run
from ltocf.runs.folder import RunFolder
from ltocf.runs.leftovers import has_checkpoints, remove_checkpoints
from ltocf.runs.measuring import Withheld, evaluate_with_comparison
from ltocf.runs.memory import refuse_without_memory
from ltocf.runs.preparation import configure, prepare_data
from ltocf.runs.protocol import Experiment, depths_for
from ltocf.runs.rehearsal import refuse_without_negatives, rehearse
from ltocf.runs.time_budget import TimeBudget
from ltocf.runs.together import announce, refuse_if_not_shareable, together
from ltocf.runs.typed import Settings
from ltocf.scale.torchrun import place
from ltocf.serving import TrainedModel
from ltocf.serving.held import MODEL_FILE
from ltocf.serving.hub import is_hub_folder, write_hub_folder
from ltocf.training import FitResult

logger = logging.getLogger(__name__)


def train(
    source: Any,
    out: str | Path,
    *,
    model: str | None = None,
    config: str | Path | None = None,
    exists: Exists = "error",
    show_progress: bool = True,
    **settings: Unpack[Settings],
) -> dict[str, Any]:
    """Train a model and write everything about it into the folder ``out``.

    Args:
        source: anything that `load_dataset` takes: a catalog name, a folder with train.txt and test.txt, a table file,
            a pattern, the address of a database, a frame, a sparse matrix, tuples.
        out: a new folder.
        model: a key of `MODELS`, or ``auto``: several compete, see `ltocf.runs.contest`. By default that of
            ``config``; without one ltocf if a setting belongs to a model, such as ``dim``, else auto.
        config: a TOML file to start from.
        exists: what to do if ``out`` holds a run: ``error``; ``load``: return its metrics, if it is finished and has
            the same settings and data; or ``replace``: train in a folder beside it, which replaces it when the run is
            finished; until then, and if the run fails, the old one stays whole.
        show_progress: show bars on a terminal and in Jupyter, else one line on standard error for each validation.
        **settings: any setting by its name: ``learning_rate=1e-3, horizon=2.0, epochs=100, seed=1`` ...

    Returns:
        The content of metrics.json: test metrics, protocol, seed, hardware, seconds.

    Raises:
        ValueError, FileNotFoundError: wrong settings or data; nothing is written then.
        FileExistsError: ``out`` holds a run; with ``load``, a run of other settings or data; with ``replace``, a file
            that does not belong to a run.
        BlockingIOError: another process is at work in ``out``.

    Example:
        >>> import tempfile
        >>> visits = [(user, item) for user in range(9) for item in range(6) if user % 3 != item % 3]
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> metrics = train(visits, folder, model="lightgcn", dim=4, epochs=1, show_progress=False)
        >>> metrics["protocol"], resume(folder) == metrics
        ('epoch selected on the validation set, then trained on the whole training set, test set read once', True)
        >>> load(folder).recommend(0, k=1).columns
        ['user', 'rank', 'item', 'score']
    """

    def work() -> dict[str, Any]:
        values = with_default_model(dict(settings), model, config)
        refuse_existing(out, exists)
        chosen, dataset = configure(source, config, values)
        return train_config(chosen, out, show_progress=show_progress, dataset=dataset, exists=exists)

    return together(work)


def train_config(
    config: Config,
    out: str | Path,
    *,
    show_progress: bool = True,
    dataset: Dataset | None = None,
    exists: Exists = "error",
) -> dict[str, Any]:
    """Train as a `Config` describes; see `train`. A given ``dataset`` is used instead of reading the source."""
    return together(lambda: _train_config(config, out, show_progress, dataset, exists))


def _train_config(
    config: Config, out: str | Path, show_progress: bool, dataset: Dataset | None, exists: Exists
) -> dict[str, Any]:
    refuse_existing(out, exists)
    if exists == "load" and (metrics := same_run(out, config, dataset)) is not None:
        return metrics
    if exists == "replace" and Path(out).exists():
        with in_place_of(out) as beside:
            return train_config(config, beside, show_progress=show_progress, dataset=dataset)
    budget = TimeBudget.of_minutes(config.training.max_minutes)
    rehearse(config)
    data = prepare_data(config, dataset)
    if place().world == 1 and config.model != AUTO:
        refuse_without_memory(config, data.split)
    refuse_without_negatives(config, data.split)
    with RunFolder.started(out, config) as folder, config.runtime().active() as device:
        folder.write_data(data)
        run = Experiment(folder, config, data, device, show_progress, budget, ranks=announce(folder))
        return _contest(run).run() if config.model == AUTO else run.run()


def resume(folder: str | Path, *, show_progress: bool = True) -> dict[str, Any]:
    """Continue an interrupted run; a finished one returns its metrics at once.

    On a CPU the result has the same bits as that of an uninterrupted run, unless ``max_minutes`` ended either.

    Raises:
        ValueError: ``config.toml`` was changed, or a file of the run is damaged.
        BlockingIOError: another process is at work in the folder.
    """
    return together(lambda: _resume(RunFolder(folder), show_progress))


def _resume(run: RunFolder, show_progress: bool) -> dict[str, Any]:
    if run.metrics_file.exists():
        if has_checkpoints(run.path):  # a process was killed before it removed them
            with suppress(OSError), run.locked():
                remove_checkpoints(run.path)
        return run.metrics()
    with run.locked():
        config = run.config()
        refuse_if_not_shareable(config)
        spent = math.fsum(row.get("seconds", 0.0) for row in run.history())
        budget = TimeBudget.of_minutes(config.training.max_minutes, spent)
        if not run.data_file.exists():
            run.write_data(prepare_data(config))
        with config.runtime().active() as device:
            resumed = Experiment(run, config, run.read_data(), device, show_progress, budget, ranks=announce(run))
            return _contest(resumed).run() if config.model == AUTO else resumed.run()


def with_default_model(settings: dict[str, Any], model: str | None, start: object) -> dict[str, Any]:
    """The settings with a model: the given one, else that of the configuration to ``start`` from, else ltocf or auto.

    Example:
        >>> [with_default_model(values, None, None)["model"] for values in ({"seed": 1}, {"dim": 8})]
        ['auto', 'ltocf']
    """
    if model is not None:
        return {"model": model, **settings}
    if start is not None or "model" in settings:
        return settings
    named = first_model_setting(settings)
    if named is not None:
        logger.info("`%s` is a setting of one model, so ltocf is trained; without it several compete (auto)", named)
    return {"model": AUTO if named is None else "ltocf", **settings}


def _contest(experiment: Experiment) -> Contest:
    """The contest of an experiment; its default time limit suits the size of the data."""
    if minutes := experiment.config.training.max_minutes:
        return Contest(experiment, minutes)
    split = experiment.data.split
    minutes = default_minutes(
        sum(len(each) for each in (split.train, split.validation, split.test) if each is not None)
    )
    return Contest(replace(experiment, budget=TimeBudget(60 * minutes)), minutes)


def select(config: Config, out: str | Path) -> FitResult:
    """Run the selection phase alone, or continue it: how well these settings validate, and at which epoch.

    Raises:
        ValueError: ``select_on`` is not ``validation``, since settings are never chosen on the test set; or the model
            is auto.
        FileExistsError: ``out`` was started with other settings.
    """
    if config.run.select_on != "validation":
        raise ValueError(f"settings are chosen on the validation set, got select_on = {config.run.select_on!r}")
    if config.model == AUTO:
        raise ValueError("settings are searched for one model, got auto; name the `model`")
    budget = TimeBudget.of_minutes(config.training.max_minutes)
    with ExitStack() as stack:
        if (Path(out) / "config.toml").exists() and RunFolder(out).config() == config:
            run = RunFolder(out)
            stack.enter_context(run.locked())
        else:
            run = stack.enter_context(RunFolder.started(out, config))
        if not run.data_file.exists():
            run.write_data(prepare_data(config))
        data, device = run.read_data(), stack.enter_context(config.runtime().active())
        trial = Experiment(run, config, data, device, show_progress=False, budget=budget)
        return trial.phase("selection", data.split.train, data.split.validation)[1]


def load(path: str | Path) -> TrainedModel:
    """The trained model of a run folder, of a model file, or of a folder that `export_to_hub` wrote.

    ``ltocf.load(DIR).recommend(["alice"], k=10)``
    """
    path = Path(path)
    if not path.is_dir():
        return TrainedModel.load(path)
    return TrainedModel.load(path / MODEL_FILE if is_hub_folder(path) else RunFolder(path).finished_model_file)


def export_to_hub(run: str | Path, path: str | Path, *, license: str | None = None) -> Path:
    """Write a folder in the form of the Hugging Face Hub: the model, config.json, and a card with the run's metrics.

    Args:
        run: the folder of a finished run, or a model file, for which the card says that nothing was measured.
        path: a new folder; `load` reads it back.
        license: an identifier that the Hub knows, such as ``apache-2.0``; None states no license.

    Returns:
        The new folder.

    Raises:
        FileNotFoundError, ValueError: as for `load`; or ``license`` is no identifier.
        FileExistsError: ``path`` is there already.
    """
    is_run = (Path(run) / "config.toml").exists()
    metrics = RunFolder(run).metrics() if is_run else None
    return write_hub_folder(load(run), path, metrics, license)


def evaluate_run(
    folder: str | Path,
    *,
    on: str = "test",
    ks: Sequence[int] | None = None,
    beyond: bool = False,
    against: str | Path | None = None,
    users: int = 0,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Metrics of a finished run at any depths and, on request, measures beyond accuracy and comparisons with others.

    Args:
        folder: the folder of the run.
        on: ``test``: the model trained on the whole training set. ``validation``: the model of the selection phase,
            which has not seen the validation set.
        ks: depths; by default those of `DEPTHS` that the catalogue has items for.
        beyond: add what `beyond_accuracy` measures, and all of this for the most popular items under ``popularity``.
        against: another run on the same split, or ``popularity``: add differences and their paired significance.
        users: rank this many random users, the same ones for every run of the split; 0: all.
        show_progress: show a progress bar.

    Returns:
        "recall@20" ... and their values. With ``beyond`` also "gini@20", "novelty@20" ..., the lists ``by_activity``
        and ``by_popularity``, and a dict of the same for ``popularity``. With ``beyond`` or ``against`` also
        ``against``: by the name of the other run, then by metric, its value, the difference to it, and the p-values,
        see `differences`.

    Raises:
        ValueError: an unknown set, a run that does not have it, or another run on another split.
        FileNotFoundError: a run that does not exist or is not finished.

    Example:
        >>> import tempfile
        >>> visits = [(user, item) for user in range(20) for item in range(10) if (user + item) % 3]
        >>> run = tempfile.mkdtemp() + "/run"
        >>> metrics = train(visits, run, model="mf", dim=2, epochs=1, n_negatives=8, show_progress=False)
        >>> found = evaluate_run(run, ks=[2], beyond=True)
        >>> [group["n_users"] for group in found["by_activity"]], list(found["against"]), "gini@2" in found
        ([7, 13], ['popularity'], True)
    """
    run = RunFolder(folder)
    withheld = Withheld.of(run, on, users)
    ks = depths_for(withheld.truth.n_items) if ks is None else ks
    if beyond or against is not None:
        return evaluate_with_comparison(run, withheld, ks, on, beyond, against, users, show_progress)
    trained = withheld.trained
    return evaluate(trained.model.scorer(), withheld.truth, seen=trained.seen, ks=ks, show_progress=show_progress)

"""Train, resume, select, load, evaluate: from a configuration to a run folder and back."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ltocf.data import Dataset, Interactions
from ltocf.evaluation import evaluate
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.runs.preparation import configure, prepare_data
from ltocf.runs.protocol import Experiment, depths_for
from ltocf.runs.time_budget import TimeBudget
from ltocf.serving import TrainedModel
from ltocf.training import FitResult


def train(
    source: Any,
    out: str | Path,
    *,
    model: str | None = None,
    config: str | Path | None = None,
    show_progress: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Train a model and leave everything about it in the folder ``out``.

    Args:
        source: anything that `load_dataset` takes: a catalog name, a folder with train.txt and test.txt, a table file,
            a pattern, the address of a database, a frame, a sparse matrix, tuples.
        out: a new folder.
        model: a key of `MODELS`; by default that of ``config``, or ltocf.
        config: a TOML file to start from.
        show_progress: bars on a terminal and in Jupyter, else one line on standard error for each validation.
        **settings: any setting by its name: ``learning_rate=1e-3, horizon=2.0, epochs=100, seed=1`` ...

    Returns:
        What metrics.json holds: test metrics, protocol, seed, hardware, seconds.

    Raises:
        ValueError, FileNotFoundError: wrong settings or data; nothing is written then.
        FileExistsError: ``out`` holds a run.
        BlockingIOError: another process is at work in ``out``.
    """
    values = settings if model is None else {"model": model, **settings}
    RunFolder.refuse_used(out)
    chosen, dataset = configure(source, config, values)
    return train_config(chosen, out, show_progress=show_progress, dataset=dataset)


def train_config(
    config: Config, out: str | Path, *, show_progress: bool = True, dataset: Dataset | None = None
) -> dict[str, Any]:
    """Train what a `Config` describes; see `train`. ``dataset`` takes the place of reading its source."""
    budget = _budget(config)
    RunFolder.refuse_used(out)
    _rehearse(config)
    data = prepare_data(config, dataset)
    with RunFolder.started(out, config) as folder, config.runtime().active() as device:
        folder.write_data(data)
        return Experiment(folder, config, data, device, show_progress, budget).run()


def resume(folder: str | Path, *, show_progress: bool = True) -> dict[str, Any]:
    """Continue an interrupted run; a finished one returns its metrics at once.

    On a CPU the result has the same bits as that of a run never interrupted, unless ``max_minutes`` ended either.

    Raises:
        ValueError: ``config.toml`` was changed, or a file of the run is damaged.
        BlockingIOError: another process is at work in the folder.
    """
    run = RunFolder(folder)
    if run.metrics_file.exists():
        return run.metrics()
    with run.locked():
        config = run.config()
        budget = _budget(config, spent=math.fsum(row["seconds"] for row in run.history()))
        if not run.data_file.exists():
            run.write_data(prepare_data(config))
        with config.runtime().active() as device:
            return Experiment(run, config, run.read_data(), device, show_progress, budget).run()


def select(config: Config, out: str | Path) -> FitResult:
    """The selection phase alone: how well these settings validate, and at which epoch. It goes on where it was cut off.

    Raises:
        ValueError: ``select_on`` is not ``validation``: settings are never chosen on the test set.
        FileExistsError: ``out`` was started with other settings.
    """
    if config.run.select_on != "validation":
        raise ValueError(f"settings are chosen on the validation set, got select_on = {config.run.select_on!r}")
    budget = _budget(config)
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


def _budget(config: Config, spent: float = 0.0) -> TimeBudget:
    return TimeBudget((config.training.max_minutes * 60 or math.inf) - spent)


def _rehearse(config: Config) -> None:
    """Find what is wrong with the settings before anything is read or written: build and ask the smallest model.

    Raises:
        ValueError: an option that the model refuses, a device that is not there, steps that cannot be recorded.
        ImportError: an extra that is asked for is not installed.
    """
    device = config.runtime().torch_device()
    smallest = BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0]))
    model = build_model(config.model, smallest, config.options)
    model.prepare()
    model.scorer()
    if config.training.cuda_graphs and device.type != "cuda":
        raise ValueError(f"`cuda_graphs` needs a CUDA GPU, the run is on {device}; leave it false")
    if config.run.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ImportError("`tensorboard` needs the `tracking` extra: pip install 'ltocf[tracking]'")


def load(path: str | Path) -> TrainedModel:
    """The trained model of a run folder, or of a model file: ``ltocf.load(DIR).recommend(["alice"], k=10)``."""
    path = Path(path)
    if path.is_dir():
        folder = RunFolder(path)
        if not folder.model_file.exists():
            folder.metrics()
        path = folder.model_file
    return TrainedModel.load(path)


def evaluate_run(
    folder: str | Path, *, on: str = "test", ks: Sequence[int] | None = None, show_progress: bool = False
) -> dict[str, float]:
    """Metrics of a finished run at any depths.

    Args:
        folder: the run.
        on: ``test``: the model trained on all of train. ``validation``: the model of the selection phase, which has not
            seen the validation part.
        ks: depths; by default those of `DEPTHS` that the catalogue has items for.
        show_progress: show a progress bar.

    Raises:
        ValueError: an unknown part, or a run that has no validation part.
    """
    run = RunFolder(folder)
    split = run.read_data().split
    if on == "test" and not len(split.test):
        raise ValueError(f"{run.path} holds nothing back for a test; `on` can be validation")
    if on == "test":
        trained, truth = load(folder), split.test
    elif on == "validation":
        if split.validation is None:
            raise ValueError(
                f'{run.path} has no validation part: it was selected on its test set (`select_on = "test"`), or nobody '
                "had two items"
            )
        trained, truth = TrainedModel.load(run.selection_model_file), split.validation
    else:
        raise ValueError(f"`on` must be test or validation, got {on!r}")
    ks = depths_for(split.n_items) if ks is None else ks
    return evaluate(trained.model.scorer(), truth, seen=trained.seen, ks=ks, show_progress=show_progress)

"""Where everything meets: configuration, data, model, training, evaluation, run folder."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from ltocf.config import Config, DataSettings
from ltocf.data import Interactions, carve_validation, load_dataset, split_dataset
from ltocf.data.frame import ColumnOptions
from ltocf.evaluation import evaluate
from ltocf.graph import BipartiteGraph
from ltocf.models import (
    LTOCF,
    MODELS,
    EmbeddingRecommender,
    GradientRecommender,
    Recommender,
    SpectralLTOCF,
    start_from_spectrum,
)
from ltocf.recommending import TrainedModel
from ltocf.run_folder import PHASES, RunData, RunFolder
from ltocf.training import (
    MOST_EVALUATIONS,
    EpochRecord,
    FitResult,
    Shortlist,
    environment,
    fit,
    sample_users,
    search,
    start_from_factorisation,
)

logger = logging.getLogger(__name__)

DEPTHS = (5, 10, 20)
PROTOCOLS = {
    "validation": "epoch selected on validation, trained again on all of train, test read once",
    "test": "best epoch on the test set, as in the papers: optimistic",
}


def train(
    source: str | Path,
    out: str | Path,
    *,
    model: str | None = None,
    config: str | Path | None = None,
    show_progress: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Train a model and leave everything about it in the folder ``out``.

    Args:
        source: a catalog name, a folder with train.txt and test.txt, or a table file.
        out: a new folder.
        model: a key of `MODELS`; by default that of ``config``, or ltocf.
        config: a TOML file to start from.
        show_progress: show progress bars.
        **settings: any setting by its name: ``learning_rate=1e-3, horizon=2.0, epochs=100, seed=1`` ...

    Returns:
        What metrics.json holds: test metrics, protocol, seed, hardware, seconds.

    Raises:
        ValueError, FileNotFoundError: wrong settings or data; nothing is written then.
        FileExistsError: ``out`` holds a run.
    """
    values = settings if model is None else {"model": model, **settings}
    if config is None:
        chosen = Config(DataSettings(str(source))).with_values(values)
    else:
        chosen = Config.from_file(config, str(source), values)
    return train_config(chosen, out, show_progress=show_progress)


def train_config(config: Config, out: str | Path, *, show_progress: bool = False) -> dict[str, Any]:
    """Train what a `Config` describes; see `train`."""
    if (Path(out) / "config.toml").exists():
        RunFolder.create(out, config)
    config.runtime().torch_device()
    # Wrong options must show before anything is written: build the model once on the smallest graph.
    MODELS[config.model](BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0])), **config.options)
    data = _prepare(config)
    folder = RunFolder.create(out, config)
    folder.write_data(data)
    return _Experiment(folder, config, data, config.runtime().start(), show_progress).run()


def resume(folder: str | Path, *, show_progress: bool = False) -> dict[str, Any]:
    """Continue an interrupted run; a finished one returns its metrics at once.

    On a CPU the result has the same bits as that of a run never interrupted, unless ``max_minutes`` ended either.
    """
    run = RunFolder(folder)
    if run.metrics_file.exists():
        return run.metrics()
    config = run.config()
    if not run.data_file.exists():
        run.write_data(_prepare(config))
    return _Experiment(run, config, run.read_data(), config.runtime().start(), show_progress).run()


def select(config: Config, out: str | Path) -> FitResult:
    """The selection phase alone: how well these settings validate, and at which epoch. It goes on where it was cut off.

    Raises:
        ValueError: ``select_on`` is not ``validation``: settings are never chosen on the test part.
        FileExistsError: ``out`` was started with other settings.
    """
    if config.run.select_on != "validation":
        raise ValueError(f"settings are chosen on the validation part, got select_on = {config.run.select_on!r}")
    if (Path(out) / "config.toml").exists() and RunFolder(out).config() == config:
        run = RunFolder(out)
    else:
        run = RunFolder.create(out, config)
    if not run.data_file.exists():
        run.write_data(_prepare(config))
    data = run.read_data()
    budget = config.training.max_minutes * 60 or float("inf")
    trial = _Experiment(run, config, data, config.runtime().start(), show_progress=False)
    return trial.phase("selection", data.split.train, data.split.validation, budget)[1]


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
    folder: str | Path, *, on: str = "test", ks: Sequence[int] = DEPTHS, show_progress: bool = False
) -> dict[str, float]:
    """Metrics of a finished run at any depths.

    Args:
        folder: the run.
        on: ``test``: the model trained on all of train. ``validation``: the model of the selection phase, which has not
            seen the validation part.
        ks: depths.
        show_progress: show a progress bar.

    Raises:
        ValueError: an unknown part, or a run that has no validation part.
    """
    run = RunFolder(folder)
    split = run.read_data().split
    if on == "test":
        trained, truth = load(folder), split.test
    elif on == "validation":
        if split.validation is None:
            raise ValueError(
                f'{run.path} was selected on its test set (`select_on = "test"`): it has no validation part'
            )
        trained, truth = TrainedModel.load(run.selection_model_file), split.validation
    else:
        raise ValueError(f"`on` must be test or validation, got {on!r}")
    return evaluate(trained.model.scorer(), truth, seen=trained.seen, ks=ks, show_progress=show_progress)


def _prepare(config: Config) -> RunData:
    settings = config.data
    said = {name: getattr(settings, name) for name in ColumnOptions.__annotations__}
    columns = cast(ColumnOptions, {name: value for name, value in said.items() if value is not None})
    dataset = load_dataset(settings.source, data_dir=settings.data_dir or None, **columns)
    split = split_dataset(dataset, settings.split, test_fraction=settings.test_fraction, seed=settings.split_seed)
    depth = config.run.selection_depth
    if depth > split.n_items:
        raise ValueError(f"`select_by` is {config.run.select_by} but there are only {split.n_items} items")
    if config.run.select_on == "validation":
        split = carve_validation(
            split,
            settings.validation_fraction,
            settings.split_seed,
            settings.validation_split,
            settings.validation_core,
        )
    return RunData.of(dataset, split)


@dataclass(frozen=True)
class _Experiment:
    """One run: every step continues from what the folder already holds."""

    folder: RunFolder
    config: Config
    data: RunData
    device: torch.device
    show_progress: bool

    def run(self) -> dict[str, Any]:
        started, split = time.perf_counter(), self.data.split
        budget = self.config.training.max_minutes * 60 or float("inf")
        if split.validation is None:
            trained, selection = self.phase("selection", split.train, split.test, budget)
            fits = {"selection": selection}
        else:
            chosen, selection = self.phase("selection", split.train, split.validation, budget / 2)
            chosen.save(self.folder.selection_model_file)
            again = replace(self, config=self.config.with_values({"epochs": selection.best_epoch}))
            everything = split.train.union(split.validation)
            trained, retraining = again.phase("retraining", everything, None, budget - selection.seconds, chosen.model)
            fits = {"selection": selection, "retraining": retraining}
        trained.save(self.folder.model_file)
        ks = [k for k in DEPTHS if k <= split.n_items] or [split.n_items]
        scorer = trained.model.scorer()
        measured = evaluate(scorer, split.test, seen=trained.seen, ks=ks, show_progress=self.show_progress)
        metrics = measured | self.provenance(trained, fits)
        metrics["seconds_of_this_process"] = time.perf_counter() - started
        self.folder.write_metrics(metrics)
        for phase in PHASES:
            self.folder.checkpoint_file(phase).unlink(missing_ok=True)
        return metrics

    def phase(
        self,
        phase: str,
        pairs: Interactions,
        truth: Interactions | None,
        max_seconds: float,
        chosen: Recommender | None = None,
    ) -> tuple[TrainedModel, FitResult]:
        """Train on ``pairs``; with ``truth`` keep the epoch that ranks it best, with ``chosen`` its numbers."""
        config, data, seed = self.config, self.data, self.config.run.seed
        graph = BipartiteGraph.from_interactions(pairs)
        model = MODELS[config.model](graph, **config.options, seed=seed)
        self.start(phase, model.to(self.device), graph, pairs)

        depth = config.run.selection_depth

        def validate() -> dict[str, float]:
            assert truth is not None
            return evaluate(model.scorer(), truth, seen=pairs, ks=[depth])

        with ExitStack() as stack:
            options: dict[str, Any] = {
                "select_by": config.run.select_by,
                "on_epoch": _recorder(self.folder, phase, stack),
                "max_seconds": max_seconds,
                "show_progress": self.show_progress,
                "description": f"{config.model} {phase}",
            }
            if isinstance(model, SpectralLTOCF):
                if isinstance(chosen, SpectralLTOCF):
                    model.numbers.copy_(chosen.numbers)
                evaluations = min(config.training.epochs, MOST_EVALUATIONS)
                part = None if truth is None else sample_users(truth, seed)
                judge = (
                    None
                    if part is None
                    else partial(evaluate, Shortlist(model, part, pairs, depth), part, seen=pairs, ks=[depth])
                )
                result = search(model, validate=judge, evaluations=evaluations, **options)
            else:
                assert isinstance(model, GradientRecommender)
                result = fit(
                    model,
                    model.batches(pairs, config.training.batch_size_for(len(pairs)), seed, self.device),
                    settings=config.training,
                    validate=None if truth is None else validate,
                    checkpoint=self.folder.checkpoint_file(phase),
                    **options,
                )
        notes = {"dataset": data.name, "phase": phase, "select_on": config.run.select_on, "seed": str(seed)}
        ids = (data.user_ids, data.item_ids, data.titles)
        return TrainedModel(config.model, config.options, model, pairs, *ids, notes), result

    def start(self, phase: str, model: Recommender, graph: BipartiteGraph, pairs: Interactions) -> None:
        """Initial embeddings other than random ones; a checkpoint has its own."""
        run = self.config.run
        if self.folder.checkpoint_file(phase).exists():
            return
        if run.init == "spectral" and isinstance(model, EmbeddingRecommender):
            start_from_spectrum(model, graph.to(self.device), run.seed)
        elif run.init == "mf" and isinstance(model, GradientRecommender):
            settings = replace(self.config.training, epochs=run.init_epochs)
            start_from_factorisation(model, graph, pairs, settings, run.seed)

    def provenance(self, trained: TrainedModel, fits: dict[str, FitResult]) -> dict[str, Any]:
        """What a number needs beside it to be believed and made again."""
        config, split = self.config, self.data.split
        return {
            "dataset": self.data.name,
            "model": config.model,
            "preset": config.run.preset,
            "protocol": PROTOCOLS[config.run.select_on],
            "select_on": config.run.select_on,
            "seed": config.run.seed,
            "options": dict(config.options),
            "training": dataclasses.asdict(config.training),
            "times": trained.model.times.values.tolist() if isinstance(trained.model, LTOCF) else [],
            "numbers": trained.model.named_numbers() if isinstance(trained.model, SpectralLTOCF) else {},
            "selected": {config.run.select_by: fits["selection"].best_value, "epoch": fits["selection"].best_epoch},
            "fits": {phase: result._asdict() for phase, result in fits.items()},
            "cold_users": split.cold_users,
            "cold_items": split.cold_items,
            "seconds": sum(result.seconds for result in fits.values()),
            "environment": environment(self.device),
        }


def _recorder(folder: RunFolder, phase: str, stack: ExitStack) -> Callable[[EpochRecord], None]:
    """Write each epoch to the history, and to TensorBoard where the `tracking` extra is installed."""
    board = None
    if importlib.util.find_spec("tensorboard") is not None:
        from torch.utils.tensorboard import SummaryWriter

        board = stack.enter_context(SummaryWriter(folder.path / "tensorboard" / phase))
    first = True

    def record_epoch(record: EpochRecord) -> None:
        nonlocal first
        if first:
            folder.cut_history(phase, record["epoch"])
            first = False
        folder.add_history({"phase": phase, **record})
        if board is not None:
            numbers = {f"t_{i}": t for i, t in enumerate(record["times"], start=1)}
            numbers |= {name: value for name, value in record.items() if isinstance(value, float)}
            for name, value in numbers.items():
                board.add_scalar(name, value, record["epoch"])

    return record_epoch

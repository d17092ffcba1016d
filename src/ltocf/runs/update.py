"""New events: the next generation of a run, with its parameters kept and its graph made again."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import torch

from ltocf.data import Dataset, ReadOptions, load_dataset
from ltocf.data.events import Joined, join_events
from ltocf.data.readers.frame import describe_again
from ltocf.data.splitting import no_split
from ltocf.files import LOCK, making_folder, remove_inside
from ltocf.graph import BipartiteGraph
from ltocf.models import Recommender, build_model
from ltocf.runs.config import Config
from ltocf.runs.data_file import RunData
from ltocf.runs.experiment import load
from ltocf.runs.folder import RunFolder
from ltocf.runs.typed import ReadingSettings
from ltocf.serving import TrainedModel
from ltocf.training import FitContext, FitResult, TrainingSettings, environment

WHOLE_LOG_OPTIONS = ("min_user_interactions", "min_item_interactions", "since", "until", "lines_in_time")
"""Options that mean the whole log: applied to new events alone they would drop events that belong, or do nothing."""
FILTERS = ("only", "drop", "event_weights")
"""Options whose values need not occur in every day's events."""
PROTOCOL = "updated by new events: parameters kept, graph built again, then {epochs} epochs of training"


def update(
    run: str | Path,
    events: Any,
    out: str | Path | None = None,
    *,
    epochs: int = 0,
    learning_rate: float | int | None = None,
    show_progress: bool = True,
    **options: Unpack[ReadingSettings],
) -> TrainedModel:
    """A new generation of a finished run: with new events, new users and new items.

    Parameters are kept, the graph and all histories are made of old and new pairs together, and new users and items
    start from their neighbours. Items get the titles and attributes of the present item table; items that are not in it
    keep theirs. The old run is not changed. The pairs that it held back for a test stay unknown to the model.

    Args:
        run: the folder of the run.
        events: new events, anything that `load_dataset` takes; read by the options of the run.
        out: a new folder; by default ``RUN-2`` beside the run, or the next number that is free.
        epochs: epochs of training on all pairs, from the kept parameters; 0 for none.
        learning_rate: the learning rate of these epochs; by default the run's.
        show_progress: show the training.
        **options: `ReadOptions` that differ from those of the run.

    Raises:
        FileNotFoundError: no finished run.
        FileExistsError: ``out`` has files.
        BlockingIOError: another process is making that generation.
        ValueError: events that cannot be read, ids of another type, or ``epochs`` < 0.

    Example:
        >>> import ltocf, tempfile
        >>> visits = [(user, item) for user in range(6) for item in range(4) if user % 3 != item]
        >>> folder = Path(tempfile.mkdtemp()) / "shop"
        >>> _ = ltocf.fit(visits, folder, model="lightgcn", dim=4, epochs=1, show_progress=False)
        >>> newer = update(folder, [(6, 0), (6, 1), (0, 9)])
        >>> newer.recommend(6, k=1)["user"].to_list(), (folder.parent / "shop-2").is_dir()
        ([6], True)
    """
    if epochs < 0:
        raise ValueError(f"`epochs` must be >= 0, got {epochs}")
    started = time.perf_counter()
    folder, before = RunFolder(run), load(run)
    config = folder.config()
    target = next_generation(folder.path) if out is None else Path(out)
    RunFolder.refuse_used(target)
    changes = dict(options)
    dataset = read_events(config, changes, events)
    joined = join_events(before.names, before.seen, before.also_seen, dataset)
    joined = replace(joined, names=describe_again(joined.names, ReadOptions(**event_options(config, changes))))
    config = config.with_values({"split": "none", "select_on": "validation"})
    warm = _warm_settings(config.training, epochs, learning_rate) if epochs else None
    _refuse_non_empty(target)
    with (
        making_folder(target) as beside,  # continued as a run, half an update would be trained from the beginning
        RunFolder.started(beside, config) as generation,
        config.runtime().active() as device,
    ):
        split = no_split(joined.interactions)
        name = before.notes.get("dataset", "")
        generation.write_data(RunData(name, split, joined.names, joined.also_seen, dataset.report))
        trained, fits = _grow(before, joined, config, device, warm, show_progress)
        trained.save(generation.model_file)
        record = _record(trained, config, folder.path, dataset, joined, before)
        record |= {"protocol": PROTOCOL.format(epochs=epochs), "fits": {name: f._asdict() for name, f in fits.items()}}
        record |= {"seconds": time.perf_counter() - started, "environment": environment(device)}
        generation.write_metrics(record)
    return load(target)


def _refuse_non_empty(target: Path) -> None:
    """Refuse a folder that has files; an empty one is removed, to be made anew.

    Raises:
        FileExistsError: the folder has files.
    """
    if target.is_dir():
        remove_inside(target, LOCK)
        if any(target.iterdir()):
            raise FileExistsError(f"{target} exists and is not empty; give a new folder")
        target.rmdir()


def _grow(
    before: TrainedModel,
    joined: Joined,
    config: Config,
    device: torch.device,
    warm: TrainingSettings | None,
    show_progress: bool,
) -> tuple[TrainedModel, dict[str, FitResult]]:
    """The earlier model grown to all pairs, and how it was trained further if it was."""
    graph = BipartiteGraph.from_interactions(joined.interactions)
    model = build_model(before.name, graph, before.options, seed=config.run.seed)
    model.grow_from(before.model, graph)
    model.to(device)
    fits = {} if warm is None else {"warm": _train(model, joined, warm, config, show_progress)}
    notes = {**before.notes, "phase": "update"}
    grown = replace(before, model=model.eval(), seen=joined.interactions, names=joined.names, notes=notes)
    return replace(grown, also_seen=joined.also_seen), fits


def next_generation(run: Path) -> Path:
    """``shop-2`` beside ``shop``, ``shop-3`` beside ``shop-2``, or the first number after it that is free.

    Example:
        >>> next_generation(Path("shop")).name, next_generation(Path("shop-9")).name
        ('shop-2', 'shop-10')
    """
    stem, dash, number = run.name.rpartition("-")
    stem, generation = (stem, int(number)) if dash and number.isdecimal() else (run.name, 1)
    while (target := run.with_name(f"{stem}-{generation + 1}")).exists():
        generation += 1
    return target


def read_events(config: Config, options: dict[str, Any], events: Any) -> Dataset:
    """Events that are not the whole log, read as a configuration reads the log, except for ``options``."""
    return load_dataset(events, data_dir=config.data.data_dir or None, **event_options(config, options))


def event_options(config: Config, options: dict[str, Any]) -> dict[str, Any]:
    """How events that are not the whole log are read: ``options``, and those of a configuration that concern a row."""
    given = {name: value for name, value in config.data.given().items() if name not in WHOLE_LOG_OPTIONS}
    if not any(name in options for name in FILTERS) and any(name in given for name in (*FILTERS, "min_rating")):
        given["partial"] = True
    return given | options


def _warm_settings(settings: TrainingSettings, epochs: int, learning_rate: float | int | None) -> TrainingSettings:
    rate = settings.learning_rate if learning_rate is None else float(learning_rate)
    scaled = settings.scale_rate and learning_rate is None
    return replace(settings, epochs=epochs, epoch_share=1.0, learning_rate=rate, scale_rate=scaled)


def _train(
    model: Recommender, joined: Joined, settings: TrainingSettings, config: Config, show_progress: bool
) -> FitResult:
    context = FitContext(show_progress=show_progress, description=f"{config.model} update")
    return model.train_on(joined.interactions, settings=settings, seed=config.run.seed, context=context)


def _record(
    trained: TrainedModel, config: Config, parent: Path, events: Dataset, joined: Joined, before: TrainedModel
) -> dict[str, Any]:
    """The entries of metrics.json about the origin of a generation."""
    counts = {"events": len(events.interactions), "new_pairs": joined.n_new_pairs}
    counts |= {
        "new_users": trained.seen.n_users - before.seen.n_users,
        "new_items": trained.seen.n_items - before.seen.n_items,
    }
    return {
        "dataset": before.notes.get("dataset", ""),
        "model": config.model,
        "configuration": config.tables(),
        "parent": str(parent),
        "update": counts,
        "learned": trained.model.learned(),
    }

"""The model for production, which is not measured: selected on a validation set, then trained on everything."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from ltocf.data import Dataset
from ltocf.runs.config import Config
from ltocf.runs.existing import Exists, refuse_existing
from ltocf.runs.experiment import load, train_config, with_default_model
from ltocf.runs.folder import RunFolder
from ltocf.runs.preparation import configure
from ltocf.runs.together import together
from ltocf.runs.typed import Settings
from ltocf.scale.torchrun import place
from ltocf.serving import TrainedModel
from ltocf.training.divergence import BATCH_NOTE


def fit(
    source: Any = None,
    out: str | Path | None = None,
    *,
    model: str | None = None,
    config: str | Path | None = None,
    like: str | Path | None = None,
    exists: Exists = "error",
    show_progress: bool = True,
    **settings: Unpack[Settings],
) -> TrainedModel:
    """Train the model for production: a validation set chooses the epoch, then it is trained on all pairs.

    Unlike with `train`, nothing is held back for a test, so nothing that a user has is recommended to them, and the
    only measured accuracy is that of the validation.

    Args:
        source: anything that `load_dataset` takes; may be left out with ``like``.
        out: a new folder for the run; None: keep no folder, only the returned model.
        model: a key of `MODELS`, or auto, as for `train`.
        config: a TOML file to start from.
        like: the folder of a run whose settings are used, and without ``source`` also its data.
        exists: what to do if ``out`` holds a run, as for `train`.
        show_progress: as for `train`.
        **settings: any setting by its name, as for `train`.

    Raises:
        ValueError: neither ``source`` nor ``like``, both ``config`` and ``like``, or as for `train`.
        FileExistsError: ``out`` holds a run.

    Example:
        >>> visits = [(user, item) for user in range(6) for item in range(4) if user % 3 != item]
        >>> trained = fit(visits, model="lightgcn", dim=4, epochs=1, show_progress=False)
        >>> trained.recommend(0, k=1)["item"].to_list()  # the one item that user 0 does not have
        [0]
    """
    if source is None and like is None:
        raise ValueError("give the data to fit, or `like=` a run whose data and settings are taken")
    if config is not None and like is not None:
        raise ValueError("give `config` or `like`, not both: each has all settings")
    if out is None and place().world > 1:
        raise ValueError("give `out`: the processes of torchrun meet in that folder")
    if out is None:
        with tempfile.TemporaryDirectory() as temporary, _without_batch_note():
            return fit(
                source,
                Path(temporary) / "run",
                model=model,
                config=config,
                like=like,
                show_progress=show_progress,
                **settings,
            )
    folder = Path(out)

    def work() -> dict[str, Any]:
        refuse_existing(folder, exists)
        values = with_default_model(dict(settings), model, config or like) | {"split": "none"}
        if "split" in settings:
            raise ValueError(f"`split` must be left out: fit holds nothing back, got {settings['split']!r}; use train")
        if source is None and like is not None:
            chosen, dataset = _like(RunFolder(like), values)
            return train_config(chosen, folder, show_progress=show_progress, dataset=dataset, exists=exists)
        chosen, loaded = configure(source, config if like is None else RunFolder(like).config(), values)
        return train_config(chosen, folder, show_progress=show_progress, dataset=loaded, exists=exists)

    together(work)
    return load(folder)


@contextmanager
def _without_batch_note() -> Iterator[None]:
    """Raise the error of a diverged training without the path of its batch, which is removed with the folder."""
    try:
        yield
    except FloatingPointError as error:
        raise FloatingPointError(str(error).partition(BATCH_NOTE)[0]) from error


def _like(run: RunFolder, values: dict[str, Any]) -> tuple[Config, Dataset]:
    """The settings of a run, and all its pairs together."""
    config, data = run.config().with_values({"select_on": "validation", **values}), run.read_data()
    pairs = data.split.train.union(data.split.test)
    if data.split.validation is not None:
        pairs = pairs.union(data.split.validation)
    in_time, has_clock = pairs.places is not None, pairs.timestamps is not None
    if in_time and not has_clock:
        pairs = replace(pairs, timestamps=pairs.places, places=None)
    dataset = Dataset(
        data.name, pairs, data.names, has_clock=has_clock, also_seen=data.also_seen, lines_in_time=in_time
    )
    return config, dataset

"""From a configuration to the data of a run: read, split, and made to fit whatever size they have."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltocf.data import Dataset, Interactions, Split, carve_validation, load_dataset, split_dataset
from ltocf.data.readers.source import source_text
from ltocf.data.readers.sql import masked
from ltocf.evaluation import Metric
from ltocf.runs.config import Config
from ltocf.runs.data_file import RunData
from ltocf.runs.settings import DataSettings

logger = logging.getLogger(__name__)

AT_THE_END = ("leave-last-out", "time")
"""Splits whose test set is the end of histories."""
IN_MEMORY = "<memory>"
"""The source in a configuration if the data were handed over in Python."""


def configure(
    source: Any, config: str | Path | Config | None, settings: dict[str, Any]
) -> tuple[Config, Dataset | None]:
    """The configuration of a run, and the data if only this process can read them.

    Args:
        source: anything that `load_dataset` takes; None for that of the configuration.
        config: a TOML file, or a configuration, to start from.
        settings: any setting by its name; ``items`` may be a table in memory.

    Raises:
        ValueError, FileNotFoundError: wrong settings, or data that cannot be read.
    """
    named = source_text(source) if isinstance(source, (str, Path)) else IN_MEMORY if source is not None else None
    chosen, handed_over = settled(named, config, settings)
    if named != IN_MEMORY and not handed_over and masked(chosen.data.source) == chosen.data.source:
        return chosen, None
    # What is in memory, or behind a password, is read now: nothing but the data themselves is kept of it.
    place = source if named == IN_MEMORY else chosen.data.source
    dataset = load_dataset(place, data_dir=chosen.data.data_dir or None, **(chosen.data.given() | handed_over))
    return replace(chosen, data=replace(chosen.data, source=masked(chosen.data.source))), dataset


def settled(
    named: str | None, config: str | Path | Config | None, settings: dict[str, Any]
) -> tuple[Config, dict[str, Any]]:
    """The configuration that settings make, and those of them that no file can hold: a table of items in memory.

    Nothing is read but a TOML file.

    Example:
        >>> chosen, handed_over = settled("gowalla", None, {"dim": 8, "items": Path("items.csv")})
        >>> chosen.options["dim"], chosen.data.items, handed_over
        (8, 'items.csv', {})
    """
    items = settings.get("items")
    handed_over = {"items": items} if items is not None and not isinstance(items, (str, Path)) else {}
    values = {name: value for name, value in settings.items() if name not in handed_over}
    values |= {name: str(value) for name, value in values.items() if isinstance(value, Path)}
    if isinstance(config, Config):
        start = config if named is None else replace(config, data=replace(config.data, source=named))
        return start.with_values(values), handed_over
    if config is None:
        return Config(DataSettings(source=named or "")).with_values(values), handed_over
    return Config.from_file(config, named, values), handed_over


def prepare_data(config: Config, dataset: Dataset | None = None) -> RunData:
    """The split of a configuration's data, read now unless they are given.

    Data of any size can be trained on: if nobody has two items nothing is held back, and a note says so.
    """
    settings = config.data
    if dataset is None:
        if settings.source == IN_MEMORY:
            raise ValueError("the data of this run were in memory, and it ended before it wrote them; start a new run")
        dataset = load_dataset(settings.source, data_dir=settings.data_dir or None, **settings.given())
    split = split_dataset(
        dataset, _possible_split(config, dataset), test_fraction=settings.test_fraction, seed=settings.split_seed
    )
    if config.run.select_on == "test" and not len(split.test):
        raise ValueError('`select_on = "test"` needs a test set, got a split without one; leave it at "validation"')
    if config.run.select_on == "validation" and not _can_spare(split.train):
        logger.warning("nobody has two items to train on: training runs for `epochs`, without a validation set")
    elif config.run.select_on == "validation":
        split = carve_validation(split, **_validation_split(settings, dataset, split), seed=settings.split_seed)
        if settings.validation_split == "random" and _ends_are_asked(settings, dataset) and _chooses_recency(config):
            logger.warning(
                "the power of recency is chosen on pairs that are not the latest: set validation_split = 'auto'"
            )
    if not dataset.has_clock:
        split = _without_timestamps(split, dataset.lines_in_time)
    return RunData(dataset.name, split, dataset.names, dataset.also_seen, dataset.report)


def selection_metric(select_by: str, n_items: int) -> str:
    """``select_by`` at a depth that tells lists apart: at most half of a catalogue that is not longer than it.

    Example:
        >>> selection_metric("recall@20", 1_000), selection_metric("recall@20", 10), selection_metric("ndcg@20", 1)
        ('recall@20', 'recall@5', 'ndcg@1')
    """
    metric = Metric.parse(select_by)
    if metric.depth < n_items:
        return select_by
    shorter = f"{select_by.partition('@')[0]}@{max(1, n_items // 2)}"
    logger.info("there are %d items: %s takes the place of %s", n_items, shorter, select_by)
    return shorter


def _possible_split(config: Config, dataset: Dataset) -> str:
    """``auto`` holds back what there is to hold back."""
    how = config.data.split
    if how == "auto" and dataset.test is None and not _can_spare(dataset.interactions):
        logger.warning("%s: nobody has two items, so nothing is held back for a test", dataset.name)
        return "none"
    return how


def _can_spare(pairs: Interactions) -> bool:
    """Whether somebody keeps an item when one is taken."""
    return int(pairs.user_degrees.max(initial=0)) > 1


def _validation_split(settings: DataSettings, dataset: Dataset, split: Split) -> dict[str, Any]:
    """What `carve_validation` is asked for; ``auto`` makes the validation set as the test set was made.

    If that is the end of histories, so is the validation set, and the same share of them: a shorter one would
    favour what only serves the items that follow at once. With no test set it is the items that come next.
    """
    plain: dict[str, Any] = {"fraction": settings.validation_fraction, "core": settings.validation_core}
    if settings.validation_split != "auto":
        return plain | {"how": settings.validation_split}
    if not _ends_are_asked(settings, dataset):
        return plain | {"how": "random"}
    if settings.split == "leave-last-out":
        return plain | {"how": "last", "n_last": 1}
    if not len(split.test):
        return plain | {"how": "last"}
    share = len(split.test) / (len(split.test) + len(split.train))
    core = settings.validation_core or (dataset.core if _is_given(settings, dataset) else 0)
    return {"how": "last", "fraction": share, "core": core}


def _ends_are_asked(settings: DataSettings, dataset: Dataset) -> bool:
    """Whether the test set is known to be the end of histories, or there is none and the end is known."""
    if settings.split in AT_THE_END:
        return True
    return dataset.is_in_order and (settings.split == "none" or _is_given(settings, dataset))


def _is_given(settings: DataSettings, dataset: Dataset) -> bool:
    """Whether the test set is that of the source."""
    return dataset.test is not None and settings.split in ("auto", "given")


def _chooses_recency(config: Config) -> bool:
    """Whether the model, or one of those that it blends, does."""
    members = [member for member in config.options.get("members", ()) if isinstance(member, Mapping)]
    return any(options.get("recency") == "auto" for options in (config.options, *members))


def _without_timestamps(split: Split, lines_in_time: bool) -> Split:
    """Places in a file are no times: once they have served to split, nobody should compare those of two users.

    The order of one user's items is kept if it is the order in time.
    """
    parts = []
    for part in (split.train, split.test, split.validation):
        places = None if part is None or not lines_in_time else part.timestamps
        parts.append(None if part is None else replace(part, timestamps=None, places=places))
    train, test, validation = parts
    assert train is not None
    assert test is not None
    return Split(train, test, validation)

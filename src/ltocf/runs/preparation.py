"""From a configuration to the data of a run: read and split, whatever their size."""

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
"""The source in the configuration of data that were passed in Python."""


def configure(
    source: Any, config: str | Path | Config | None, settings: dict[str, Any]
) -> tuple[Config, Dataset | None]:
    """The configuration of a run, and its data if only this process can read them.

    Args:
        source: anything that `load_dataset` takes; None for the source of the configuration.
        config: a TOML file, or a configuration, to start from.
        settings: any setting by its name; ``items`` may be a table in memory.

    Raises:
        ValueError, FileNotFoundError: wrong settings, or data that cannot be read.
    """
    named = source_text(source) if isinstance(source, (str, Path)) else IN_MEMORY if source is not None else None
    chosen, handed_over = resolve_settings(named, config, settings)
    if named != IN_MEMORY and not handed_over and masked(chosen.data.source) == chosen.data.source:
        return chosen, None
    # Sources in memory or behind a password are read now, since only the data themselves are kept of them.
    place = source if named == IN_MEMORY else chosen.data.source
    dataset = load_dataset(place, data_dir=chosen.data.data_dir or None, **(chosen.data.given() | handed_over))
    return replace(chosen, data=replace(chosen.data, source=masked(chosen.data.source))), dataset


def resolve_settings(
    named: str | None, config: str | Path | Config | None, settings: dict[str, Any]
) -> tuple[Config, dict[str, Any]]:
    """The configuration of some settings, and the setting that no file can hold: a table of items in memory.

    It reads nothing except a TOML file.

    Example:
        >>> chosen, handed_over = resolve_settings("gowalla", None, {"dim": 8, "items": Path("items.csv")})
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
    """Read the data of a configuration, unless ``dataset`` is given, and split them.

    Data of any size can be trained on: if no user has two items, nothing is held back, and a warning says so.
    """
    settings = config.data
    if dataset is None:
        if settings.source == IN_MEMORY:
            raise ValueError("the data of this run were in memory, and it ended before it wrote them; start a new run")
        dataset = load_dataset(settings.source, data_dir=settings.data_dir or None, **settings.given())
    split = split_dataset(
        dataset, _possible_split(config, dataset), test_fraction=settings.test_fraction, seed=settings.split_seed
    )
    _check_core(settings.core, dataset.name, split)
    if settings.core and config.run.select_on == "test":
        raise ValueError(
            '`core` is for a model that was selected on validation, got `select_on = "test"`; set `core` to 0'
        )
    if config.run.select_on == "test" and not len(split.test):
        raise ValueError('`select_on = "test"` needs a test set, got a split without one; leave it at "validation"')
    if config.run.select_on == "validation" and not _somebody_has_two(split.train):
        logger.warning("nobody has two items to train on: training runs for `epochs`, without a validation set")
    elif config.run.select_on == "validation":
        split = carve_validation(split, **_validation_split(settings, dataset, split), seed=settings.split_seed)
        if settings.validation_split == "random" and _tests_ends(settings, dataset) and _chooses_recency(config):
            logger.warning(
                "the power of recency is chosen on pairs that are not the latest: set validation_split = 'auto'"
            )
        if settings.validation_core and dataset.is_in_order and _chooses_recency(config):
            logger.warning(
                "recency is chosen with later pairs, those outside the core, in the histories: set validation_core = 0"
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


def _check_core(core: int, name: str, split: Split) -> None:
    """Raises ValueError for a source that is no such core. Of the test set only the counts of items are read."""
    counts = split.train.item_degrees + split.test.item_degrees
    if core and len(split.test) and (fewest := int(counts[counts > 0].min(initial=core))) < core:
        raise ValueError(
            f"`core` must be at most the number of pairs of every item of {name}, training and test set together, "
            f"got {core} and an item with {fewest}"
        )


def _possible_split(config: Config, dataset: Dataset) -> str:
    """The split of the configuration, except that ``auto`` is ``none`` if no user has two items."""
    how = config.data.split
    if how == "auto" and dataset.test is None and not _somebody_has_two(dataset.interactions):
        logger.warning("%s: nobody has two items, so nothing is held back for a test", dataset.name)
        return "none"
    return how


def _somebody_has_two(pairs: Interactions) -> bool:
    """Whether some user has two items, so that one can be held back."""
    return int(pairs.user_degrees.max(initial=0)) > 1


def _validation_split(settings: DataSettings, dataset: Dataset, split: Split) -> dict[str, Any]:
    """The arguments of `carve_validation`; ``auto`` makes the validation set as the test set was made.

    If that is the end of histories, so is the validation set, and the same share of them: a shorter one would favour
    models that only predict the very next items. Without a test set it is the end of histories if that is known.
    """
    plain: dict[str, Any] = {"fraction": settings.validation_fraction, "core": settings.validation_core}
    if settings.validation_split != "auto":
        return plain | {"how": settings.validation_split}
    if not _tests_ends(settings, dataset):
        return plain | {"how": "random"}
    if settings.split == "leave-last-out":
        return plain | {"how": "last", "n_last": 1}
    if not len(split.test):
        return plain | {"how": "last"}
    return plain | {"how": "last", "fraction": split.held_out}


def _tests_ends(settings: DataSettings, dataset: Dataset) -> bool:
    """Whether the test set is known to be the end of histories, or there is none and the end of histories is known."""
    if settings.split in AT_THE_END:
        return True
    return dataset.is_in_order and (settings.split == "none" or _is_test_given(settings, dataset))


def _is_test_given(settings: DataSettings, dataset: Dataset) -> bool:
    """Whether the test set came with the source."""
    return dataset.test is not None and settings.split in ("auto", "given")


def _chooses_recency(config: Config) -> bool:
    """Whether the model, or a member of the blend, chooses recency."""
    members = [member for member in config.options.get("members", ()) if isinstance(member, Mapping)]
    return any(options.get("recency") == "auto" for options in (config.options, *members))


def _without_timestamps(split: Split, lines_in_time: bool) -> Split:
    """The split without timestamps that are only places in a file, which must not be compared between users.

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

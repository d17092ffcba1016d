"""A table with one row per interaction becomes a Dataset, whatever file or library it came from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.names import Names
from ltocf.data.readers.columns import REQUIRED, USUAL_NAMES, choose_columns, find_column
from ltocf.data.readers.filters import keep_rows, refuse_unweighted_events, source, weigh_events
from ltocf.data.readers.identifiers import MISSING, Identified, identify
from ltocf.data.readers.items import describe_items, with_titles
from ltocf.data.readers.moments import Moments
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.pairs import dataset_of
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.rows import Rows
from ltocf.data.readers.timestamps import TIME_OF_DAY, UNTIMED, moments_of, time_of_day_beside, use_timestamps
from ltocf.data.readers.values import mark_positive, weigh
from ltocf.data.report import ChosenColumn, ReadingReport

__all__ = ["USUAL_NAMES", "dataset_from_frame", "dataset_from_table", "with_titles"]

logger = logging.getLogger(__name__)


def dataset_from_frame(
    frame: pl.DataFrame | pl.LazyFrame, name: str, *, from_text: bool = False, **options: Any
) -> Dataset:
    """Turn a polars frame into a Dataset; ``options`` are those of `ReadOptions`, see `dataset_from_table`.

    ``from_text`` says that all columns were read as strings: then ids are stored as integers if every one of them
    is written the way an integer is printed, so ``"007"`` makes a column of strings.

    Raises:
        ValueError: as `dataset_from_table`.

    Example:
        >>> frame = pl.DataFrame({"user_id": ["bob", "ann", "ann"], "movieId": [7, 7, 3], "stars": [5, 4, 2]})
        >>> dataset = dataset_from_frame(frame, "films", min_rating=4)
        >>> dataset.user_ids.decode([0, 1]), dataset.item_ids.decode([0]), len(dataset.interactions)
        (['ann', 'bob'], [7], 2)
    """
    return dataset_from_table(RawTable(name, frame, from_text), ReadOptions(**options))


def dataset_from_table(table: RawTable, options: ReadOptions) -> Dataset:
    """The dataset that the rows of a table mean, given the options; `Dataset.report` says how they were read.

    Ids keep their type, strings or integers, and are sorted, so the indices do not depend on the order of rows.
    Rows without an id are left out. Timestamps become whole seconds since 1970, UTC where no zone is given. Repeated
    pairs are merged: the earliest timestamp stays, weights add up. Only users and items with an interaction have an
    index.

    Raises:
        ValueError: a column is missing or not recognised, a value is not of its column's kind, or no interaction is
            left.

    Example:
        >>> table = RawTable("log.csv", pl.DataFrame({"user": ["ann", "NA"], "item": ["7", "8"]}), True, first_line=2)
        >>> print(dataset_from_table(table, ReadOptions()).report.text())
        log.csv: 2 rows, 1 distinct pair
          user: 'user' (usual name)
          item: 'item' (usual name)
          1 row dropped: no user id (first: line 3: 'NA')
    """
    rows, chosen = _columns_of(table, options)
    rows.refuse_nothing_left()
    partial = bool(options.partial)
    weigh_events(rows, options.event_weights, partial=partial)
    keep_rows(rows, options.only, options.drop, partial=partial)
    refuse_unweighted_events(rows, options.event_weights)
    ids, moments = _parse(rows, chosen, options)
    mark_positive(rows, chosen, options.min_rating, partial=partial)
    use_timestamps(rows, chosen, moments, options)
    weigh(rows, chosen, options.event_weights)
    dataset = dataset_of(rows, ids, options)
    if "title" in chosen:
        dataset = with_titles(dataset, ids["item"].gather(rows.frame["item"]), rows.frame["title"])
    return with_report(describe(dataset, rows, options), rows, chosen)


def describe(dataset: Dataset, rows: Rows, options: ReadOptions) -> Dataset:
    """The dataset with the titles and attributes of the item table, if there is one."""
    if options.items is None:
        return dataset
    described = describe_items(dataset.names, _item_table(options.items), options)
    rows.note(described.notes)
    rows.warn(described.warnings)
    return replace(dataset, names=described.names)


def describe_again(names: Names, options: ReadOptions) -> Names:
    """Names with the titles and attributes that the item table has now; items that are not in it keep theirs.

    Example:
        >>> from ltocf.data import IdMap
        >>> known = Names(IdMap([7, 9]), IdMap([1, 2]), attributes=pl.DataFrame({"stock": [True, True]}))
        >>> now = describe_again(known, ReadOptions(items={"item": [2], "stock": [False]}))
        >>> now.attributes["stock"].to_list()
        [True, False]
    """
    if options.items is None:
        return names
    described = describe_items(replace(names, titles=None, attributes=None), _item_table(options.items), options)
    now, n_items = described.names, len(names.item_ids)
    row = np.where(described.in_table, np.arange(n_items) + n_items, np.arange(n_items))
    attributes, titles = now.attributes, names.titles
    if attributes is None or names.attributes is None:
        attributes = names.attributes if attributes is None else attributes
    else:
        attributes = pl.concat([names.attributes, attributes], how="diagonal_relaxed")[row]
    if now.titles is not None:
        before = now.titles if titles is None else titles
        both = [*before, *now.titles]
        titles = tuple(both[place] for place in row)
    return replace(names, titles=titles, attributes=attributes)


def _item_table(items: Any) -> RawTable:
    # Both import this module.
    from ltocf.data.readers.objects import raw_table
    from ltocf.data.readers.source import read_raw

    if isinstance(items, (str, Path)):
        try:
            return read_raw(items, ReadOptions())
        except FileNotFoundError as error:
            raise FileNotFoundError(f"`items` must be the table of items: {error}") from error
    return raw_table(pl.DataFrame(items) if isinstance(items, Mapping) else items, "memory")


def with_report(dataset: Dataset, rows: Rows, chosen: dict[str, ChosenColumn]) -> Dataset:
    """Log the report of the rows, and return the dataset with it."""
    table, pairs = rows.table, dataset.interactions
    available = table.frame.collect_schema().names()
    used = {column.name for column in chosen.values()}
    report = ReadingReport(
        table.name,
        table.format,
        tuple(chosen.values()),
        tuple(column for column in available if column not in used),
        n_rows=rows.n_rows,
        n_pairs=len(pairs),
        n_merged=rows.n_merged,
        n_also_seen=0 if dataset.also_seen is None else len(dataset.also_seen),
        dropped=(*table.dropped, *rows.dropped),
        notes=(*table.notes, *rows.notes),
        warnings=tuple(rows.warnings),
    )
    logger.info(report.text())
    for warning in (*(row for row in report.dropped if not row.asked), *report.warnings):
        logger.warning("%s: %s", table.name, warning)
    return replace(dataset, report=report)


def _columns_of(table: RawTable, options: ReadOptions) -> tuple[Rows, dict[str, ChosenColumn]]:
    """The columns in use, under the name of their role, and why they were chosen."""
    available = table.frame.collect_schema().names()
    chosen = choose_columns(available, table.name, options)
    if (beside := time_of_day_beside(chosen, available)) is not None:
        chosen[TIME_OF_DAY] = ChosenColumn(TIME_OF_DAY, beside, f"beside {chosen['timestamp'].name!r}")
    selected = {role: pl.col(column.name) for role, column in chosen.items()}
    for option in ("only", "drop", "event_weights"):
        for column in getattr(options, option) or {}:
            found = find_column(column, available, f"{table.name}: `{option}`")
            selected[source(column)] = pl.col(found)
            chosen[f"{option} {column}"] = ChosenColumn(option, found, "given")
    frame = table.rows(selected)
    return Rows(table, frame, n_rows=len(frame) if table.n_rows is None else table.n_rows), chosen


def _parse(
    rows: Rows, chosen: dict[str, ChosenColumn], options: ReadOptions
) -> tuple[dict[str, pl.Series], Moments | None]:
    """The distinct ids of users and items, and the moments. Rows without an id are left out.

    Codes replace the ids in the frame; ``seconds`` are added.
    """
    raw = {role: rows.frame[role] for role in REQUIRED}

    def identified(role: str) -> Identified:
        label = f"{rows.name}: {role} ids (column {chosen[role].name!r})"
        return identify(raw[role], label, rows.table.from_text, rows.place)

    with ThreadPoolExecutor(3) as pool:  # polars releases the GIL while it works
        timing = pool.submit(moments_of, rows, chosen, options)
        found = dict(zip(REQUIRED, pool.map(identified, REQUIRED), strict=True))
        moments = timing.result()
    columns = {role: pl.Series(found[role].codes) for role in REQUIRED}
    columns |= {source(role): raw[role] for role in REQUIRED}
    if moments is not None:
        columns |= {"seconds": moments.seconds, UNTIMED: moments.missing}
    rows.frame = rows.frame.with_columns(**columns)
    for role in REQUIRED:
        rows.note(found[role].notes)
        rows.warn(found[role].warnings)
        rows.drop(rows.frame[role] == MISSING, f"no {role} id", rows.frame[source(role)])
    rows.frame = rows.frame.drop(map(source, REQUIRED))
    rows.refuse_nothing_left()
    return {role: found[role].ids for role in REQUIRED}, moments

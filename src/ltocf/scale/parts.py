"""Pieces of a log as parts on disk: clean pairs with their ids, and what was understood of each piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.interactions import Interactions
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.rows import NothingLeftError
from ltocf.data.readers.tables import dataset_of
from ltocf.data.report import DroppedRows, ReadingReport, reports_not_logged
from ltocf.files import replacing
from ltocf.scale.pieces import Piece

SIDES = ("user", "item")
_DECIMALS = "written as decimals"


@dataclass(frozen=True)
class Part:
    """What one piece gave.

    Args:
        file: its pairs, or "" if it had none.
        done: how much of its source is read by now, from 0 to 1.
        report: what was understood.
        kinds: the types of the ids of users and of items: ``integers`` or ``strings``.
        timed: whether its pairs have timestamps.
        weighted: whether they have weights.
    """

    file: str
    done: float
    report: ReadingReport
    kinds: tuple[str, ...] = ()
    timed: bool = False
    weighted: bool = False


def write_part(piece: Piece, options: ReadOptions, file: Path) -> Part:
    """Read a piece, clean its rows as those of any table, and write its pairs.

    Columns of the file: ``user`` and ``item``, the caller's ids; ``seconds``; ``weight``; ``positive``, false for pairs
    that are only seen.

    Raises:
        ValueError: as `load_dataset`; a piece of which nothing is left is no error.
    """
    # What needs the whole log is done when the parts are put together.
    options = replace(options, partial=True, min_user_interactions=None, min_item_interactions=None)
    try:
        with reports_not_logged():
            dataset = dataset_of(piece.read(), options)
    except NothingLeftError as error:
        nothing = ReadingReport(str(piece.path), n_rows=error.n_rows, dropped=error.dropped)
        return Part("", piece.done, nothing)
    frames = [_rows(dataset, dataset.interactions, True)]
    if dataset.also_seen is not None:
        frames.append(_rows(dataset, dataset.also_seen, False))
    with replacing(file) as temporary:
        pl.concat(frames, how="diagonal").write_parquet(temporary, compression="lz4")
    assert dataset.report is not None
    kinds = tuple(
        "integers" if ids.ids.dtype == pl.Int64 else "strings" for ids in (dataset.user_ids, dataset.item_ids)
    )
    pairs = dataset.interactions
    return Part(file.name, piece.done, dataset.report, kinds, pairs.timestamps is not None, pairs.weights is not None)


def _rows(dataset: Dataset, pairs: Interactions, positive: bool) -> pl.DataFrame:
    columns = {"user": dataset.user_ids.ids.gather(pairs.users), "item": dataset.item_ids.ids.gather(pairs.items)}
    if pairs.timestamps is not None:
        columns["seconds"] = pl.Series(pairs.timestamps)
    if pairs.weights is not None:
        columns["weight"] = pl.Series(pairs.weights)
    return pl.DataFrame(columns).with_columns(positive=pl.lit(positive))


def kinds_of(parts: Iterable[Part]) -> tuple[str, ...]:
    """The types of all ids together: strings, unless all are integers.

    Raises:
        ValueError: ids like ``7.0`` were read as integers in a part of the log where all are numbers, and as text in
            another.
    """
    filled = [part for part in parts if part.file]
    found = []
    for place, side in enumerate(SIDES):
        kinds = {part.kinds[place] for part in filled}
        notes = [note for part in filled for note in part.report.notes if f"{side} ids" in note]
        if len(kinds) > 1 and any(_DECIMALS in note for note in notes):
            raise ValueError(
                f"{side} ids must be all numbers or all text: some pieces have only decimals like 7.0, others text; "
                "write them without `.0`"
            )
        found.append("integers" if kinds == {"integers"} else "strings")
    return tuple(found)


def one_report(parts: Iterable[Part], source: str) -> ReadingReport:
    """What was understood of a whole log: counts are added, sentences are said once.

    Raises:
        ValueError: pieces whose columns, timestamps or weights were understood in different ways.
    """
    parts = list(parts)
    filled = [part for part in parts if part.file]
    if not filled:
        reasons = "; ".join(str(one) for part in parts for one in part.report.dropped)
        raise ValueError(f"{source}: at least one interaction must be left, got none: {reasons or 'no rows'}")
    first = filled[0]
    for part in filled[1:]:
        _agree(first, part)
    dropped: dict[str, DroppedRows] = {}
    for one in (one for part in parts for one in part.report.dropped):
        before = dropped.get(one.reason)
        dropped[one.reason] = one if before is None else replace(before, n_rows=before.n_rows + one.n_rows)
    return replace(
        first.report,
        source=source,
        n_rows=sum(part.report.n_rows for part in parts),
        n_pairs=sum(part.report.n_pairs for part in parts),
        n_merged=sum(part.report.n_merged for part in parts),
        dropped=tuple(dropped.values()),
        notes=_once([part.report.notes for part in filled]),
        warnings=_once([part.report.warnings for part in filled]),
    )


def _agree(first: Part, other: Part) -> None:
    roles = [{column.role: column.name for column in part.report.columns} for part in (first, other)]
    if roles[0] != roles[1]:
        raise ValueError(
            f"all files must have the same columns, got {roles[0]} in {first.report.source} and {roles[1]} in "
            f"{other.report.source}; name them by `user_column`, `item_column` and `timestamp_column`"
        )
    if first.weighted != other.weighted:
        raise ValueError(
            f"all files must have weights or none, got those of {first.report.source} and of {other.report.source}"
        )
    times = [[note for note in part.report.notes if note.startswith("timestamps")] for part in (first, other)]
    if _plain(times[0]) != _plain(times[1]) or first.timed != other.timed:
        raise ValueError(
            f"timestamps must be written in one way, got {times[0] or 'dates'} in {first.report.source} and "
            f'{times[1] or "dates"} in {other.report.source}; pass `timestamp_format`, or `timestamp_column=""`'
        )


def _once(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Each sentence once; one with other numbers or examples in another piece says that these are of the first."""
    found: dict[str, list[str]] = {}
    for sentence in (sentence for sentences in lists for sentence in sentences):
        found.setdefault(_plain([sentence]), []).append(sentence)
    return tuple(
        said[0] if len(set(said)) == 1 else f"{said[0]} (in the first of {len(said)} pieces)" for said in found.values()
    )


def _plain(sentences: list[str]) -> str:
    return re.sub(r"'[^']*'|\d[\d,.]*", "", "\n".join(sentences))


def packed(part: Part) -> dict[str, Any]:
    """A part as what JSON can hold."""
    return asdict(part)


def unpacked(record: dict[str, Any]) -> Part:
    """The inverse of `packed`."""
    report = ReadingReport.from_record(record["report"])
    return Part(**(record | {"report": report, "kinds": tuple(record["kinds"])}))

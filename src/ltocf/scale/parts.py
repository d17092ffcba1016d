"""Pieces of a log as parts on disk: clean pairs with their ids, and how each piece was read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.interactions import Interactions
from ltocf.data.readers.columns import find_column
from ltocf.data.readers.filters import Values, source, values_by_column
from ltocf.data.readers.frame import dataset_from_table
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.rows import NothingLeftError, Rows
from ltocf.data.readers.timestamps import MISSING_SHARE, NO_TIMESTAMP
from ltocf.data.report import DroppedRows, ReadingReport, reports_not_logged
from ltocf.files import replacing
from ltocf.scale.pieces import Piece

SIDES = ("user", "item")
_DECIMALS = "written as decimals"
_SAME_IN_ALL_PIECES = ("read as seconds since 1970", "kept as they are")
"""Ends of notes whose numbers are the same in every piece and in the whole log."""
_OPTIONAL = {"seconds": pl.Int64, "weight": pl.Float32}


@dataclass(frozen=True)
class Part:
    """The part that was made of one piece.

    Args:
        file: the file of its pairs, or "" if it had none.
        done: share of the source that was read up to this piece, from 0 to 1.
        report: how the piece was read.
        kinds: the types of the ids of users and of items: ``integers`` or ``strings``.
        timed: whether its pairs have timestamps.
        weighted: whether its pairs have weights.
        found: for each value that the options name and that occurs in it, the sentence of `_rule`.
    """

    file: str
    done: float
    report: ReadingReport
    kinds: tuple[str, ...] = ()
    timed: bool = False
    weighted: bool = False
    found: tuple[str, ...] = ()

    @property
    def filled(self) -> bool:
        """Whether it has an interaction."""
        return self.report.n_pairs > 0


def write_part(piece: Piece, options: ReadOptions, file: Path) -> Part:
    """Read a piece, clean its rows like those of any table, and write its pairs.

    Columns of the file: ``user`` and ``item``, the caller's ids; ``seconds``; ``weight``; ``positive``, false for pairs
    that only count as seen.

    Raises:
        ValueError: as for `load_dataset`; a piece of which nothing is left is not an error.
    """
    # What needs the whole log is done when the parts are merged.
    options = replace(options, partial=True, min_user_interactions=None, min_item_interactions=None)
    table = piece.read()
    found = _values_found(table, options)
    try:
        with reports_not_logged():
            dataset = dataset_from_table(table, options)
    except NothingLeftError as error:
        dropped = (*table.dropped, *error.dropped)
        report = ReadingReport(str(piece.path), n_rows=error.n_rows, dropped=dropped, notes=error.notes)
        if error.seen is None:
            return Part("", piece.done, report, found=found)
        _write(error.seen.with_columns(positive=False), file)
        return Part(file.name, piece.done, report, _kinds(error.seen["user"], error.seen["item"]), found=found)
    frames = [_rows(dataset, dataset.interactions, positive=True)]
    if dataset.also_seen is not None:
        frames.append(_rows(dataset, dataset.also_seen, positive=False))
    _write(pl.concat(frames, how="diagonal"), file)
    assert dataset.report is not None
    kinds, pairs = _kinds(dataset.user_ids.ids, dataset.item_ids.ids), dataset.interactions
    timed, weighted = pairs.timestamps is not None, pairs.weights is not None
    return Part(file.name, piece.done, dataset.report, kinds, timed, weighted, found)


def _write(rows: pl.DataFrame, file: Path) -> None:
    absent = [pl.lit(None, kind).alias(name) for name, kind in _OPTIONAL.items() if name not in rows.columns]
    with replacing(file) as temporary:
        rows.with_columns(absent).write_parquet(temporary, compression="lz4")


def _kinds(*ids: pl.Series) -> tuple[str, ...]:
    return tuple("integers" if column.dtype == pl.Int64 else "strings" for column in ids)


def _values_found(table: RawTable, options: ReadOptions) -> tuple[str, ...]:
    """The rules of the values that the options name and that occur in a table."""
    available, found = table.frame.collect_schema().names(), []
    for option, column, values in _values_named(options):
        name = find_column(column, available, f"{table.name}: `{option}`")
        distinct = table.rows({source(column): pl.col(name).unique()})
        present = Values(Rows(table, distinct), column)
        found += [
            _rule(option, column, value) for value in values if present.rows_with([value], option, partial=True).any()
        ]
    return tuple(found)


def _values_named(options: ReadOptions) -> Iterator[tuple[str, str, list[Any]]]:
    weighted = {column: list(by_value) for column, by_value in (options.event_weights or {}).items()}
    for option, by_column in (("only", options.only), ("drop", options.drop), ("event_weights", weighted)):
        for column, values in values_by_column(by_column):
            yield option, column, values


def _rule(option: str, column: str, value: object) -> str:
    return f"`{option}` must be a value that occurs in column {column!r}, got {value!r}"


def refuse_absent_values(parts: Iterable[Part], options: ReadOptions) -> None:
    """Refuse a value that the options name but that occurs nowhere: it is misspelt, and the wrong rows are read.

    Raises:
        ValueError: there is such a value.
    """
    found = {rule for part in parts for rule in part.found}
    for option, column, values in _values_named(options):
        for rule in (_rule(option, column, value) for value in values):
            if rule not in found:
                raise ValueError(rule)


def _rows(dataset: Dataset, pairs: Interactions, *, positive: bool) -> pl.DataFrame:
    columns = {"user": dataset.user_ids.ids.gather(pairs.users), "item": dataset.item_ids.ids.gather(pairs.items)}
    if pairs.timestamps is not None:
        columns["seconds"] = pl.Series(pairs.timestamps)
    if pairs.weights is not None:
        columns["weight"] = pl.Series(pairs.weights)
    return pl.DataFrame(columns).with_columns(positive=pl.lit(positive))


def kinds_of(parts: Iterable[Part]) -> tuple[str, ...]:
    """The types of all ids together: strings, unless all are integers.

    Raises:
        ValueError: ids like ``7.0`` were read as integers in one piece, where all are numbers, and as text in another.
    """
    with_file = [part for part in parts if part.file]
    found = []
    for place, side in enumerate(SIDES):
        kinds = {part.kinds[place] for part in with_file}
        notes = [note for part in with_file for note in part.report.notes if f"{side} ids" in note]
        if len(kinds) > 1 and any(_DECIMALS in note for note in notes):
            raise ValueError(
                f"{side} ids must be all numbers or all text: some pieces have only decimals like 7.0, others text; "
                "write them without `.0`"
            )
        found.append("integers" if kinds == {"integers"} else "strings")
    return tuple(found)


def one_report(parts: Iterable[Part], log: str) -> ReadingReport:
    """The report on a whole log: counts are added, and each sentence appears once.

    Raises:
        ValueError: pieces whose columns, timestamps or weights were read in different ways.
    """
    parts = list(parts)
    filled = [part for part in parts if part.filled]
    if not filled:
        sentences = [[*map(str, part.report.dropped), *part.report.notes] for part in parts]
        reasons = _once([[text for text in texts if "dropped" in text or "min_rating" in text] for texts in sentences])
        raise ValueError(f"{log}: at least one interaction must be left, got none: {'; '.join(reasons) or 'no rows'}")
    first = filled[0]
    for part in filled[1:]:
        _check_alike(first, part)
    _refuse_untimed(parts)
    return replace(
        first.report,
        source=log,
        n_rows=sum(part.report.n_rows for part in parts),
        n_pairs=sum(part.report.n_pairs for part in parts),
        n_merged=sum(part.report.n_merged for part in parts),
        dropped=_all_dropped([part.report for part in parts]),
        notes=_once([part.report.notes for part in filled]),
        warnings=_once([part.report.warnings for part in filled]),
    )


def _all_dropped(reports: Sequence[ReadingReport]) -> tuple[DroppedRows, ...]:
    """The rows left out of all pieces, by reason, with the first of them."""
    by_reason: dict[str, DroppedRows] = {}
    has_several_files = len({report.source for report in reports}) > 1
    for report in reports:
        for rows in report.dropped:
            before = by_reason.get(rows.reason)
            if before is not None:
                by_reason[rows.reason] = replace(before, n_rows=before.n_rows + rows.n_rows)
            else:
                first = f"{report.source}, {rows.first}" if has_several_files else rows.first
                by_reason[rows.reason] = replace(rows, first=first)
    return tuple(by_reason.values())


def _refuse_untimed(parts: Sequence[Part]) -> None:
    """Refuse a log with too many rows without a timestamp: each piece may leave out one of its rows."""
    untimed = sum(rows.n_rows for part in parts for rows in part.report.dropped if rows.reason == NO_TIMESTAMP)
    n_rows = untimed + sum(part.report.n_pairs + part.report.n_merged for part in parts)
    if untimed > max(1, MISSING_SHARE * n_rows):
        raise ValueError(
            f"timestamps must not be missing in more than 1 % of the rows, got {untimed:,} of {n_rows:,} without one; "
            'give them a time, or pass `timestamp_column=""`'
        )


def _check_alike(first: Part, other: Part) -> None:
    """Refuse two parts whose columns, timestamps or weights were read in different ways."""
    roles = [{column.role: column.name for column in part.report.columns} for part in (first, other)]
    untimed = [part for part, columns in zip((first, other), roles, strict=True) if "timestamp" not in columns]
    if len(untimed) == 1 and (why := [text for text in untimed[0].report.warnings if "timestamp" in text]):
        raise ValueError(
            f"timestamps must be there in all pieces of the log or in none, got a piece of {untimed[0].report.source} "
            f'without: {why[0]}; correct it, or pass `timestamp_column=""`'
        )
    if roles[0] != roles[1]:
        raise ValueError(
            f"all files must have the same columns, got {roles[0]} in {first.report.source} and {roles[1]} in "
            f"{other.report.source}; name them by `user_column`, `item_column` and `timestamp_column`"
        )
    if first.weighted != other.weighted:
        raise ValueError(
            f"all files must have weights or none, got those of {first.report.source} and of {other.report.source}"
        )
    times = [
        [note for note in part.report.notes if note.startswith("timestamps") and not note.endswith(_SAME_IN_ALL_PIECES)]
        for part in (first, other)
    ]
    if _without_examples(times[0]) != _without_examples(times[1]) or first.timed != other.timed:
        raise ValueError(
            f"timestamps must be written in one way, got {times[0] or 'seconds'} in {first.report.source} and "
            f'{times[1] or "seconds"} in {other.report.source}; pass `timestamp_format`, or `timestamp_column=""`'
        )


def _once(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Each sentence once; if its numbers or examples differ between pieces, those of the first, marked as such."""
    alike: dict[str, list[str]] = {}
    for sentence in (sentence for sentences in lists for sentence in sentences):
        alike.setdefault(_without_examples([sentence]), []).append(sentence)
    return tuple(
        sentences[0] if len(set(sentences)) == 1 else f"{sentences[0]} (in the first of {len(sentences)} pieces)"
        for sentences in alike.values()
    )


def _without_examples(sentences: list[str]) -> str:
    return re.sub(r"'[^']*'|\d[\d,.]*", "", "\n".join(sentences))


def packed(part: Part) -> dict[str, Any]:
    """A part in a form that JSON can hold."""
    return asdict(part)


def unpacked(record: dict[str, Any]) -> Part:
    """The inverse of `packed`."""
    report = ReadingReport.from_record(record["report"])
    return Part(**(record | {"report": report, "kinds": tuple(record["kinds"]), "found": tuple(record["found"])}))

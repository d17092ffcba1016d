"""Several files as one table: those that match a pattern such as ``logs/*.csv.gz``."""

from __future__ import annotations

import bisect
import glob
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import polars as pl

from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.tables import read_file


def read_pattern(pattern: str, options: ReadOptions) -> RawTable:
    """Rows of all files that match, in the order of their names.

    Raises:
        FileNotFoundError: nothing matches.
        ValueError: a file that cannot be read, or whose columns are not those of the first.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = [(folder / f"{day}.csv").write_text(f"user,item\\nann,{day}\\n") for day in (2, 1)]
        >>> read_pattern(f"{folder}/*.csv", ReadOptions()).frame.rows()
        [('ann', '1'), ('ann', '2')]
    """
    paths = matching_files(pattern)
    if not paths:
        raise FileNotFoundError(f"no file matches {pattern!r}")
    return concatenate([read_file(path, options) for path in paths], pattern)


def matching_files(pattern: str) -> list[Path]:
    """The files that match, in the order of their names."""
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 (`Path.glob` takes no absolute pattern)
    return [path for path in map(Path, sorted(found)) if path.is_file()]


def concatenate(tables: Sequence[RawTable], name: str) -> RawTable:
    """One table of the rows of several, which must have the same columns, in any order.

    Raises:
        ValueError: the columns, or their types, are not those of the first table.
    """
    first = tables[0]
    if len(tables) == 1:
        return replace(first, name=name)
    for table in tables:
        _check_columns(first, table)
    columns = first.frame.collect_schema().names()
    frames = [table.frame.lazy().select(columns) for table in tables]
    eager = [table.frame for table in tables if isinstance(table.frame, pl.DataFrame)]
    whole: pl.DataFrame | pl.LazyFrame = pl.concat(frames)
    place_of = None
    if len(eager) == len(tables):
        whole = pl.concat([frame.select(columns) for frame in eager])
        place_of = _place_finder(tables, [0, *accumulate(len(frame) for frame in eager)])
    formats = list(dict.fromkeys(table.format for table in tables))
    counts = [table.n_rows for table in tables]
    dropped = tuple(replace(rows, first=f"{table.name}, {rows.first}") for table in tables for rows in table.dropped)
    notes = tuple(dict.fromkeys(f"{table.name}: {note}" for table in tables for note in table.notes))
    n_rows = sum(count for count in counts if count is not None) if None not in counts else None
    form = f"{len(tables)} files, {'; '.join(formats)}"
    return RawTable(name, whole, first.from_text, form, None, n_rows, dropped, notes, place_of)


def _check_columns(first: RawTable, other: RawTable) -> None:
    expected, found = first.frame.collect_schema(), other.frame.collect_schema()
    if sorted(expected) != sorted(found):
        raise ValueError(
            f"files that are one table must have the same columns, got {sorted(expected)} in {first.name} and "
            f"{sorted(found)} in {other.name}"
        )
    if wrong := [name for name in expected if expected[name] != found[name]]:
        raise ValueError(
            f"files that are one table must have columns of the same types, got {wrong[0]!r} as {expected[wrong[0]]} "
            f"in {first.name} and as {found[wrong[0]]} in {other.name}"
        )


def _place_finder(tables: Sequence[RawTable], starts: Sequence[int]) -> Callable[[int], str]:
    def place_of(row: int) -> str:
        number = bisect.bisect_right(starts, row) - 1
        return f"{tables[number].name}, {tables[number].place(row - starts[number])}"

    return place_of

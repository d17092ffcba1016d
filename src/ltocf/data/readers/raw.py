"""The interface between where rows come from and what they mean: a table as its source has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from ltocf.data.report import DroppedRows


@dataclass(frozen=True)
class RawTable:
    """Rows as a source has them, all columns.

    Args:
        name: the source, for messages.
        frame: the rows.
        from_text: all columns are text: ids and numbers are still to be recognised.
        format: how it was read, for the report: ``CSV, separator ';', latin-1``.
        first_line: the line of the first row in a text file, if rows are lines from there on; else None.
        n_rows: rows in the source, if some are not in ``frame``; else None.
        dropped: rows that could not be read.
        notes: sentences for the report.
        place_of: where a row of ``frame`` is, if that is neither its line after ``first_line`` nor its own number.
    """

    name: str
    frame: pl.DataFrame | pl.LazyFrame
    from_text: bool = False
    format: str = ""
    first_line: int | None = None
    n_rows: int | None = None
    dropped: tuple[DroppedRows, ...] = ()
    notes: tuple[str, ...] = ()
    place_of: Callable[[int], str] | None = None

    def rows(self, columns: Mapping[str, pl.Expr] | None = None, first: int | None = None) -> pl.DataFrame:
        """The rows, or the first of them, with these columns; all columns if none are given.

        Raises:
            ValueError: the file is damaged; one that is read column by column shows it only now.

        Example:
            >>> table = RawTable("frame", pl.DataFrame({"user": [3, 4]}))
            >>> table.rows({"twice": 2 * pl.col("user")}, first=1).to_dicts()
            [{'twice': 6}]
        """
        frame = self.frame.lazy().select(**columns) if columns is not None else self.frame.lazy()
        try:
            return (frame if first is None else frame.head(first)).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            if isinstance(self.frame, pl.DataFrame):
                raise
            reason = str(error).splitlines()[0]
            raise ValueError(f"{self.name} is not a readable {self.format} file: {reason}") from error

    def place(self, row: int) -> str:
        """Where a row of ``frame`` is, for messages.

        Example:
            >>> RawTable("a.csv", pl.DataFrame(), first_line=2).place(5), RawTable("frame", pl.DataFrame()).place(5)
            ('line 7', 'row 6')
        """
        if self.place_of is not None:
            return self.place_of(row)
        return f"row {row + 1}" if self.first_line is None else f"line {row + self.first_line}"

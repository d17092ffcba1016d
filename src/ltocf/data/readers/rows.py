"""The rows of a table while they are read: those that are left, and what happened to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ltocf.data.readers.raw import RawTable
from ltocf.data.report import DroppedRows, counted

MISSING_TEXTS = (
    "",
    *("NA", "N/A", "n/a", "#N/A", "<NA>", r"\N", "nan", "NaN", "NaT"),
    *("null", "NULL", "None", "nil"),
)
"""What programs write for "no value" when they write text."""

BLANKS = " \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u2060\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200C))
)
"""All blanks of Unicode, those without width included."""

Place = Callable[[int], str]


class NothingLeftError(ValueError):
    """No row is left of a table.

    Args:
        message: for people.
        n_rows: rows in the source.
        dropped: rows left out, by reason.
        notes: sentences for the report.
        seen: the ids of pairs that are no interactions, if there are no others; columns ``user`` and ``item``.
    """

    def __init__(
        self,
        message: str,
        n_rows: int,
        dropped: Iterable[DroppedRows],
        notes: Iterable[str] = (),
        seen: pl.DataFrame | None = None,
    ) -> None:
        super().__init__(message)
        self.n_rows, self.dropped, self.notes, self.seen = n_rows, tuple(dropped), tuple(notes), seen


@dataclass
class Rows:
    """Rows that are left of a table, and the beginning of its report.

    Args:
        table: where they come from.
        frame: the columns in use, one row for each that is left.
        index: the row of ``table`` of each; None where all are left.
        dropped: rows left out, by reason.
        notes: sentences for the report.
        warnings: sentences for the report that deserve a look.
        n_rows: rows in the source.
        n_merged: rows that repeat a pair.
    """

    table: RawTable
    frame: pl.DataFrame
    index: np.ndarray | None = None
    dropped: list[DroppedRows] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    n_rows: int = 0
    n_merged: int = 0

    @property
    def name(self) -> str:
        """The source, for messages."""
        return self.table.name

    def note(self, notes: Iterable[str]) -> None:
        """Put notes into the report, which has the name of the source already."""
        self.notes += [note.removeprefix(f"{self.name}: ") for note in notes]

    def warn(self, warnings: Iterable[str]) -> None:
        """Put warnings into the report, which has the name of the source already."""
        self.warnings += [warning.removeprefix(f"{self.name}: ") for warning in warnings]

    def place(self, row: int) -> str:
        """Where a row of ``frame`` is in the source, for people."""
        return self.table.place(row if self.index is None else int(self.index[row]))

    def drop(self, bad: pl.Series, reason: str, column: pl.Series | None = None, *, asked: bool = False) -> None:
        """Leave rows out, with their number, the first of them, and what stands there in ``column``."""
        bad = bad.fill_null(False)
        if not (n_bad := int(bad.sum())):
            return
        first = int(bad.arg_true()[0])
        example = "" if column is None or column[first] is None else repr(column[first])
        self.dropped.append(DroppedRows(reason, n_bad, self.place(first), example, asked))
        kept = np.flatnonzero(~bad.to_numpy())
        self.index = kept if self.index is None else self.index[kept]
        self.frame = self.frame.filter(~bad)

    def refuse_nothing_left(self) -> None:
        """Raise if no row is left.

        Raises:
            NothingLeftError: no row is left; the message has the reasons.
        """
        if len(self.frame):
            return
        reasons = "; ".join(map(str, self.dropped))
        if not reasons:
            raise self.nothing_left("must hold at least one row besides the header, got none")
        raise self.nothing_left(f"at least one row must be left, got none: {reasons}")

    def nothing_left(self, rule: str, seen: pl.DataFrame | None = None) -> NothingLeftError:
        """The error for a table of which no row is left, or only those of pairs that are ``seen``."""
        colon = "" if rule.startswith("must") else ":"
        return NothingLeftError(f"{self.name}{colon} {rule}", self.n_rows, self.dropped, self.notes, seen)


def refuse(bad: pl.Series, column: pl.Series, rule: str, remedy: str, place: Place) -> None:
    """Raise if any value is bad, with their number and the first of them.

    Raises:
        ValueError: a value is bad.
    """
    bad = bad.fill_null(False)
    if n_bad := int(bad.sum()):
        first = int(bad.arg_true()[0])
        others = f", one of {counted(n_bad, 'such row')}" if n_bad > 1 else ""
        raise ValueError(f"{rule}, got {column[first]!r} in {place(first)}{others}; {remedy}")


def is_missing(column: pl.Series, from_text: bool) -> pl.Series:
    """Where a column has no value: null, NaN, blank text, and in text files what programs write for it."""
    if column.dtype.is_float():
        return column.is_null() | column.is_nan().fill_null(False)
    if column.dtype != pl.String:
        return column.is_null()
    texts = MISSING_TEXTS if from_text else ("",)
    return column.str.strip_chars(BLANKS).is_in(texts).fill_null(True)

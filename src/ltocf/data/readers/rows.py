"""The rows of a table while they are read: the remaining ones, and why the others were left out."""

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
        message: what the user reads.
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
    """The remaining rows of a table, and the beginning of its report.

    Args:
        table: where they come from.
        frame: the columns in use of the remaining rows.
        index: for each of these, its row in ``table``; None if all remain.
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
        """Add notes to the report, without the name of the source, which it has already."""
        self.notes += [note.removeprefix(f"{self.name}: ") for note in notes]

    def warn(self, warnings: Iterable[str]) -> None:
        """Add warnings to the report, without the name of the source, which it has already."""
        self.warnings += [warning.removeprefix(f"{self.name}: ") for warning in warnings]

    def place(self, row: int) -> str:
        """Where a row of ``frame`` is in the source, for messages."""
        return self.table.place(row if self.index is None else int(self.index[row]))

    def drop(self, bad: pl.Series, reason: str, column: pl.Series | None = None, *, asked: bool = False) -> None:
        """Leave out the bad rows, and record how many they are, the place of the first, and its value in ``column``."""
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
        """The error for a table that has no row left, or only those of pairs that are ``seen``."""
        colon = "" if rule.startswith("must") else ":"
        return NothingLeftError(f"{self.name}{colon} {rule}", self.n_rows, self.dropped, self.notes, seen)


def refuse(bad: pl.Series, column: pl.Series, rule: str, remedy: str, place: Place) -> None:
    """Raise if any value is bad, naming the first one and how many there are.

    Raises:
        ValueError: a value is bad.
    """
    bad = bad.fill_null(False)
    if n_bad := int(bad.sum()):
        first = int(bad.arg_true()[0])
        others = f", one of {counted(n_bad, 'such row')}" if n_bad > 1 else ""
        raise ValueError(f"{rule}, got {column[first]!r} in {place(first)}{others}; {remedy}")


def is_missing(column: pl.Series, from_text: bool) -> pl.Series:
    """Where a column has no value: null, NaN, blank text, and in text files what programs write for "no value"."""
    if column.dtype.is_float():
        return column.is_null() | column.is_nan().fill_null(False)
    if column.dtype != pl.String:
        return column.is_null()
    texts = MISSING_TEXTS if from_text else ("",)
    return column.str.strip_chars(BLANKS).is_in(texts).fill_null(True)

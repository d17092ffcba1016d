"""What a reader understood of its source: one report, so that nothing is dropped, merged or guessed in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

from ltocf.data.display import Shown
from ltocf.progress import logged_from


def reports_not_logged() -> AbstractContextManager[None]:
    """Within the block, readers do not log their reports: the caller shows or combines them."""
    return logged_from(logging.ERROR, "ltocf.data.readers")


@dataclass(frozen=True)
class ChosenColumn:
    """A column that was read.

    Args:
        role: user, item, timestamp, rating, weight, title, or filter.
        name: its name in the source.
        why: ``given``, or what it was recognised by.
    """

    role: str
    name: str
    why: str


def counted(n: int, noun: str) -> str:
    """A number and its noun.

    Example:
        >>> counted(1, "row"), counted(2000, "row")
        ('1 row', '2,000 rows')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


@dataclass(frozen=True)
class DroppedRows:
    """Rows that were left out for one reason.

    Args:
        reason: what is wrong with them.
        n_rows: how many.
        first: where the first one is: ``line 7`` of a text file, else ``row 7``, from 1 without the header.
        example: the text of the first one.
        asked: whether an option asked for it.
    """

    reason: str
    n_rows: int
    first: str
    example: str = ""
    asked: bool = False

    def __str__(self) -> str:
        shown = f": {self.example}" if self.example else ""
        return f"{counted(self.n_rows, 'row')} dropped: {self.reason} (first: {self.first}{shown})"


@dataclass(frozen=True, repr=False)
class ReadingReport(Shown):
    """How a source was read.

    Args:
        source: what was read.
        format: how: separator, encoding, header, compression.
        columns: the columns read, and why these.
        unused: the other columns.
        n_rows: rows in the source.
        n_pairs: distinct pairs that came out as interactions.
        n_merged: rows that repeat a pair.
        n_also_seen: pairs that are no interactions but count as seen, such as those rated low.
        dropped: rows left out, by reason.
        notes: anything else that was decided for the reader: one sentence each.
        warnings: notes that deserve a look.

    Example:
        >>> report = ReadingReport("visits.csv", "CSV", (ChosenColumn("user", "uid", "usual name"),), n_rows=3)
        >>> print(report.dropping(DroppedRows("no user", 1, "line 4")).text())
        visits.csv: CSV, 3 rows, 0 distinct pairs
          user: 'uid' (usual name)
          1 row dropped: no user (first: line 4)
    """

    source: str
    format: str = ""
    columns: tuple[ChosenColumn, ...] = ()
    unused: tuple[str, ...] = ()
    n_rows: int = 0
    n_pairs: int = 0
    n_merged: int = 0
    n_also_seen: int = 0
    dropped: tuple[DroppedRows, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def facts(self) -> dict[str, object]:
        chosen: dict[str, object] = {column.role: column.name for column in self.columns}
        counts = {"n_rows": self.n_rows, "n_pairs": self.n_pairs, "n_dropped": self.n_dropped}
        return {"source": self.source} | chosen | counts | {"n_merged": self.n_merged}

    @property
    def n_dropped(self) -> int:
        """Rows left out, for whatever reason."""
        return sum(dropped.n_rows for dropped in self.dropped)

    def dropping(self, *rows: DroppedRows) -> ReadingReport:
        """The report with more rows dropped; reasons without rows are ignored."""
        return replace(self, dropped=(*self.dropped, *(row for row in rows if row.n_rows)))

    def noting(self, *notes: str) -> ReadingReport:
        """The report with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def lines(self) -> Iterable[str]:
        """The report as lines of text."""
        kind = f"{self.format}, " if self.format else ""
        yield f"{self.source}: {kind}{counted(self.n_rows, 'row')}, {counted(self.n_pairs, 'distinct pair')}"
        for column in self.columns:
            yield f"  {column.role}: {column.name!r} ({column.why})"
        if self.unused:
            yield f"  columns not used: {', '.join(map(repr, self.unused))}"
        for dropped in self.dropped:
            yield f"  {dropped}"
        if self.n_merged:
            yield f"  merged: {counted(self.n_merged, 'row')} that repeat a pair"
        if self.n_also_seen:
            yield f"  seen, but no interactions: {counted(self.n_also_seen, 'pair')}"
        for note in self.notes:
            yield f"  {note}"
        for warning in self.warnings:
            yield f"  warning: {warning}"

    def record(self) -> dict[str, object]:
        """The report as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ReadingReport:
        """The inverse of `record`.

        Example:
            >>> report = ReadingReport("log.csv", dropped=(DroppedRows("no user", 1, "line 4"),))
            >>> ReadingReport.from_record(report.record()) == report
            True
        """
        columns = tuple(ChosenColumn(**column) for column in record["columns"])
        dropped = tuple(DroppedRows(**rows) for rows in record["dropped"])
        lists = {name: tuple(record[name]) for name in ("unused", "notes", "warnings")}
        return cls(**{**record, **lists, "columns": columns, "dropped": dropped})

    def text(self) -> str:
        """The lines, one under the other."""
        return "\n".join(self.lines())

"""Text tables read line by line, if some lines have more or fewer fields than there are columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ltocf.data.readers.encoding import Text
from ltocf.data.readers.layout import Layout, fields
from ltocf.data.report import DroppedRows

MAX_SHARE_DROPPED = 0.01
"""Share of a file's lines; if more have too many fields, the layout of the file was not recognised."""


@dataclass(frozen=True)
class Lines:
    """Where the rows of a text table are in the file.

    Args:
        first: the line of row 0; None if rows are not lines because fields hold line ends.
        rows: for each row that is kept, its number in the file from 0; None if all are kept.
        dropped: rows that are not kept.
        notes: sentences for the report.

    Example:
        >>> Lines(2, np.array([0, 5])).place(1), Lines(None).place(1)
        ('line 7', 'row 2')
    """

    first: int | None
    rows: np.ndarray | None = None
    dropped: tuple[DroppedRows, ...] = ()
    notes: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """Where a row is, for messages."""
        row = row if self.rows is None else int(self.rows[row])
        return f"row {row + 1}" if self.first is None else f"line {row + self.first}"

    def places(self, kept: np.ndarray | None) -> Callable[[int], str]:
        """`place` for a table that has only these rows left."""
        return self.place if kept is None else partial(_place_of_kept, self, kept)


def _place_of_kept(lines: Lines, kept: np.ndarray, row: int) -> str:
    return lines.place(int(kept[row]))


@dataclass
class _Found:
    """The lines of each kind: kept ones, with too many or too few fields, blank, and a last one that is cut off."""

    kept: list[int] = field(default_factory=list)
    long: list[tuple[int, int]] = field(default_factory=list)
    short: list[int] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)
    unfinished: tuple[int, str] | None = None

    def dropped(self) -> Iterator[DroppedRows]:
        if self.long:
            line, n_fields = self.long[0]
            yield DroppedRows("more fields than columns", len(self.long), f"line {line}", f"{n_fields} fields")
        inside = [line for line in self.blank if self.kept and line < self.kept[-1]]
        if inside:
            yield DroppedRows("empty line", len(inside), f"line {inside[0]}")
        if self.unfinished is not None:
            line, shown = self.unfinished
            yield DroppedRows("the file ends in the middle of it", 1, f"line {line}", repr(shown))


def careful_lines(text: Text, layout: Layout) -> tuple[bytes, Lines]:
    """The lines that have a field for each column, as plain CSV without a header, and where they were.

    Lines with too few fields are filled up, and counted in a note. Those with too many are dropped, and so is a last
    line that ends in the middle.

    Raises:
        ValueError: a quote that is never closed, or more than 1 % of lines with too many fields.
    """
    found, content = _Found(), io.StringIO(newline="")
    writer = csv.writer(content, lineterminator="\n")
    name, n_columns = text.content.name, len(layout.names)
    for line, row in _records(text, layout, found):
        if not any(row):
            found.blank.append(line)
        elif len(row) > n_columns and any(row[n_columns:]):
            found.long.append((line, len(row)))
        else:
            if len(row) < n_columns:
                _refuse_swallowed(name, line, row)
                found.short.append(line)
            found.kept.append(line)
            writer.writerow(row[:n_columns] + [""] * (n_columns - len(row)))
    n_lines = len(found.kept) + len(found.long)
    if len(found.long) > MAX_SHARE_DROPPED * n_lines:
        line, n_fields = found.long[0]
        raise ValueError(
            f"{name}: line {line} has {n_fields} fields and the header {n_columns}, one of {len(found.long)} such "
            f"lines of {n_lines}; pass the right `separator`, or put fields that hold it in quotes"
        )
    if found.short and text.data[-1:] != layout.line_end.encode() and found.short[-1] == found.kept[-1]:
        _drop_unfinished(text, found, content)
    notes = []
    if found.short:
        notes.append(
            f"lines with fewer fields than columns: {len(found.short):,} (first: line {found.short[0]}); what is not "
            "there counts as missing"
        )
    rows = np.array(found.kept, np.int64)
    return content.getvalue().encode(), Lines(0, rows, tuple(found.dropped()), tuple(notes))


def _refuse_swallowed(name: str, line: int, row: list[str]) -> None:
    """Refuse a record that has too few fields and spans several lines: a stray quote has swallowed the next rows."""
    if n_swallowed := sum(value.count("\n") for value in row):
        raise ValueError(
            f"{name}, line {line}: a quote that opens a field must close it, got one that ends {n_swallowed} lines "
            "below; double quotes inside a field, or remove them"
        )


def _drop_unfinished(text: Text, found: _Found, content: io.StringIO) -> None:
    """Take the last line back out: its last field may be cut off."""
    written = content.getvalue()
    start = written.rfind("\n", 0, len(written) - 1) + 1
    found.unfinished = (found.kept.pop(), written[start:].strip(",\n"))
    found.short.pop()
    content.seek(start)
    content.truncate()


def _records(text: Text, layout: Layout, found: _Found) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of each record."""
    stream = io.TextIOWrapper(io.BytesIO(text.data), encoding="utf-8-sig", errors="strict", newline="")
    for _ in range(layout.n_before):
        next(stream, None)
    line = layout.n_before + 1
    if layout.separator == " " or not layout.quoted:
        for number, content in enumerate(stream, start=line):
            stripped = content.rstrip("\r\n")
            yield number, fields([stripped], layout.separator, False)[0] if stripped else []
        return
    records = csv.reader(stream, delimiter=layout.separator, strict=True)
    while True:
        try:
            row = next(records, None)
        except csv.Error as error:
            last = layout.n_before + records.line_num
            if last == line and not text.data[-1:].isspace() and not next(stream, ""):
                found.unfinished = (line, "a quote that is not closed")
                return
            raise ValueError(
                f"{text.content.name}, line {line}: a quote that opens a field must close it, got: {error}; double "
                "quotes inside a field, or remove them"
            ) from error
        if row is None:
            return
        yield line, row
        line = layout.n_before + records.line_num + 1

"""Text tables with one row per line: parsed by polars, or read line by line if polars cannot parse them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ltocf.data.readers.content import SAMPLE_BYTES, Content
from ltocf.data.readers.encoding import Text, other_text, read_text
from ltocf.data.readers.layout import Layout, distinct_names, recognise
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.ragged import Lines, careful_lines
from ltocf.data.readers.raw import RawTable
from ltocf.data.report import DroppedRows

# Replaces a separator of several characters, which polars does not take; text has no use for this character.
UNIT = "\x1f"

_BLOCK_BYTES = 1 << 24
_RECBOLE_TYPES = ("token", "token_seq", "float", "float_seq")


class _OtherEncodingError(Exception):
    """A file whose beginning looked like UTF-8 is not UTF-8."""


@dataclass(frozen=True)
class _Parsed:
    """Rows of a text table, and where they are in the file."""

    frame: pl.DataFrame
    lines: Lines
    quoted: bool = False


def read_delimited(content: Content, options: ReadOptions) -> RawTable:
    """Rows of a text table, all columns as text; a line that is no row is dropped and counted, or refused.

    Raises:
        ValueError: no table, an encoding or a layout that is not recognised, or more than 1 % of lines with too many
            fields.

    Example:
        >>> table = read_delimited(Content("a.csv", ".csv", b"user|item\\nann|007\\nuser|item\\n"), ReadOptions())
        >>> table.frame.rows(), table.format, str(*table.dropped)
        ([('ann', '007')], "CSV, separator '|', encoding UTF-8, header in line 1", \
'1 row dropped: repeats the header (first: line 3)')
    """
    text = read_text(content, options.encoding)
    try:
        return _read(text, options)
    except _OtherEncodingError:
        return _read(other_text(content, options.encoding), options)


def _read(text: Text, options: ReadOptions) -> RawTable:
    content = text.content
    first_quote = text.data.find(b'"')
    around = _lines_around(text, first_quote) if first_quote >= SAMPLE_BYTES else ""
    try:
        layout = recognise(text.sample, content.suffix, options, around)
    except ValueError as error:
        raise ValueError(f"{content.name} {error}") from error
    parsed = _parse(*_with_single_character(text, layout), first_quote >= 0)
    names = layout.names
    if content.suffix == ".inter" or (names and all(name.rpartition(":")[2] in _RECBOLE_TYPES for name in names)):
        names = _recbole_names(content, names)
    frame, kept, dropped = _without_repeats(parsed, layout, content)
    packed = f", {content.packed}" if content.packed else ""
    return RawTable(
        content.name,
        frame.rename(dict(zip(frame.columns, names, strict=True))),
        from_text=True,
        format=replace(layout, quoted=layout.quoted or parsed.quoted).describe(text.encoding) + packed,
        first_line=parsed.lines.first if kept is None and parsed.lines.rows is None else None,
        n_rows=len(frame) + sum(rows.n_rows for rows in dropped),
        dropped=dropped,
        notes=(*((layout.note,) if layout.note else ()), *parsed.lines.notes),
        place_of=parsed.lines.places(kept),
    )


def _lines_around(text: Text, position: int) -> str:
    start = text.data.rfind(b"\n", 0, position) + 1
    block = bytes(text.data[start : start + SAMPLE_BYTES])
    return block[: block.rfind(b"\n") + 1].decode(errors="replace")


def _with_single_character(text: Text, layout: Layout) -> tuple[Text, Layout]:
    """The text with a single character as separator, and its layout."""
    if layout.separator == " ":
        data = re.sub(rb"[ \t]+", b" ", bytes(text.data))
        data = re.sub(rb"^ | (?=\r?$)", b"", data, flags=re.MULTILINE)
        return replace(text, data=data), layout
    if len(layout.separator.encode()) == 1:
        return text, layout
    data = bytes(text.data).replace(layout.separator.encode(), UNIT.encode())
    return replace(text, data=data), replace(layout, separator=UNIT)


def _parse(text: Text, layout: Layout, has_quotes: bool) -> _Parsed:
    """All rows; if polars refuses or pads some of them, they are read line by line."""
    if layout.separator in "\t\x01":
        return _parse_tabs(text, layout, has_quotes)
    frame = _polars_frame(text, layout)
    if frame is None or _has_short_lines(frame, text, layout):
        return _parse_carefully(text, layout)
    return _without_blank_rows(frame, text, layout, has_quotes and layout.quoted)


def _parse_tabs(text: Text, layout: Layout, has_quotes: bool) -> _Parsed:
    """Between tabs a quote may stand for itself: lines are divided first, and quotes only bind a whole field."""
    plain = replace(layout, quoted=False)
    frame = _polars_frame(text, plain)
    if frame is not None and not _has_short_lines(frame, text, plain):
        return _without_blank_rows(_unquoted(frame) if layout.quoted else frame, text, layout, False)
    if has_quotes:
        frame = _polars_frame(text, replace(layout, quoted=True))
        if frame is not None and not _has_short_lines(frame, text, replace(layout, quoted=True)):
            return replace(_without_blank_rows(frame, text, layout, True), quoted=True)
    parsed = _parse_carefully(text, plain)
    return replace(parsed, frame=_unquoted(parsed.frame)) if layout.quoted else parsed


def _polars_frame(text: Text, layout: Layout) -> pl.DataFrame | None:
    """All rows as text, or None if polars refuses some of them."""
    try:
        return pl.read_csv(
            text.path or io.BytesIO(text.data),
            has_header=False,
            schema={f"{number}": pl.String for number in range(len(layout.names))},
            separator=layout.separator,
            quote_char='"' if layout.quoted else None,
            skip_lines=layout.n_before,
            eol_char=layout.line_end,
            glob=False,
        )
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema={f"{number}": pl.String for number in range(len(layout.names))})
    except pl.exceptions.PolarsError as error:
        if "utf-8" in str(error).lower():
            raise _OtherEncodingError from error
        return None
    except pl.exceptions.PanicException as error:
        raise text.content.unreadable(error, text.content.suffix or "text") from error


def _parse_carefully(text: Text, layout: Layout) -> _Parsed:
    """All rows that have no more fields than columns, read one by one, with the lines they are on."""
    content, lines = careful_lines(text, layout)
    plain = replace(layout, separator=",", quoted=True, n_before=0, line_end="\n")
    frame = _polars_frame(replace(text, data=content), plain)
    if frame is None:
        raise text.content.unreadable("its lines cannot be divided", text.content.suffix or "text")
    return _Parsed(frame, lines)


def _without_blank_rows(frame: pl.DataFrame, text: Text, layout: Layout, may_span: bool) -> _Parsed:
    """The rows that are not blank, and their lines: one for each row, unless quoted fields may span several lines."""
    first: int | None = layout.n_before + 1
    if may_span and _n_lines(text, layout) > len(frame) + layout.n_before:
        first = None
    if not frame.width or not frame[:, -1].null_count():
        return _Parsed(frame, Lines(first))
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if not (n_blank := int(blank.sum())):
        return _Parsed(frame, Lines(first))
    kept = (~blank).arg_true().to_numpy().astype(np.int64)
    n_inside = n_blank - (len(frame) - 1 - int(kept[-1]) if len(kept) else n_blank)
    if not n_inside:  # only line ends at the end
        return _Parsed(frame[: len(kept)], Lines(first))
    lines = Lines(first, kept)
    dropped = DroppedRows("empty line", n_inside, Lines(first).place(int(blank.arg_true()[0])))
    return _Parsed(frame.filter(~blank), replace(lines, dropped=(dropped,)))


def _has_short_lines(frame: pl.DataFrame, text: Text, layout: Layout) -> bool:
    """Whether lines have fewer fields than there are columns: polars reads the missing ones as empty."""
    if layout.separator == " " or not frame[:, -1].null_count():
        return False
    filled = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    start = _start_of_rows(text, layout)
    n_separators = _count(text, layout.separator, start, layout.quoted)
    return n_separators != len(filled) * (frame.width - 1)


def _start_of_rows(text: Text, layout: Layout) -> int:
    position = 0
    for _ in range(layout.n_before):
        position = text.data.find(layout.line_end.encode(), position) + 1
    return position


def _n_lines(text: Text, layout: Layout) -> int:
    return _count(text, layout.line_end) + int(text.data[-1:] != layout.line_end.encode())


def _count(text: Text, character: str, start: int = 0, quoted: bool = False) -> int:
    """How often a character occurs; if ``quoted``, only outside quotes."""
    n_found, inside = 0, 0
    for begin in range(start, len(text.data), _BLOCK_BYTES):
        block = np.frombuffer(text.data[begin : begin + _BLOCK_BYTES], np.uint8)
        found = block == ord(character)
        if quoted:
            parity = np.cumsum(block == ord('"'), dtype=np.uint8) + np.uint8(inside)
            found &= parity % 2 == 0
            inside = int(parity[-1]) % 2
        n_found += int(np.count_nonzero(found))
    return n_found


def _unquoted(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without the quotes around its fields."""
    column = pl.all()
    inner = column.str.slice(1, column.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
    return frame.with_columns(pl.when(column.str.contains(r'(?s)^"(?:[^"]|"")*"$')).then(inner).otherwise(column))


def _without_repeats(
    parsed: _Parsed, layout: Layout, content: Content
) -> tuple[pl.DataFrame, np.ndarray | None, tuple[DroppedRows, ...]]:
    """The rows that do not repeat the header, as joined exports do; which these are (None: all); what was dropped."""
    frame, dropped = parsed.frame, parsed.lines.dropped
    if layout.header is None:
        return frame, None, dropped
    names = [name.strip().strip('"') for name in layout.header]
    marked = [f"\ufeff{names[0]}", f'\ufeff"{names[0]}"']
    known = sorted({name for name in (*names, *layout.header, *marked) if name})
    # On ten million rows this takes a hundredth of a second per name, `is_in` ten hundredths.
    is_name = pl.any_horizontal([pl.first() == name for name in known]).fill_null(False)
    suspects = frame.select(is_name.arg_true()).to_series()
    repeats = []
    for row in suspects:
        values = [(value or "").removeprefix("\ufeff").strip().strip('"') for value in frame.row(row)]
        if values == names:
            repeats.append(row)
        elif sum(value in names for value in values if value) > 1:
            raise ValueError(
                f"{content.name}, {parsed.lines.place(row)}: has the names of the header in another order, got "
                f"{values} below {names}; put tables together by their columns"
            )
    if not repeats:
        return frame, None, dropped
    kept = np.setdiff1d(np.arange(len(frame)), repeats, assume_unique=True)
    repeated = DroppedRows("repeats the header", len(repeats), parsed.lines.place(repeats[0]))
    return frame[kept], kept, (*dropped, repeated)


def _recbole_names(content: Content, names: Iterable[str]) -> tuple[str, ...]:
    """Names of RecBole's columns without their types, https://recbole.io/atomic_files.html."""
    divided = [name.rpartition(":") for name in names]
    if not {kind for _, _, kind in divided} <= set(_RECBOLE_TYPES):
        raise ValueError(
            f"{content.name}: headers must be `name:type` with a type of {sorted(_RECBOLE_TYPES)}, got {list(names)}"
        )
    return distinct_names(name for name, _, _ in divided)

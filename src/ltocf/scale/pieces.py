"""Files as pieces that fit into memory, each a table of its own that is read as the whole file would be."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import polars as pl

from ltocf.data.readers.content import SAMPLE_BYTES, Content, unpacked
from ltocf.data.readers.encoding import read_text
from ltocf.data.readers.layout import recognise
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.several import matching_files
from ltocf.data.readers.tables import read_content, read_file
from ltocf.scale.lines import OneEncoding, blocks, read_some

BYTES_PER_VALUE = 32
"""Bytes that each value of a Parquet row counts as, which decides how many rows a piece has."""
_PACKED: dict[bytes, Callable[..., object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_PARQUET = b"PAR1"
_WHOLE_ONLY = {
    b"\x28\xb5\x2f\xfd": "a zstandard file must fit into one piece; compress it with gzip",
    b"ARROW1": "an Arrow file must fit into one piece; write it as Parquet",
    b"\xff\xff\xff\xff": "an Arrow stream must fit into one piece; write it as Parquet",
    **dict.fromkeys(
        (b"[{", b"[\n", b"[\r\n", b"[ "), "an array of JSON must fit into one piece; write one object on each line"
    ),
}
_SUFFIXES_OF_PACKERS = (".gz", ".bz2", ".xz")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Piece:
    """A part of one file.

    Args:
        path: the file.
        done: share of the file that is read after this piece, from 0 to 1.
        read: returns its rows.
    """

    path: Path
    done: float
    read: Callable[[], RawTable]


def find_files(source: str) -> list[Path]:
    """The files of a path or a pattern, in the order of their names.

    Raises:
        FileNotFoundError: there are none.
    """
    files = [Path(source)] if Path(source).is_file() else matching_files(source)
    if not files:
        raise FileNotFoundError(f"`source` must be a file of events or a pattern of such files, got {source!r}")
    return files


def pieces(path: Path, options: ReadOptions, n_bytes: int) -> Iterator[Piece]:
    """Consecutive pieces of a file, of about ``n_bytes`` each; a file that is not larger is one piece.

    Text is cut at line ends outside of quotes. Every piece has the columns, the separator and the encoding of the
    first; line numbers are those of the file.

    Args:
        path: CSV and similar text, JSON lines or Parquet; text may be compressed with gzip, bzip2 or xz.
        options: the options of the reader.
        n_bytes: size of a piece as uncompressed text, in bytes.

    Raises:
        ValueError: a file of another format that is larger than a piece, or one that the reader refuses.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.csv"
        >>> _ = path.write_text("user,item\\nann,7\\nbob,8\\ncat,9\\n")
        >>> [piece.read().frame.rows() for piece in pieces(path, ReadOptions(), 20)]
        [[('ann', '7')], [('bob', '8'), ('cat', '9')]]
    """
    with path.open("rb") as packed:
        file = _unpacked(packed)
        start = read_some(file, n_bytes + 1, path)
        if file is packed and start.startswith(_PARQUET):
            yield from _row_pieces(path, options, n_bytes)
        elif len(start) <= n_bytes:
            yield Piece(path, 1.0, partial(read_file, path, options))
        else:
            _refuse_whole(start, path, file is not packed)
            file.seek(0)
            for text in _texts(path, options, file, n_bytes):
                yield Piece(path, packed.tell() / path.stat().st_size, text.read)


def _row_pieces(path: Path, options: ReadOptions, n_bytes: int) -> Iterator[Piece]:
    frame = cast(pl.LazyFrame, read_file(path, options).frame)
    n_rows = frame.select(pl.len()).collect().item()
    n_per_piece = max(1, n_bytes // (BYTES_PER_VALUE * max(1, frame.collect_schema().len())))

    def read(first: int) -> RawTable:
        table = read_file(path, options)
        # Not collected, so that only the columns in use are read: others may hold long texts.
        rows = cast(pl.LazyFrame, table.frame).slice(first, n_per_piece)
        return replace(table, frame=rows, place_of=lambda row: f"row {first + row + 1}")

    for first in range(0, max(1, n_rows), n_per_piece):
        yield Piece(path, min(1.0, (first + n_per_piece) / max(1, n_rows)), partial(read, first))


def _refuse_whole(start: bytes, path: Path, is_packed: bool) -> None:
    """Refuse a file that is not text, or that cannot be cut."""
    beginning = start[:64].removeprefix(_BYTE_ORDER_MARK).lstrip()
    for magic, rule in _WHOLE_ONLY.items():
        if beginning.startswith(magic):
            raise ValueError(f"{path}: {rule}")
    if not is_packed:
        unpacked(start, str(path))  # refuses archives and spreadsheets
    if b"\x00" in start[:SAMPLE_BYTES]:
        raise ValueError(f"{path}: UTF-16 must fit into one piece, and other text has no zeros; write it as UTF-8")


@dataclass(frozen=True)
class _Text:
    """The text of a piece under the header of its file.

    Args:
        content: the text.
        options: how it is read.
        n_lines: lines of the file before it.
        columns: the columns of the first piece of JSON lines, without rows: a line has only columns with a value.
    """

    content: Content
    options: ReadOptions
    n_lines: int
    columns: pl.DataFrame | None = None

    def read(self) -> RawTable:
        """The table, whose line numbers are those of the file."""
        table = read_content(self.content, self.options)
        dropped = tuple(replace(rows, first=self._shifted(rows.first)) for rows in table.dropped)
        placed = replace(table, dropped=dropped, place_of=lambda row: self._shifted(table.place(row)))
        return placed if self.columns is None else replace(placed, frame=_with_columns(table.frame, self.columns))

    def _shifted(self, place: str) -> str:
        return re.sub(r"(?<=line )\d+", lambda found: str(int(found[0]) + self.n_lines), place)


def _texts(path: Path, options: ReadOptions, file: io.BufferedIOBase, n_bytes: int) -> Iterator[_Text]:
    is_json = read_some(file, 64, path).removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{")
    file.seek(0)
    head, n_lines, columns, encoding = b"", 0, None, OneEncoding(path)
    for number, block in enumerate(blocks(file, n_bytes, path, quoted=not is_json)):
        if options.encoding is None:
            encoding.check(block, n_lines)
        text = _Text(Content(str(path), _suffix(path), head + block), options, n_lines - head.count(b"\n"), columns)
        yield text
        n_lines += block.count(b"\n")
        if number == 0 and is_json:
            columns = read_content(text.content, options).rows().clear()
        elif number == 0:
            head, options = _header_and_options(text.content, options)


def _header_and_options(content: Content, options: ReadOptions) -> tuple[bytes, ReadOptions]:
    """The header for all pieces after the first one, and options that leave nothing to recognise again.

    If the file has no header, a piece gets one: its first line is a row, whatever it begins with.
    """
    text = read_text(content, options.encoding)
    layout = recognise(text.sample, content.suffix, options)
    head = b"".join(bytes(content.data).splitlines(keepends=True)[: layout.n_before])
    options = replace(options, separator=layout.separator, header=True)
    if text.encoding != "UTF-8":
        options = replace(options, encoding=text.encoding)
    if layout.header is None:
        names = [f"column-{number}" for number in range(len(layout.names))]
        return f"{layout.separator.join(names)}\n".encode(), replace(options, columns=layout.names)
    *_, last = head.splitlines(keepends=True)
    return last.lstrip(b"#% ") if last.startswith((b"#", b"%")) else head, options


def _with_columns(frame: pl.DataFrame | pl.LazyFrame, columns: pl.DataFrame) -> pl.DataFrame:
    """The frame with all columns, also those that have no value in it."""
    frame = frame.lazy().collect()
    absent = [name for name, kind in columns.schema.items() if frame.schema.get(name, pl.Null) == pl.Null != kind]
    return frame.with_columns(pl.lit(None, columns.schema[name]).alias(name) for name in absent)


def _unpacked(file: io.BufferedIOBase) -> io.BufferedIOBase:
    start = file.read(6)
    file.seek(0)
    unpack = next((unpack for magic, unpack in _PACKED.items() if start.startswith(magic)), None)
    return cast(io.BufferedIOBase, file if unpack is None else unpack(file))


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _SUFFIXES_OF_PACKERS]
    return suffixes[-1] if suffixes else ""

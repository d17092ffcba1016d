"""Files as pieces that fit into memory, each a table of its own, read as the whole would be."""

from __future__ import annotations

import bz2
import glob
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

from ltocf.data.readers.content import Content
from ltocf.data.readers.encoding import read_text
from ltocf.data.readers.layout import Layout, recognise
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.tables import read_content, read_file

BYTES_PER_VALUE = 32
"""Of a Parquet row, for each of its columns: what a piece of so many bytes holds."""
_PACKED: dict[bytes, Callable[..., object]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_COLUMNS = b"PAR1"
_WHOLE_ONLY = {b"\x28\xb5": "zstandard", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_SUFFIXES_OF_PACKERS = (".gz", ".bz2", ".xz")
_OPEN = (OSError, EOFError, lzma.LZMAError)


@dataclass(frozen=True)
class Piece:
    """A part of one file.

    Args:
        path: the file.
        done: how much of the file is read after this piece, from 0 to 1.
        read: its rows.
    """

    path: Path
    done: float
    read: Callable[[], RawTable]


def find_files(source: str) -> list[Path]:
    """The files of a path or a pattern, in the order of their names.

    Raises:
        FileNotFoundError: there are none.
    """
    found = [Path(source)] if Path(source).is_file() else [Path(path) for path in sorted(_matches(source))]
    files = [path for path in found if path.is_file()]
    if not files:
        raise FileNotFoundError(f"`source` must be a file of events or a pattern of such files, got {source!r}")
    return files


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 (`Path.glob` takes no absolute pattern)


def pieces(path: Path, options: ReadOptions, n_bytes: int) -> Iterator[Piece]:
    """Consecutive pieces of a file, of about ``n_bytes`` each; a file no larger than that is one.

    Text is cut at ends of lines, outside of quotes. Every piece has the columns, the separator and the encoding of the
    first; lines are counted through.

    Args:
        path: CSV and its kin, JSON lines or Parquet; text may be packed with gzip, bzip2 or xz.
        options: of the reader.
        n_bytes: of text, unpacked.

    Raises:
        ValueError: a file of another format that is larger than a piece, or one that the reader refuses.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.csv"
        >>> _ = path.write_text("user,item\\nann,7\\nbob,8\\ncat,9\\n")
        >>> [piece.read().frame.rows() for piece in pieces(path, ReadOptions(), 20)]
        [[('ann', '7')], [('bob', '8'), ('cat', '9')]]
    """
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(_COLUMNS):
        yield from _row_pieces(path, options, n_bytes)
    elif path.stat().st_size <= n_bytes and start[:2] not in _PACKED:
        yield Piece(path, 1.0, partial(read_file, path, options))
    elif start[:2] in _WHOLE_ONLY:
        kind = _WHOLE_ONLY[start[:2]]
        raise ValueError(f"{path}: a {kind} file must fit into one piece of {n_bytes:,} bytes; write it as UTF-8 text")
    else:
        yield from _text_pieces(path, options, n_bytes)


def _row_pieces(path: Path, options: ReadOptions, n_bytes: int) -> Iterator[Piece]:
    frame = cast(pl.LazyFrame, read_file(path, options).frame)
    n_rows = frame.select(pl.len()).collect().item()
    n_together = max(1, n_bytes // (BYTES_PER_VALUE * max(1, frame.collect_schema().len())))

    def read(first: int) -> RawTable:
        table = read_file(path, options)
        rows = cast(pl.LazyFrame, table.frame).slice(first, n_together).collect()
        return replace(table, frame=rows, place_of=lambda row: f"row {first + row + 1}")

    for first in range(0, max(1, n_rows), n_together):
        yield Piece(path, min(1.0, (first + n_together) / max(1, n_rows)), partial(read, first))


def _text_pieces(path: Path, options: ReadOptions, n_bytes: int) -> Iterator[Piece]:
    size, suffix = path.stat().st_size, _suffix(path)
    head, n_lines = b"", 0
    with path.open("rb") as packed:
        for number, block in enumerate(_blocks(_unpacked(packed), n_bytes, path)):
            content = Content(str(path), suffix, head + block)
            before = n_lines - head.count(b"\n")
            if number == 0 and not _is_json(content):
                layout, encoding = _layout(content, options)
                head = b"".join(block.splitlines(keepends=True)[: layout.n_before])
                options = _as_first(options, layout, encoding)
            yield Piece(path, packed.tell() / size, partial(_read, content, options, before))
            n_lines += block.count(b"\n")


def _read(content: Content, options: ReadOptions, n_lines: int) -> RawTable:
    """The table of a piece with the lines of its file, of which so many come before."""
    table = read_content(content, options)

    def shifted(place: str) -> str:
        return re.sub(r"(?<=line )\d+", lambda found: str(int(found[0]) + n_lines), place)

    dropped = tuple(replace(one, first=shifted(one.first)) for one in table.dropped)
    return replace(table, dropped=dropped, place_of=lambda row: shifted(table.place(row)))


def _unpacked(file: io.BufferedIOBase) -> io.BufferedIOBase:
    magic = file.read(2)
    file.seek(0)
    unpack = _PACKED.get(magic)
    return cast(io.BufferedIOBase, file if unpack is None else unpack(file))


def _blocks(file: io.BufferedIOBase, n_bytes: int, path: Path) -> Iterator[bytes]:
    """Whole lines of at least so many bytes together."""
    left = b""
    while True:
        try:
            read = file.read(n_bytes)
        except _OPEN as error:
            raise ValueError(f"{path} must be a whole packed file, got: {error}") from error
        block = left + read
        if not read:
            if block:
                yield block
            return
        cut = _end_of_lines(block)
        left = block[cut:]
        if cut:
            yield block[:cut]


def _end_of_lines(block: bytes) -> int:
    """After the last line end that is not between quotes; 0 if there is none."""
    cut = block.rfind(b"\n") + 1
    while cut and block.count(b'"', 0, cut) % 2:
        cut = block.rfind(b"\n", 0, cut - 1) + 1
    return cut


def _layout(content: Content, options: ReadOptions) -> tuple[Layout, str]:
    text = read_text(content, options.encoding)
    try:
        return recognise(text.sample, content.suffix, options), text.encoding
    except ValueError as error:
        raise ValueError(f"{content.name} {error}") from error


def _as_first(options: ReadOptions, layout: Layout, encoding: str) -> ReadOptions:
    """Options that leave nothing of the layout to be recognised again."""
    given = replace(options, separator=layout.separator)
    if encoding != "UTF-8":
        given = replace(given, encoding=encoding)
    return replace(given, header=False, columns=layout.names) if layout.header is None else given


def _is_json(content: Content) -> bool:
    start = bytes(content.data[:64]).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        raise ValueError(f"{content.name}: an array of JSON must fit into one piece; write one object on each line")
    return start.startswith(b"{")


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _SUFFIXES_OF_PACKERS]
    return suffixes[-1] if suffixes else ""

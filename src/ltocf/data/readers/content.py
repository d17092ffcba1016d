"""The content of a file: its bytes, unpacked; its first bytes tell how it is packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import mmap
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import polars as pl

Buffer: TypeAlias = bytes | mmap.mmap

SAMPLE_BYTES = 1 << 18
"""How much of a file is examined to recognise its format."""
LARGEST_RATIO = 200
"""How many times its own size a file may unpack to; logs reach 10 or 20, and files made to do harm 1,000."""
ALWAYS_UNPACKED = 1 << 28
"""Any file may unpack to this many bytes: a small log that repeats one line is harmless."""
_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True)
class Content:
    """The bytes of one file, unpacked.

    Args:
        name: the file, for messages.
        suffix: suffix of its name, in lower case and without that of the compression: ``.csv``.
        data: all bytes; a memory map of the file if it is not packed.
        path: a file with exactly these bytes, which polars can read without a copy; or None.
        packed: how it was packed: ``gzip``; or "".
    """

    name: str
    suffix: str
    data: Buffer
    path: Path | None = None
    packed: str = ""

    @property
    def sample(self) -> bytes:
        """The first bytes."""
        return bytes(self.data[:SAMPLE_BYTES])

    def unreadable(self, reason: object, kind: str) -> ValueError:
        """The error for a file that is damaged or not what it seems."""
        first = next((line for line in str(reason).splitlines() if line.strip()), type(reason).__name__)
        return ValueError(f"{self.name} is not a readable {kind} file: {first}")


def file_content(path: Path) -> Content:
    """The content of a local file.

    Raises:
        ValueError: a packed file that is damaged, or packed in an unknown way.

    Example:
        >>> import gzip, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "visits.csv"
        >>> _ = path.write_bytes(gzip.compress(b"user,item"))
        >>> content = file_content(path)
        >>> content.data, content.packed, content.suffix
        (b'user,item', 'gzip', '.csv')
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        data: Buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    return unpacked(data, str(path), path)


def unpacked(data: Buffer, name: str, path: Path | None = None, file_name: str | None = None) -> Content:
    """The content of a file's bytes; ``file_name`` gives the suffixes if ``name``, which is for messages, does not."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(file_name or name).suffixes]
    start = bytes(data[:6])
    for magic, kind, packed_suffix, unpack in _PACKERS:
        if suffixes and suffixes[-1] == packed_suffix:
            suffixes = suffixes[:-1]
            if not start.startswith(magic) and start:
                raise ValueError(f"{name} must be a whole {kind} file, got one that begins with {start[:2]!r}")
        if start.startswith(magic):
            return Content(name, _last(suffixes), _unpack(data, name, kind, unpack), packed=kind)
    for magic, kind in _REFUSED.items():
        if start.startswith(magic):
            raise ValueError(f"{name} is {kind}")
    return Content(name, _last(suffixes), data, path)


def _last(suffixes: list[str]) -> str:
    return suffixes[-1] if suffixes else ""


def _unpack(data: Buffer, name: str, kind: str, unpack: Callable[[bytes, int], bytes]) -> bytes:
    try:
        return unpack(bytes(data), max(ALWAYS_UNPACKED, LARGEST_RATIO * len(data)))
    except _TooMuchError as error:
        raise ValueError(
            f"{name} must unpack to at most {LARGEST_RATIO} times its size, got more than {error} bytes out of "
            f"{len(data)}; if it is what it should be, unpack it first"
        ) from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{name} must be a whole {kind} file, got: {str(error).splitlines()[0]}") from error


class _TooMuchError(Exception):
    """A file unpacks to more bytes than it may."""


def _by_blocks(open_file: Callable[[io.BytesIO], io.BufferedIOBase]) -> Callable[[bytes, int], bytes]:
    """A function that unpacks bytes by one of Python's file classes, up to a limit."""

    def unpack(data: bytes, limit: int) -> bytes:
        blocks, n_bytes = [], 0
        with open_file(io.BytesIO(data)) as file:
            while block := file.read(_BLOCK_BYTES):
                n_bytes += len(block)
                if n_bytes > limit:
                    raise _TooMuchError(limit)
                blocks.append(block)
        return b"".join(blocks)

    return unpack


def _unpack_zstandard(data: bytes, limit: int) -> bytes:
    """Unpack by polars, which does it for lines of text; Python has no unpacker before 3.14."""
    if largest_zstandard_size(data) > limit:
        raise _TooMuchError(limit)
    try:
        lines = pl.read_lines(io.BytesIO(data)).to_series()
    except pl.exceptions.ComputeError as error:
        if "utf8" in str(error):
            raise ValueError("something other than UTF-8 text; unpack it first") from error
        raise
    return "\n".join([*lines, ""]).encode()


def largest_zstandard_size(data: bytes) -> int:
    """The most bytes that a file can unpack to, by the sizes of its blocks; a compressed one makes at most 128 KiB.

    Damage ends the count: the unpacker will report it.

    Source: RFC 8878, section 3.1.1, https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1

    Example:
        >>> import polars as pl, io
        >>> buffer = io.BytesIO()
        >>> pl.DataFrame({"a": ["x" * 999]}).write_csv(buffer, include_header=False, compression="zstd")
        >>> 1000 <= largest_zstandard_size(buffer.getvalue()) <= 2**17
        True
    """
    place, total = 0, 0
    while place + 5 <= len(data):
        magic = int.from_bytes(data[place : place + 4], "little")
        if magic & 0xFFFFFFF0 == _SKIPPABLE_FRAME:
            place += 8 + int.from_bytes(data[place + 4 : place + 8], "little")
            continue
        if magic != _ZSTANDARD_FRAME:
            break
        descriptor = data[place + 4]
        single_segment = descriptor >> 5 & 1
        place += 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3] + (single_segment, 2, 4, 8)[descriptor >> 6]
        last = 0
        while not last and place + 3 <= len(data):
            block = int.from_bytes(data[place : place + 3], "little")
            last, kind, size = block & 1, block >> 1 & 3, block >> 3
            total += size if kind < _COMPRESSED else 1 << 17
            place += 3 + (1 if kind == _REPEATED else size)
        place += 4 * (descriptor >> 2 & 1)
    return total


_ZSTANDARD_FRAME, _SKIPPABLE_FRAME = 0xFD2FB528, 0x184D2A50
_REPEATED, _COMPRESSED = 1, 2
"""Types of blocks."""

_PACKERS: tuple[tuple[bytes, str, str, Callable[[bytes, int], bytes]], ...] = (
    (b"\x1f\x8b", "gzip", ".gz", _by_blocks(lambda file: gzip.GzipFile(fileobj=file))),
    (b"\x28\xb5\x2f\xfd", "zstandard", ".zst", _unpack_zstandard),
    (b"BZh", "bzip2", ".bz2", _by_blocks(bz2.BZ2File)),
    (b"\xfd7zXZ\x00", "xz", ".xz", _by_blocks(lzma.LZMAFile)),
)

_REFUSED = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of an old format; save it as CSV",
    b"SQLite": "a SQLite database; pass `sqlite:///` and its path, with `query`",
}

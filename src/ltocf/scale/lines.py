"""Text of any size as blocks of whole lines, also if quoted fields hold line ends."""

from __future__ import annotations

import codecs
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

LONGEST_FIELD = 1 << 20
"""Maximum number of bytes between two quotes; a quote with more behind it stands for itself, like the inch in 5"."""
_DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error)


def read_some(file: io.BufferedIOBase, n_bytes: int, path: Path) -> bytes:
    """The next bytes of a file that may be compressed.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return file.read(n_bytes)
    except _DAMAGED as error:
        raise ValueError(f"{path} must be a whole compressed file, got: {error}") from error


def blocks(file: io.BufferedIOBase, n_bytes: int, path: Path, *, quoted: bool) -> Iterator[bytes]:
    """Blocks of whole lines, each of about ``n_bytes``; empty lines between two blocks belong to the later one.

    Args:
        file: the text, not compressed.
        n_bytes: size of a block, in bytes.
        path: the path that messages name.
        quoted: whether fields may hold line ends between quotes, as in CSV; JSON has none.

    Raises:
        ValueError: a damaged file, or a line that is far too long.
    """
    rest, end, n_blocks = b"", b"", 0
    while read := read_some(file, n_bytes, path):
        block = rest + read
        end = end or (b"\r" if b"\r" in block[:-1] and b"\n" not in block else b"\n")
        cut = _end_of_lines(block, end, quoted)
        if not cut and len(block) > max(4 * n_bytes, LONGEST_FIELD):
            raise ValueError(
                f"{path} must have lines shorter than {n_bytes:,} bytes, got one of more than {len(block):,}"
            )
        rest = block[cut:]
        if cut:
            n_blocks += 1
            yield block[:cut]
    if rest.strip(b"\r\n") or not n_blocks:
        yield rest


def _end_of_lines(block: bytes, end: bytes, quoted: bool) -> int:
    """The place after the last line end that is not between quotes, and not after an empty line; 0 if there is none."""
    last = cut = block.rfind(end) + 1
    is_open = quoted and block.count(b'"', 0, cut) % 2 == 1
    while cut and is_open:
        before = block.rfind(end, 0, cut - 1) + 1
        is_open ^= block.count(b'"', before, cut) % 2 == 1
        cut = before
        if last - cut > LONGEST_FIELD:
            cut, is_open = last, False
    n_filled = cut
    while n_filled and block[n_filled - 1] in b"\r\n":
        n_filled -= 1
    return block.find(end, n_filled) + 1 if n_filled else 0


class OneEncoding:
    """Notices a text that is UTF-8 in one block and not in another, which the reader of one block cannot see.

    Args:
        path: the path that messages name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_utf8: bool | None = None

    def check(self, block: bytes, n_lines: int) -> None:
        """Check the next block; ``n_lines`` lines come before it.

        Raises:
            ValueError: its encoding is not that of the blocks before it.
        """
        if block.isascii():
            return
        is_utf8 = _is_utf8(block)
        if self.is_utf8 is None:
            self.is_utf8 = is_utf8
        if is_utf8 != self.is_utf8:
            raise ValueError(
                f"{self.path} must be written in one encoding, got UTF-8 text and, before or after line {n_lines + 1}, "
                "bytes that are not; pass the right `encoding`, or correct the file"
            )


def _is_utf8(block: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(block), LONGEST_FIELD):
            decoder.decode(block[start : start + LONGEST_FIELD])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True

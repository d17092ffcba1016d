"""Text files become UTF-8: from the given encoding, or from the one that their bytes show."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from ltocf.data.readers.content import SAMPLE_BYTES, Buffer, Content

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# Where cp1252 has letters and signs, latin-1 has control characters that nobody writes.
_ONLY_CP1252 = bytes(range(0x80, 0xA0))

_NOT_ASCII = bytes(range(0x80, 0x100))


@dataclass(frozen=True)
class Text:
    """A text file as UTF-8.

    Args:
        content: the file.
        data: its text as UTF-8, perhaps after a byte order mark.
        encoding: what the file was written in.
    """

    content: Content
    data: Buffer
    encoding: str = "UTF-8"

    @property
    def path(self) -> Path | None:
        """A file with this very text; or None."""
        return self.content.path if self.data is self.content.data else None

    @property
    def sample(self) -> str:
        """The first whole lines."""
        start = bytes(self.data[:SAMPLE_BYTES])
        if b"\n" not in start and b"\r" not in start:
            start = bytes(self.data[: self.data.find(b"\n", len(start)) + 1 or len(self.data)])
        text = start.removeprefix(codecs.BOM_UTF8).decode(errors="replace")
        return text if len(start) == len(self.data) else text[: max(text.rfind("\n"), text.rfind("\r")) + 1]


def read_text(content: Content, encoding: str | None = None) -> Text:
    """The text of a file; if its beginning is UTF-8 the rest is not checked, and `other_text` may have to correct it.

    Raises:
        ValueError: an unknown encoding, or bytes that are invalid in it.

    Example:
        >>> text = read_text(Content("a.csv", ".csv", "zoë,1".encode("utf-16")))
        >>> text.data.decode(), text.encoding
        ('zoë,1', 'UTF-16')
    """
    known = _codec(encoding) if encoding is not None else _recognised(content.sample)
    if known == "utf-8":
        return Text(content, content.data)
    return other_text(content) if known is None else _decoded(content, known)


def other_text(content: Content, encoding: str | None = None) -> Text:
    """The text of a file that is not UTF-8: cp1252, or latin-1 if that reads the same or cp1252 lacks one of the bytes.

    Raises:
        ValueError: UTF-8 was asked for, or most of the file is UTF-8, so that another encoding would spoil the rest.
    """
    data = bytes(content.data)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        n_bad = data.decode(errors="replace").count("\ufffd")
        n_good = (len(data) - len(data.translate(None, _NOT_ASCII)) - n_bad) // 2  # letters have two bytes or more
        if encoding is not None or n_good > 10 * n_bad:
            raise _wrong_byte(content, "UTF-8", data, error) from error
    if data.translate(None, _ONLY_CP1252) == data:
        return _decoded(content, "latin-1")
    try:
        return Text(content, data.decode("cp1252").encode(), "cp1252")
    except UnicodeDecodeError:
        return _decoded(content, "latin-1")


def _recognised(sample: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if sample[1::2].count(0) > len(sample) // 4:
        return "utf-16-le"
    if sample[::2].count(0) > len(sample) // 4:
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _codec(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)
    except LookupError as error:
        raise ValueError(
            f"`encoding` must be one that Python knows, such as utf-8, cp1252 or utf-16, got {encoding!r}"
        ) from error
    return "utf-8" if name in ("utf-8-sig", "ascii") else name


def _decoded(content: Content, encoding: str) -> Text:
    data = bytes(content.data)
    shown = encoding if encoding in ("latin-1", "cp1252") else encoding.upper()
    try:
        return Text(content, data.decode(encoding).removeprefix("\ufeff").encode(), shown)
    except UnicodeDecodeError as error:
        raise _wrong_byte(content, shown, data, error) from error


def _wrong_byte(content: Content, encoding: str, data: bytes, error: UnicodeDecodeError) -> ValueError:
    line = data.count(b"\n", 0, error.start) + 1
    return ValueError(
        f"{content.name} must be {encoding} text, got byte {data[error.start]:#04x} at offset {error.start} "
        f"(line {line}); pass the right `encoding`, or correct the file"
    )

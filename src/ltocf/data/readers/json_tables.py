"""JSON with one object per row: one on each line, or an array of them."""

from __future__ import annotations

import glob
import io
import json

import polars as pl

from ltocf.data.readers.content import Content
from ltocf.data.readers.encoding import Text, read_text
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable


def read_json(content: Content, options: ReadOptions) -> RawTable:
    """Rows of JSON lines or of a JSON array of objects; numbers stay numbers, strings stay strings.

    Raises:
        ValueError: no rows, or a line that is not an object, with its number.

    Example:
        >>> table = read_json(Content("a.json", ".json", b'[{"user": 1, "item": "007"}]'), ReadOptions())
        >>> table.frame.rows(), table.format
        ([(1, '007')], 'JSON array, encoding UTF-8')
    """
    text = read_text(content, options.encoding)
    start = text.sample.lstrip()
    if not start:
        raise ValueError(f"{content.name} must hold a table, got an empty file")
    is_array = start.startswith("[")
    try:
        frame = _array(text) if is_array else _lines(text)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, RecursionError) as error:
        kind = content.suffix or "JSON"
        raise content.unreadable((_error_in_array(text) if is_array else _first_error(text)) or error, kind) from error
    if not frame.width:
        raise ValueError(f"{content.name} must hold at least one row with columns, got none")
    packed = f", {content.packed}" if content.packed else ""
    form = f"{'JSON array' if is_array else 'JSON lines'}, encoding {text.encoding}{packed}"
    return RawTable(content.name, frame, format=form, first_line=None if is_array or _has_blank(text) else 1)


def _array(text: Text) -> pl.DataFrame:
    return pl.read_json(io.BytesIO(_without_mark(text)), infer_schema_length=None)


def _lines(text: Text) -> pl.DataFrame:
    path = text.path
    if path is None or glob.has_magic(str(path)) or text.data[:3] == b"\xef\xbb\xbf":
        return pl.read_ndjson(io.BytesIO(_without_mark(text)), infer_schema_length=None)
    return pl.read_ndjson(path, infer_schema_length=None)


def _without_mark(text: Text) -> bytes:
    return bytes(text.data).removeprefix(b"\xef\xbb\xbf")


def _has_blank(text: Text) -> bool:
    return text.data.find(b"\n\n") >= 0 or text.data.find(b"\n\r\n") >= 0


def _first_error(text: Text) -> str | None:
    """The first line that is not an object."""
    for number, line in enumerate(_without_mark(text).decode(errors="replace").split("\n"), start=1):
        try:
            if line.strip() and not isinstance(json.loads(line), dict):
                return f"line {number} is not an object"
        except json.JSONDecodeError as error:
            return f"line {number}, column {error.colno}: {error.msg}"
        except RecursionError as error:
            return f"line {number}: {error}"
    return None


def _error_in_array(text: Text) -> str | None:
    """Where the text stops being JSON; None if it is JSON, but no table."""
    try:
        json.loads(_without_mark(text))
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError):
        return None
    return None

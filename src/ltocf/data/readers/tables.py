"""Table files: CSV, TSV, Parquet, JSON lines, RecBole's .inter and MovieLens, one row per interaction."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.readers.frame import dataset_from_table, with_titles
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable

logger = logging.getLogger(__name__)


def read_table(path: str | Path, **columns: Any) -> Dataset:
    """Read a table of interactions; the suffix says the format, see `TABLE_READERS`.

    Columns are as in `ReadOptions`. Text formats must be UTF-8; ``.gz`` behind the suffix is unpacked. Parquet
    and JSON keep the types of their ids; in the others ids are strings, or integers if all are written as such.
    ``.dat`` is MovieLens: user::item::rating::timestamp, no header. A ``ratings`` file of MovieLens takes its
    titles from the ``movies`` file beside it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown suffix, an empty or malformed file, or a column or value that will not do.

    Source: RecBole's format, https://recbole.io/atomic_files.html;
    MovieLens's, https://files.grouplens.org/datasets/movielens/ml-1m-README.txt

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "visits.csv"
        >>> _ = path.write_text("user,item\\nann,007\\nbob,42\\n")
        >>> read_table(path).item_ids.decode([0, 1])
        ['007', '42']
    """
    path = Path(path)
    dataset = replace(dataset_from_table(read_raw_table(path), ReadOptions(**columns)), name=path.name)
    return dataset if columns.get("title_column") is not None else _with_movie_titles(dataset, path)


def read_raw_table(path: Path) -> RawTable:
    """The rows of a table file."""
    if not path.is_file():
        raise FileNotFoundError(f"no such table file: {path}")
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in TABLE_READERS:
        raise ValueError(f"{path}: the suffix must be one of {', '.join(TABLE_READERS)}, got {suffix!r}")
    frame = TABLE_READERS[suffix](path)
    from_text = suffix not in (".parquet", ".jsonl", ".ndjson")
    return RawTable(str(path), frame, from_text)


def _read_parquet(path: Path) -> pl.DataFrame:
    return _parsed(path, lambda: pl.read_parquet(path), lambda: None)


def _read_json_lines(path: Path) -> pl.DataFrame:
    content = _text(path)

    def first_error() -> str | None:
        for number, line in enumerate(content.decode().split("\n"), start=1):
            try:
                if line.strip() and not isinstance(json.loads(line), dict):
                    return f"line {number} is not an object"
            except json.JSONDecodeError as error:
                return f"line {number}: {error}"
        return None

    return _parsed(path, lambda: pl.read_ndjson(io.BytesIO(content), infer_schema_length=None), first_error)


def _read_comma(path: Path) -> pl.DataFrame:
    return _separated(path, _text(path), ",")


def _read_tab(path: Path) -> pl.DataFrame:
    return _separated(path, _text(path), "\t")


def _read_recbole(path: Path) -> pl.DataFrame:
    frame = _separated(path, _text(path), "\t", quote=None)
    types = dict(column.rpartition(":")[::2] for column in frame.columns)
    known = {"token", "token_seq", "float", "float_seq"}
    if not set(types.values()) <= known:
        raise ValueError(f"{path}: headers must be `name:type` with a type of {sorted(known)}, got {frame.columns}")
    return frame.rename(dict(zip(frame.columns, types, strict=True)))


def _read_movielens(path: Path) -> pl.DataFrame:
    return _double_colons(path, _text(path), ["userId", "movieId", "rating", "timestamp"])


TABLE_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": _read_comma,
    ".tsv": _read_tab,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".inter": _read_recbole,
    ".dat": _read_movielens,
}


def _with_movie_titles(dataset: Dataset, path: Path) -> Dataset:
    """Titles from the file that MovieLens puts beside its ratings, if this is one of those."""
    movies_path = path.with_name(f"movies{path.suffix}")
    if path.name not in ("ratings.csv", "ratings.dat") or not movies_path.is_file():
        return dataset
    if path.suffix == ".csv":
        movies = _read_comma(movies_path)
    else:
        movies = _double_colons(movies_path, _text(movies_path, "latin-1"), ["movieId", "title", "genres"])
    if not {"movieId", "title"} <= set(movies.columns):
        logger.warning("%s: no titles, its columns are %s and not movieId, title", movies_path, movies.columns)
        return dataset
    return with_titles(dataset, movies["movieId"], movies["title"])


def _text(path: Path, encoding: str = "utf-8") -> bytes:
    """The text of a file as UTF-8, unpacked, without byte order mark and blank end."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        content = content.decode(encoding).encode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} must be UTF-8 text, got byte {content[error.start]:#04x} at offset {error.start} (line {line}); "
            "convert it, e.g. with iconv"
        ) from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path} must be a whole gzip file, got: {error}") from error
    content = content.removeprefix(b"\xef\xbb\xbf").rstrip()
    if not content:
        raise ValueError(f"{path} must hold a table, got an empty file")
    return content


def _separated(path: Path, content: bytes, separator: str, quote: str | None = '"') -> pl.DataFrame:
    """All columns of a separated file with a header, as strings."""

    def first_error() -> str | None:
        rows = csv.reader(io.StringIO(content.decode()), delimiter=separator)
        n_fields = len(next(rows))
        too_long = ((rows.line_num, len(row)) for row in rows if len(row) > n_fields)
        return next((f"line {line} has {n} fields and the header {n_fields}" for line, n in too_long), None)

    def parse() -> pl.DataFrame:
        return pl.read_csv(io.BytesIO(content), separator=separator, quote_char=quote, infer_schema=False)

    return _parsed(path, parse, first_error)


def _double_colons(path: Path, content: bytes, columns: list[str]) -> pl.DataFrame:
    """A file of `::`-separated fields without a header, as strings."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.count(b"::") != len(columns) - 1:
            raise ValueError(f"{path}, line {number}: must be {'::'.join(columns)}, got {line.decode()!r}")
    # polars knows separators of one byte only; a unit separator occurs in no title.
    header = "\x1f".join(columns).encode() + b"\n"
    return _separated(path, header + content.replace(b"::", b"\x1f"), "\x1f", quote=None)


def _parsed(path: Path, parse: Callable[[], pl.DataFrame], first_error: Callable[[], str | None]) -> pl.DataFrame:
    try:
        return parse()
    except pl.exceptions.PolarsError as error:
        reason = first_error() or str(error).splitlines()[0]
        raise ValueError(f"{path} is not a readable {path.suffix} file: {reason}") from error

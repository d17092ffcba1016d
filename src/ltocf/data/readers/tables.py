"""Table files with one row per interaction: their first bytes decide how they are read, or else their suffix."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.readers.content import ALWAYS_UNPACKED, LARGEST_RATIO, Content, file_content
from ltocf.data.readers.delimited import read_delimited
from ltocf.data.readers.frame import dataset_from_table, with_titles
from ltocf.data.readers.json_tables import read_json
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable

logger = logging.getLogger(__name__)

TEXT_OPTIONS = ("separator", "header", "columns")


def read_table(path: str | Path, **options: Any) -> Dataset:
    """Read a table of interactions; see `read_file` for the formats and `ReadOptions` for the options.

    Parquet, Arrow and JSON keep the types of their ids; in text tables ids are strings, or integers if all are written
    as such. A ``ratings`` file of MovieLens takes its titles from the ``movies`` file beside it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty or malformed file, or a column or value that is not valid.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "visits.csv"
        >>> _ = path.write_text("user,item\\nann,007\\nbob,42\\n")
        >>> read_table(path).item_ids.decode([0, 1])
        ['007', '42']
    """
    path = Path(path)
    given = ReadOptions(**options)
    dataset = replace(dataset_from_table(read_file(path, given), given), name=path.name)
    return dataset if given.title_column is not None else with_movie_titles(dataset, path)


def read_file(path: Path, options: ReadOptions) -> RawTable:
    """Rows of a table file of any format, all columns.

    Text may have any separator, quotes, UTF-8, UTF-16 or a western encoding, a header or ``columns``, and be packed
    with gzip, zstandard, bzip2 or xz. What was recognised is in the table's ``format``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty, damaged or ambiguous file, or an option that its format does not have.

    Source: RecBole's format, https://recbole.io/atomic_files.html;
    MovieLens's, https://files.grouplens.org/datasets/movielens/ml-1m-README.txt

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "u.data"
        >>> _ = path.write_text("196\\t242\\t3\\t881250949\\n186\\t302\\t3\\t891717742\\n")
        >>> read_file(path, ReadOptions()).frame.columns
        ['userId', 'movieId', 'rating', 'timestamp']
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such table file: {path}")
    return read_content(file_content(path), options)


def read_content(content: Content, options: ReadOptions) -> RawTable:
    """Rows of the content of a file, wherever it came from; see `read_file`."""
    read = _recognised(content) or TABLE_READERS.get(content.suffix, read_delimited)
    refused = () if read is read_delimited else TEXT_OPTIONS if read is read_json else (*TEXT_OPTIONS, "encoding")
    if given := [name for name in refused if name in options.given()]:
        raise ValueError(f"{content.name}: {', '.join(given)}: only text tables have these, and this is not one")
    return read(content, options)


def _recognised(content: Content) -> Callable[[Content, ReadOptions], RawTable] | None:
    start = bytes(content.data[:64]).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        return _read_columns
    if start.startswith((b"{", b"[{", b"[\n", b"[\r\n", b"[ ")):
        return read_json
    return None


def _read_columns(content: Content, options: ReadOptions) -> RawTable:
    """Parquet and Arrow, with their own types; of Parquet only the columns in use are read from the disk."""
    start = bytes(content.data[:8])
    source: Any = content.path if content.path is not None else io.BytesIO(content.data)
    kind = "Parquet"
    try:
        if start.startswith(b"\xff\xff\xff\xff"):
            kind, frame = "Arrow stream", pl.read_ipc_stream(io.BytesIO(content.data)).lazy()
        elif start.startswith(b"ARROW1"):
            kind, frame = "Arrow", pl.read_ipc(io.BytesIO(content.data)).lazy()
        else:
            frame = pl.scan_parquet(source, glob=False)
        frame.collect_schema()
        n_rows = frame.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise content.unreadable(error, content.suffix or kind) from error
    if n_rows > max(ALWAYS_UNPACKED, LARGEST_RATIO * len(content.data)):
        raise ValueError(
            f"{content.name} must have at most {LARGEST_RATIO} rows for each byte, got {n_rows} in {len(content.data)} "
            "bytes: one event is in it over and over"
        )
    return RawTable(content.name, frame, format=kind)


TABLE_READERS: dict[str, Callable[[Content, ReadOptions], RawTable]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".dat", ".data", ".inter"), read_delimited),
    **dict.fromkeys((".parquet", ".arrow", ".feather"), _read_columns),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), read_json),
}
"""The reader of each suffix, for files whose first bytes do not decide; any other suffix means a text table."""


def with_movie_titles(dataset: Dataset, path: Path) -> Dataset:
    """The dataset with titles from the file beside it, if ``path`` is a file of ratings of MovieLens."""
    movies_path = path.with_name(f"movies{path.suffix}")
    if path.name not in ("ratings.csv", "ratings.dat") or not movies_path.is_file():
        return dataset
    double_colons = ReadOptions(separator="::", columns=("movieId", "title", "genres"))
    options = ReadOptions() if path.suffix == ".csv" else double_colons
    movies = read_file(movies_path, options).rows()
    if not {"movieId", "title"} <= set(movies.columns):
        logger.warning("%s: no titles, its columns are %s and not movieId, title", movies_path, movies.columns)
        return dataset
    return with_titles(dataset, movies["movieId"], movies["title"])

"""One way in for every source: a name, a folder or a table file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ltocf.data.dataset import Dataset
from ltocf.data.readers.catalog import CATALOG, load_named
from ltocf.data.readers.objects import raw_table
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.tables import TABLE_READERS, read_raw_table, read_table
from ltocf.data.readers.text import read_text_folder


def load_dataset(name_or_path: str | Path, *, data_dir: str | Path | None = None, **columns: Any) -> Dataset:
    """Load a named dataset (see `CATALOG`), a folder with train.txt, or a table file (see `read_table`).

    A name wins over a folder of that name: write ``./gowalla`` for the folder. A `Path` is never a name.
    ``data_dir`` is where named sets are kept, see `find`; ``columns`` are for table files only, as in `ReadOptions`.

    Raises:
        ValueError: column options without a table file, or what the reader raises.
        FileNotFoundError: neither a name nor a path that exists.
        ConnectionError: a named dataset is not there and could not be downloaded.

    Example:
        >>> load_dataset("movielens-small").interactions.n_users
        671
    """
    path = Path(name_or_path)
    is_name = isinstance(name_or_path, str) and name_or_path in CATALOG
    given = ReadOptions(**columns).given()
    if given and (is_name or path.is_dir()):
        raise ValueError(f"{', '.join(sorted(given))}: only table files have columns, and {name_or_path} is none")
    if is_name:
        return load_named(str(name_or_path), data_dir)
    if path.is_dir():
        return read_text_folder(path)
    if path.is_file():
        return read_table(path, **given)
    remedy = f"; for the set of that name pass the text {str(path)!r}" if str(path) in CATALOG else ""
    raise FileNotFoundError(
        f"a dataset must be one of {', '.join(CATALOG)}, a folder with train.txt, or a file with one of the suffixes "
        f"{', '.join(TABLE_READERS)}; got {str(path)!r}, which does not exist{remedy}"
    )


def source_text(source: str | Path) -> str:
    """A source as text that means the same to `load_dataset`: a `Path` that reads like a name gets a ``./``.

    Example:
        >>> source_text(Path("gowalla")), source_text("gowalla"), source_text(Path("logs/visits.csv"))
        ('./gowalla', 'gowalla', 'logs/visits.csv')
    """
    text = str(source)
    return f"./{text}" if isinstance(source, Path) and text in CATALOG else text


def read_raw(source: Any, options: ReadOptions) -> RawTable:
    """The rows of a source, before anything is understood of them."""
    del options
    return read_raw_table(Path(source)) if isinstance(source, (str, Path)) else raw_table(source, "memory")

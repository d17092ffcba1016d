"""One way in for every source: a name, a folder, files here or elsewhere, a database, or what is in memory."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import scipy.sparse as sp

from ltocf.data.dataset import Dataset
from ltocf.data.readers.catalog import CATALOG, load_named, with_known_order
from ltocf.data.readers.frame import dataset_from_table, describe_again
from ltocf.data.readers.objects import Source, raw_table, to_dataset
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.remote import is_remote, read_remote
from ltocf.data.readers.several import read_pattern
from ltocf.data.readers.sql import is_database, masked, read_query
from ltocf.data.readers.tables import TEXT_OPTIONS, read_file, with_movie_titles
from ltocf.data.readers.text import read_text_folder
from ltocf.data.store import is_store, open_store
from ltocf.spelling import did_you_mean

_FILE_OPTIONS = (*TEXT_OPTIONS, "encoding")


def load_dataset(source: str | Path | Source, *, data_dir: str | Path | None = None, **options: Any) -> Dataset:
    """Load interactions from wherever they are.

    Args:
        source: a name (see `CATALOG`), a folder with train.txt, a store of `ltocf ingest`, a table file (see
            `read_file`), a pattern of such files like ``logs/*.csv.gz``, a file on the web or in an object store (see
            `read_remote`), the address of a database (see `read_query`), or a table, matrix or tuples in memory (see
            `to_dataset`). A name wins over a folder of that name: write ``./gowalla`` for the folder. A `Path` is never
            a name.
        data_dir: where named sets are kept, see `find`.
        options: those of `ReadOptions`, for tables.

    Raises:
        TypeError: an option that does not exist, or a source of another type.
        ValueError: options that do not apply to the source, or what the reader raises.
        FileNotFoundError: neither a name nor something that exists.
        ConnectionError: a named dataset could not be downloaded, or a store or a database cannot be reached.
        ImportError: a database without the extra `sql`.

    Example:
        >>> load_dataset("movielens-small").interactions.n_users
        671
        >>> len(load_dataset([("ann", 7), ("bob", 7)]).interactions)
        2
    """
    given = ReadOptions(**options)
    if not isinstance(source, (str, Path)):
        _refuse(given, ("lines_in_time",), type(source).__name__, "only a folder with train.txt has lines of items")
        _refuse(given, (*_FILE_OPTIONS, "query"), type(source).__name__, "only files and databases have these")
        return to_dataset(source, **given.given())
    if (dataset := _whole_set(source, given, data_dir)) is not None:
        return dataset
    table = _read(source, given)
    dataset = dataset_from_table(table, given)
    if is_database(str(source)) or is_remote(str(source)):
        return dataset
    path = Path(source)
    dataset = replace(dataset, name=path.name)
    return dataset if given.title_column is not None or not path.is_file() else with_movie_titles(dataset, path)


def read_raw(source: str | Path | Source, options: ReadOptions, *, data_dir: str | Path | None = None) -> RawTable:
    """The rows of any source, as they are before they become a dataset; see `load_dataset` for the sources.

    For named sets, folders, matrices and tuples these are the pairs, without those of a given test set.

    Raises:
        TypeError, ValueError, FileNotFoundError, ConnectionError, ImportError: as `load_dataset`.

    Example:
        >>> read_raw([("ann", 7), ("bob", 7)], ReadOptions()).frame.rows()
        [('ann', 7), ('bob', 7)]
    """
    if isinstance(source, (sp.spmatrix, sp.sparray)):
        return _pairs(to_dataset(source))
    if not isinstance(source, (str, Path)):
        return raw_table(source, "memory")
    dataset = _whole_set(source, options, data_dir)
    return _read(source, options) if dataset is None else _pairs(dataset)


def _whole_set(source: str | Path, options: ReadOptions, data_dir: str | Path | None) -> Dataset | None:
    """The dataset of a named set, a folder or a store, which is read as a whole; None for tables."""
    is_name = isinstance(source, str) and source in CATALOG
    if not is_name and (not str(source) or not Path(source).is_dir()):
        return None
    if not is_name and is_store(Path(source)):
        return _stored(Path(source), options)
    given = options.given()
    lines_in_time = given.pop("lines_in_time", None)
    if given:
        raise ValueError(f"{', '.join(sorted(given))}: only table files have columns, and {source} is not one")
    dataset = load_named(str(source), data_dir) if is_name else read_text_folder(Path(source))
    known = dataset if is_name else with_known_order(dataset, Path(source))
    return known if lines_in_time is None else replace(known, lines_in_time=lines_in_time)


def _stored(path: Path, options: ReadOptions) -> Dataset:
    """A store, with the titles and attributes that the item table has now."""
    about_items = ("items", "item_id_column", "title_column")
    others = tuple(name for name in options.given() if name not in about_items)
    _refuse(options, others, str(path), "a store was read when it was made; give these options to `ltocf ingest`")
    dataset = open_store(path)
    return dataset if options.items is None else replace(dataset, names=describe_again(dataset.names, options))


def _pairs(dataset: Dataset) -> RawTable:
    pairs = dataset.interactions
    columns = {
        "user": dataset.user_ids.ids.gather(pairs.users),
        "item": dataset.item_ids.ids.gather(pairs.items),
    }
    if pairs.timestamps is not None and dataset.has_clock:
        columns["timestamp"] = pl.Series(pairs.timestamps)
    left_out = () if dataset.test is None else (f"pairs of the given test set, left out here: {len(dataset.test):,}",)
    return RawTable(dataset.name, pl.DataFrame(columns), format="pairs", notes=left_out)


def _read(source: str | Path, options: ReadOptions) -> RawTable:
    """The rows of a table that has an address: a database, a remote file, a local file, or a pattern of files."""
    text = str(source)
    _refuse(options, ("lines_in_time",), masked(text), "only a folder with train.txt has lines of items")
    if is_database(text):
        _refuse(options, _FILE_OPTIONS, masked(text), "only text tables have these, and this is a database")
        if options.query is None:
            raise ValueError(f"{masked(text)} is a database: pass `query`, such as SELECT user, item FROM visits")
        return read_query(text, options.query)
    _refuse(options, ("query",), masked(text), "only databases have this: postgresql://... or sqlite:///...")
    if is_remote(text):
        return read_remote(text, options)
    path = Path(source)
    if path.is_file():
        return read_file(path, options)
    if glob.has_magic(text):
        return read_pattern(text, options)
    if "://" in text:
        raise ValueError(
            f"an address must begin with postgresql://, sqlite://, s3://, gs://, az://, http:// or https://, "
            f"got {masked(text)!r}"
        )
    remedy = f"; for the set of that name pass the text {text!r}" if text in CATALOG else ""
    if meant := did_you_mean(text, CATALOG, ""):
        raise FileNotFoundError(f"there is no {text!r}, neither by name nor as a file; {meant}{remedy}")
    raise FileNotFoundError(
        f"a dataset must be one of {', '.join(CATALOG)}, a folder with train.txt, a table file such as a .csv or "
        f".parquet, a pattern of such files, or an address; got {text!r}, which does not exist{remedy}"
    )


def _refuse(options: ReadOptions, names: tuple[str, ...], source: str, why: str) -> None:
    if refused := [name for name in names if name in options.given()]:
        raise ValueError(f"{source}: {', '.join(refused)}: {why}")


def source_text(source: str | Path) -> str:
    """A source as text that means the same to `load_dataset`: a `Path` that reads like a name gets a ``./``.

    Example:
        >>> source_text(Path("gowalla")), source_text("gowalla"), source_text(Path("logs/visits.csv"))
        ('./gowalla', 'gowalla', 'logs/visits.csv')
    """
    text = str(source)
    return f"./{text}" if isinstance(source, Path) and text in CATALOG else text

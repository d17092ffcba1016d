"""Interactions that are already in memory: frames of three libraries, sparse matrices, records, plain pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import polars as pl
import scipy.sparse as sp

from ltocf.data.dataset import Dataset
from ltocf.data.readers.columns import USUAL_NAMES, plain
from ltocf.data.readers.frame import dataset_from_table
from ltocf.data.readers.matrix import dataset_from_matrix
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.report import counted

MAX_FIELDS = 3

ACCEPTED = (
    "a pandas, polars or pyarrow table, a scipy sparse matrix, records (dicts or named tuples), tuples (user, item) or "
    "(user, item, timestamp), or {user: [item, ...]}"
)


@runtime_checkable
class ArrowTable(Protocol):
    """A table of any library that hands out its columns as Arrow: pandas, pyarrow and others."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table as an Arrow stream: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html"""


@runtime_checkable
class IndexedTable(Protocol):
    """A table or a column with labels of its rows, which Arrow does not have: those of pandas."""

    @property
    def index(self) -> Any:
        """The labels of the rows."""

    def reset_index(self) -> object:
        """The same with the labels of the rows as columns."""


@runtime_checkable
class NamedRow(Protocol):
    """A tuple with named fields."""

    _fields: tuple[str, ...]


Source: TypeAlias = (
    pl.DataFrame
    | pl.LazyFrame
    | ArrowTable
    | sp.spmatrix
    | sp.sparray
    | np.ndarray
    | Mapping[Any, Any]
    | Iterable[Sequence[Any] | Mapping[str, Any]]
)


def to_dataset(source: Source, *, name: str = "memory", **options: Any) -> Dataset:
    """A Dataset from interactions in memory; ``options`` are those of `ReadOptions`.

    Tables follow `dataset_from_table`. So do records (dicts or named tuples), structured arrays and a dict of columns.
    Tuples or lists are (user, item) or (user, item, timestamp), all of the same length. A dict of other keys has the
    items of each user. A sparse matrix follows `dataset_from_matrix`.

    Raises:
        TypeError: a source of another type.
        ValueError: no interactions, or a column or value that is not valid; column names without a table.

    Example:
        >>> dataset = to_dataset([("ann", 3), ("bob", 3), ("ann", 1)])
        >>> dataset.user_ids.decode(dataset.interactions.users), dataset.item_ids.decode(dataset.interactions.items)
        (['ann', 'ann', 'bob'], [1, 3, 3])
        >>> to_dataset({"ann": [3, 1], "bob": [3]}).item_ids.decode([0, 1])
        [1, 3]
    """
    read = ReadOptions(**options)
    if isinstance(source, (sp.spmatrix, sp.sparray)):
        return dataset_from_matrix(source, name, read)
    table, named = _raw_table(source, name)
    given = [option for option in read.given() if option.endswith("_column") and option != "item_id_column"]
    if given and not named:
        raise ValueError(f"{name}: {', '.join(given)} need a table with named columns, got {type(source).__name__}")
    return dataset_from_table(table, read)


def raw_table(source: Source, name: str) -> RawTable:
    """Interactions in memory as a table, whatever holds them except a sparse matrix.

    Raises:
        TypeError: a source of another type.
        ValueError: rows of different lengths, or a column with values of several types.

    Example:
        >>> raw_table([{"user": "ann", "item": 3}, {"item": 5, "user": "bob"}], "records").frame["item"].to_list()
        [3, 5]
    """
    return _raw_table(source, name)[0]


def _raw_table(source: Source, name: str) -> tuple[RawTable, bool]:
    """The table, and whether the caller named its columns."""
    if isinstance(source, (pl.DataFrame, pl.LazyFrame)):
        return RawTable(name, source, format="polars"), True
    if isinstance(source, ArrowTable):
        return _arrow(source, name), True
    if isinstance(source, np.ndarray):
        if source.dtype.names is None:
            remedy = "pass scipy.sparse.csr_array(array) for users x items, or list(map(tuple, array)) for pairs"
            raise TypeError(
                f"{name}: a numpy array must have named fields, got {source.dtype} {source.shape}; {remedy}"
            )
        return RawTable(
            name, _frame({field: source[field] for field in source.dtype.names}, name), format="numpy"
        ), True
    if isinstance(source, Mapping):
        return _mapping(source, name)
    if isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
        raise TypeError(f"{name}: interactions must be {ACCEPTED}; got {type(source).__name__}")
    return _rows(list(source), name)


def _arrow(source: ArrowTable, name: str) -> RawTable:
    """A table by its Arrow columns; the index of pandas is not one of them, and becomes columns if it has names."""
    notes: tuple[str, ...] = ()
    table: Any = source
    if isinstance(source, IndexedTable):
        index = source.index
        named = [label for label in index.names if label is not None]
        if named and not set(map(str, named)) & set(map(str, getattr(source, "columns", ()))):
            table = source.reset_index()
            notes = (f"the index of the table was read as {', '.join(map(repr, named))}",)
        elif not str(index.dtype).startswith("int"):  # with integers pandas only numbers the rows
            notes = ("the index of the table was not read; `reset_index()` makes a column of it",)
    try:
        frame = pl.DataFrame(table)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:  # e.g. a pandas column of strings and numbers
        rule = "columns must have different names and values of one type each"
        raise ValueError(f"{name}: {rule}, got a table where {error}") from error
    return RawTable(name, frame, format=type(source).__module__.partition(".")[0], notes=notes)


def _mapping(source: Mapping[Any, Any], name: str) -> tuple[RawTable, bool]:
    """Columns by name, or the items of each user."""
    lists = (list, tuple, set, frozenset, np.ndarray, pl.Series)
    if not all(isinstance(values, lists) for values in source.values()):
        raise TypeError(f"{name}: interactions must be {ACCEPTED}; got a dict whose values are not lists")
    names = {plain(key) for key in source if isinstance(key, str)}
    if names & set(USUAL_NAMES["user"]) and names & set(USUAL_NAMES["item"]):
        return RawTable(name, _frame(dict(source), name), format="columns"), True
    pairs = [(user, item) for user, items in source.items() for item in items]
    frame = _frame({"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}, name)
    return RawTable(name, frame, format=f"the items of {counted(len(source), 'user')}"), False


def _rows(rows: list[Any], name: str) -> tuple[RawTable, bool]:
    """Records or tuples, all of one kind."""
    if rows and all(isinstance(row, Mapping) for row in rows):
        return RawTable(name, _frame_of_records(rows, name), format="records"), True
    if rows and all(isinstance(row, NamedRow) for row in rows):
        records = [dict(zip(row._fields, row, strict=True)) for row in rows]
        return RawTable(name, _frame_of_records(records, name), format="named tuples"), True
    other_types = {type(row).__name__ for row in rows if not isinstance(row, (tuple, list, np.ndarray))}
    if other_types:
        raise TypeError(f"{name}: interactions must be {ACCEPTED}; got a list with {', '.join(sorted(other_types))}")
    lengths = {len(row) for row in rows}
    if lengths not in ({2}, {MAX_FIELDS}):
        raise ValueError(
            f"{name}: need (user, item) or (user, item, timestamp) tuples of one length, got "
            f"{len(rows)} of lengths {sorted(lengths)}; for the items of each user pass {{user: [item, ...]}}"
        )
    columns = dict(zip(("user", "item", "timestamp"), map(list, zip(*rows, strict=True)), strict=False))
    return RawTable(name, _frame(columns, name), format="tuples"), False


def _frame_of_records(records: Sequence[Mapping[str, Any]], name: str) -> pl.DataFrame:
    columns = dict.fromkeys(str(key) for record in records for key in record)
    return _frame({column: [record.get(column) for record in records] for column in columns}, name)


def _frame(columns: Mapping[str, Any], name: str) -> pl.DataFrame:
    try:
        return pl.DataFrame({key: _list(values) for key, values in columns.items()})
    except (TypeError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{name}: users, items and timestamps must each be of one type: {reason}") from error


def _list(values: Any) -> Any:
    return values if isinstance(values, (np.ndarray, pl.Series)) else list(values)

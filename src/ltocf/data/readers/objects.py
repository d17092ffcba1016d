"""Interactions that are already in memory: frames of three libraries, sparse matrices, plain pairs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import polars as pl
import scipy.sparse as sp

from ltocf.data.dataset import Dataset
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.data.readers.frame import dataset_from_frame
from ltocf.data.readers.options import ReadOptions

logger = logging.getLogger(__name__)


@runtime_checkable
class ArrowTable(Protocol):
    """A table of any library that hands out its columns as Arrow: pandas, pyarrow and others."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table as an Arrow stream: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html"""


Source: TypeAlias = pl.DataFrame | pl.LazyFrame | ArrowTable | sp.spmatrix | sp.sparray | Sequence[tuple[object, ...]]


def to_dataset(source: Source, *, name: str = "memory", **columns: Any) -> Dataset:
    """A Dataset from a pandas, polars or pyarrow table, a scipy sparse matrix, or a sequence of tuples.

    Tables follow `dataset_from_frame`. A sparse matrix is users x items: indices are the ids, stored zeros are no
    interactions (counted in the log), ``min_rating`` applies to its values. Tuples are (user, item) or
    (user, item, timestamp), all of the same length.

    Raises:
        TypeError: a source of another type.
        ValueError: no interactions, or a column or value that will not do; column names without a table.

    Example:
        >>> dataset = to_dataset([("ann", 3), ("bob", 3), ("ann", 1)])
        >>> dataset.user_ids.decode(dataset.interactions.users), dataset.item_ids.decode(dataset.interactions.items)
        (['ann', 'ann', 'bob'], [1, 3, 3])
    """
    if isinstance(source, (pl.DataFrame, pl.LazyFrame)):
        return dataset_from_frame(source, name, **columns)
    if isinstance(source, ArrowTable):
        return dataset_from_frame(_polars(source, name), name, **columns)
    options = ReadOptions(**columns)
    if named := sorted(option for option in options.given() if option.endswith("_column")):
        raise ValueError(f"{name}: {', '.join(named)} need a table with named columns, got {type(source).__name__}")
    if isinstance(source, (sp.spmatrix, sp.sparray)):
        return _from_matrix(source, name, options.min_rating)
    if isinstance(source, Sequence):
        return dataset_from_frame(_frame_of_tuples(source, name), name, **columns)
    raise TypeError(
        f"{name}: interactions must be a pandas, polars or pyarrow table, a scipy sparse matrix or a sequence of "
        f"tuples, got {type(source).__name__}"
    )


def _polars(source: ArrowTable, name: str) -> pl.DataFrame:
    try:
        return pl.DataFrame(source)
    except (TypeError, ValueError) as error:  # a pandas column of strings and numbers, for one
        raise ValueError(f"{name}: each column must hold values of one type, got a table where {error}") from error


def _from_matrix(source: sp.spmatrix | sp.sparray, name: str, min_rating: float | int | None) -> Dataset:
    matrix = sp.coo_array(cast(Any, source))  # the type stubs give the two base classes no methods
    values = matrix.data
    if np.isnan(values).any():
        raise ValueError(f"{name}: a matrix of interactions must hold numbers, got NaN")
    if n_zeros := len(values) - np.count_nonzero(values):
        logger.info("%s: %d stored zeros of %d values are no interactions", name, n_zeros, len(values))
    kept = values != 0
    if min_rating is not None:
        kept &= values >= min_rating
    if not kept.any():
        limit = "" if min_rating is None else f" of at least `min_rating` = {min_rating:g}"
        raise ValueError(f"{name}: a matrix must hold a value other than 0{limit}, got none in {len(values)}")
    users, items = matrix.coords
    n_users, n_items = matrix.shape
    pairs = Interactions.from_pairs(users[kept], items[kept], n_users, n_items)
    return Dataset(name, pairs, Names.identity(n_users, n_items))


def _frame_of_tuples(rows: Sequence[tuple[object, ...]], name: str) -> pl.DataFrame:
    lengths = {len(row) for row in rows}
    if lengths not in ({2}, {3}):
        raise ValueError(
            f"{name}: need (user, item) or (user, item, timestamp) tuples of one length, got "
            f"{len(rows)} of lengths {sorted(lengths)}"
        )
    columns = dict(zip(("user", "item", "timestamp"), zip(*rows, strict=True), strict=False))
    try:
        return pl.DataFrame(columns)
    except TypeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{name}: users, items and timestamps must each be of one type: {reason}") from error

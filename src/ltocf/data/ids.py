"""The caller's ids and the model's 0..n-1 indices, both ways."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from ltocf.shapes import PairIndices

UNKNOWN = -1


class IdMap:
    """A one-to-one map between the caller's ids and the indices 0..n-1, in the order given.

    Ids are all strings or all integers. Strings are never read as numbers: ``"007"`` stays ``"007"``.

    Raises:
        ValueError: an id is missing (None, NaN) or appears twice.

    Example:
        >>> map = IdMap(["alice", "007", "7"])
        >>> map.encode(["007", "nobody"]).tolist(), map.decode([0, 2])
        ([1, -1], ['alice', '7'])
    """

    def __init__(self, ids: Iterable[str] | Iterable[int] | pl.Series) -> None:
        series = ids if isinstance(ids, pl.Series) else pl.Series(list(ids))
        series = series.cast(pl.Int64) if series.dtype.is_integer() or not len(series) else series
        if series.dtype not in (pl.Int64, pl.String):
            raise ValueError(f"ids must be all strings or all integers, got {series.dtype}")
        if series.null_count():
            raise ValueError(f"ids must not be missing, got {series.null_count()} missing of {len(series)}")
        if series.n_unique() != len(series):
            twice = series.filter(series.is_duplicated())[0]
            raise ValueError(f"each id must appear once, got {twice!r} more than once")
        self.ids = series.rename("id").rechunk()

    @classmethod
    def of(cls, column: pl.Series) -> IdMap:
        """The distinct ids of a column, sorted, so that the map does not depend on the order of the rows."""
        return cls(column.unique().sort())

    @classmethod
    def identity(cls, n: int) -> IdMap:
        """The integers 0..n-1, each its own index."""
        return cls(pl.int_range(n, eager=True))

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, ids: Iterable[str] | Iterable[int] | pl.Series) -> PairIndices:
        """Index of each id; ``UNKNOWN`` (-1) for an id that is not in the map.

        Ids of the other type are converted first, so that ``"42"`` typed in a shell finds the integer 42.
        """
        column = ids if isinstance(ids, pl.Series) else pl.Series(list(ids))
        asked = pl.DataFrame({"id": column.cast(self.ids.dtype, strict=False)})
        known = pl.DataFrame({"id": self.ids, "index": np.arange(len(self.ids), dtype=np.int64)})
        found = asked.join(known, on="id", how="left", maintain_order="left")
        return found["index"].fill_null(UNKNOWN).to_numpy().astype(np.int64)

    def decode(self, indices: Iterable[int] | np.ndarray) -> list[str] | list[int]:
        """Id of each index, as Python strings or integers."""
        return self.ids.gather(np.asarray(indices, np.int64)).to_list()

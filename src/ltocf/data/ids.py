"""The caller's ids and the model's 0..n-1 indices, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import TypeAlias

import numpy as np
import polars as pl

from ltocf.data.display import Shown
from ltocf.shapes import PairIndices

UNKNOWN = -1
"""The index of an id that was not in training."""

Id: TypeAlias = str | int

USUAL_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
"""An integer as it is printed: no leading zero, no plus, no blanks."""

EXACT_BELOW = 2**53
"""Below this size every integer is a float of its own; from here on neighbouring integers are the same float."""

# A column at least this long is encoded by a join, which is faster than a look-up for each id.
_LONG_COLUMN = 10_000


class IdMap(Shown):
    """A one-to-one map between the caller's ids and the indices 0..n-1, in the order given.

    Ids are all strings or all integers. Strings are never read as numbers: ``"007"`` stays ``"007"``.

    Raises:
        ValueError: an id is missing (None, NaN), appears twice, or is of another type than the others.

    Example:
        >>> map = IdMap(["alice", "007", "7"])
        >>> map.encode(["007", "nobody"]).tolist(), map.decode([0, 2])
        ([1, -1], ['alice', '7'])
    """

    def __init__(self, ids: Iterable[str] | Iterable[int] | pl.Series) -> None:
        series = ids if isinstance(ids, pl.Series) else _series(list(_not_single(ids)))
        if series.dtype.is_integer() or not len(series):
            fitting = series.cast(pl.Int64, strict=False)
            if fitting.null_count() > series.null_count():
                too_large = series.filter(fitting.is_null())[0]
                raise ValueError(f"integer ids must fit 64 bits, got {too_large}; pass them as strings")
            series = fitting
        if series.dtype not in (pl.Int64, pl.String):
            raise ValueError(f"ids must be all strings or all integers, got {series.dtype}")
        if series.null_count():
            raise ValueError(f"ids must not be missing, got {series.null_count()} missing of {len(series)}")
        if series.n_unique() != len(series):
            twice = series.filter(series.is_duplicated())[0]
            raise ValueError(f"each id must appear once, got {twice!r} more than once")
        self.ids = series.rename("id").rechunk()
        self._kind = int if series.dtype == pl.Int64 else str

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

    def facts(self) -> dict[str, object]:
        return {"n": len(self), "kind": "integers" if self._of_integers else "strings", "first": self.ids[:3].to_list()}

    def encode(self, ids: Iterable[object] | Id) -> PairIndices:
        """Index of each id; ``UNKNOWN`` (-1) for an id that is not in the map.

        Ids are compared, not converted. An integer is the same id as its usual text, so that ``"42"`` typed in a shell
        finds the integer 42, and 42 the string ``"42"``; a whole decimal is the same id as its integer. Everything else
        is unknown: ``"007"`` is not 7, 1.5 and True are not 1. A few ids take the time of these few, except that the
        first call builds the table.

        Raises:
            TypeError: a single id instead of several.

        Example:
            >>> IdMap([7, 42]).encode(["42", 7.0, "007", 7.5, True]).tolist()
            [1, 0, -1, -1, -1]
        """
        if isinstance(ids, pl.Series) and ids.dtype == self.ids.dtype and len(ids) >= _LONG_COLUMN:
            requested = pl.DataFrame({"id": ids})
            known = pl.DataFrame({"id": self.ids, "index": np.arange(len(self), dtype=np.int64)})
            found = requested.join(known, on="id", how="left", maintain_order="left")
            return found["index"].fill_null(UNKNOWN).to_numpy().astype(np.int64)
        return np.array([self.encode_one(id) for id in _not_single(ids)], np.int64)

    def encode_one(self, id: object) -> int:
        """Index of one id, or ``UNKNOWN``; compared as in `encode`.

        Example:
            >>> IdMap(["ann", "42"]).encode_one(42)
            1
        """
        if type(id) is self._kind:  # nearly always: nothing to convert
            return self._indices.get(id, UNKNOWN)
        key = self._key(id)
        return UNKNOWN if key is None else self._indices.get(key, UNKNOWN)

    def decode(self, indices: Iterable[int] | np.ndarray) -> list[str] | list[int]:
        """Id of each index, as Python strings or integers."""
        return self.ids.gather(np.asarray(indices, np.int64)).to_list()

    @property
    def _of_integers(self) -> bool:
        return self._kind is int

    @cached_property
    def _indices(self) -> dict[Id, int]:
        return {id: index for index, id in enumerate(self.ids.to_list())}

    def _key(self, id: object) -> Id | None:
        """The id in the type of this map's ids; None if no id can equal it."""
        if isinstance(id, (float, np.floating)):
            number = float(id)
            id = int(number) if number.is_integer() and abs(number) < EXACT_BELOW else None
        if isinstance(id, (int, np.integer)) and not isinstance(id, bool):
            return int(id) if self._of_integers else str(id)
        if isinstance(id, str):
            if not self._of_integers:
                return str(id)
            return int(id) if re.fullmatch(USUAL_INTEGER, id) else None
        return None


def _not_single(ids: object) -> Iterable[object]:
    """The ids, unless this is a single one: a string would be taken apart into its letters."""
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise TypeError(f"ids must be a list of ids, got {ids!r}; pass [{ids!r}] for one")
    return ids


def _series(ids: list[object]) -> pl.Series:
    kinds = set(map(type, ids))
    rule = f"ids must be all strings or all integers, got {', '.join(sorted(kind.__name__ for kind in kinds))}"
    if bool in kinds:
        raise ValueError(rule)
    try:
        return pl.Series(ids)
    except TypeError as error:
        raise ValueError(rule) from error

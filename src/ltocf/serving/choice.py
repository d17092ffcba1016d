"""Which items may be listed: for everybody by ids or by a condition on their attributes, and for each user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import torch

from ltocf.data.histories import Histories
from ltocf.data.ids import UNKNOWN
from ltocf.data.names import Names
from ltocf.evaluation.top_k import AllowedItems
from ltocf.serving.errors import UnknownItemError
from ltocf.serving.lists import Asked, Id, listed, rows_of_items, some
from ltocf.shapes import PairIndices

Condition: TypeAlias = str | pl.Expr
"""A condition on the attributes of items, as SQL has it after WHERE or as a polars expression."""
Candidates: TypeAlias = Mapping[Any, Iterable[Id]]
"""The items that a user may get, by user."""


def allowed_items(
    names: Names, only: Asked | None = None, exclude: Asked | None = None, where: Condition | None = None
) -> AllowedItems | None:
    """Which items may be listed: those of ``only`` for which ``where`` holds, but not those of ``exclude``.

    Returns:
        A flag for each item, or None if all may be listed.

    Raises:
        UnknownItemError: there is no item of ``only`` among those of training.
        ValueError: a condition that the attributes cannot answer, or that holds for no item.
    """
    if only is None and exclude is None and where is None:
        return None
    allowed = torch.ones(len(names.item_ids), dtype=torch.bool)
    if only is not None:
        asked = listed(only)
        indices = names.item_ids.encode(asked)
        if (indices == UNKNOWN).all():
            raise UnknownItemError("none of the items of `only` was in training", some(asked))
        allowed.zero_()[torch.from_numpy(indices[indices != UNKNOWN])] = True
    if where is not None:
        allowed &= torch.from_numpy(_holds(names.attributes, where))
    if exclude is not None:
        indices = names.item_ids.encode(listed(exclude))
        allowed[torch.from_numpy(indices[indices != UNKNOWN])] = False
    return allowed


def _holds(attributes: pl.DataFrame | None, where: Condition) -> np.ndarray:
    """For which items a condition holds; a missing value makes no condition true."""
    if attributes is None:
        raise ValueError("`where` needs attributes of the items, but this model was trained without an item table")
    columns = ", ".join(f"{name} ({kind})" for name, kind in attributes.schema.items())
    try:
        condition = pl.sql_expr(where) if isinstance(where, str) else where
        found = attributes.select(condition.alias("where")).to_series()
        held = found if len(found) == len(attributes) else attributes.with_columns(condition.alias("where"))["where"]
    except pl.exceptions.PolarsError as error:
        first_line = str(error).splitlines()[0]
        raise ValueError(f"`where` cannot be answered: {first_line}; the columns are {columns}") from error
    if held.dtype != pl.Boolean:
        raise ValueError(f"`where` must be true or false for each item, got {held.dtype}; the columns are {columns}")
    mask = held.fill_null(False).to_numpy()
    if not mask.any():
        raise ValueError(f"`where` holds for none of the {len(attributes)} items; the columns are {columns}")
    return mask.copy()


def candidate_rows(names: Names, candidates: Candidates, asked: list[Any], indices: PairIndices) -> Histories:
    """The items that each user asked for may get; ids that were not in training are left out.

    Raises:
        ValueError: a user asked for has no list among them.
    """
    by_index = {names.user_ids.encode_one(user): items for user, items in candidates.items()}
    by_index.pop(UNKNOWN, None)
    given = [
        candidates.get(user) if index == UNKNOWN else by_index.get(index)
        for user, index in zip(asked, indices.tolist(), strict=True)
    ]
    without = [user for user, items in zip(asked, given, strict=True) if items is None]
    if without:
        raise ValueError(
            f"`candidates` must have a list of items for each user asked for, {len(without)} of {len(asked)} have "
            f"none: {some(without)}"
        )
    return rows_of_items(names, [items for items in given if items is not None])[0]

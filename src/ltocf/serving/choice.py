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
from ltocf.serving.lists import Id, Ids, as_list, first_few, rows_of_items
from ltocf.shapes import PairIndices

Condition: TypeAlias = str | pl.Expr
"""A condition on the attributes of items, as in SQL after WHERE or as a polars expression."""
Candidates: TypeAlias = Mapping[Any, Iterable[Id]]
"""By user, the only items that may be listed."""


def allowed_items(
    names: Names, only: Ids | None = None, exclude: Ids | None = None, where: Condition | None = None
) -> AllowedItems | None:
    """Which items may be listed: those of ``only`` for which ``where`` holds, but not those of ``exclude``.

    Returns:
        A flag for each item, or None if all may be listed.

    Raises:
        UnknownItemError: no item of ``only`` was in training.
        ValueError: a condition that the attributes cannot answer, or that holds for no item.
    """
    if only is None and exclude is None and where is None:
        return None
    allowed = torch.ones(len(names.item_ids), dtype=torch.bool)
    if only is not None:
        ids = as_list(only)
        indices = names.item_ids.encode(ids)
        if (indices == UNKNOWN).all():
            raise UnknownItemError("none of the items of `only` was in training", first_few(ids))
        allowed.zero_()[torch.from_numpy(indices[indices != UNKNOWN])] = True
    if where is not None:
        allowed &= torch.from_numpy(_holds(names.attributes, where))
    if exclude is not None:
        indices = names.item_ids.encode(as_list(exclude))
        allowed[torch.from_numpy(indices[indices != UNKNOWN])] = False
    return allowed


def _holds(attributes: pl.DataFrame | None, where: Condition) -> np.ndarray:
    """For which items a condition holds; a missing value makes it false."""
    if attributes is None:
        raise ValueError("`where` needs attributes of the items, but this model was trained without an item table")
    columns = ", ".join(f"{name} ({kind})" for name, kind in attributes.schema.items())
    try:
        condition = pl.sql_expr(where) if isinstance(where, str) else where
        holds = attributes.select(condition.alias("where")).to_series()
        if len(holds) != len(attributes):  # one value for all items
            holds = attributes.with_columns(condition.alias("where"))["where"]
    except pl.exceptions.PolarsError as error:
        first_line = str(error).splitlines()[0]
        raise ValueError(f"`where` cannot be answered: {first_line}; the columns are {columns}") from error
    if holds.dtype != pl.Boolean:
        raise ValueError(f"`where` must be true or false for each item, got {holds.dtype}; the columns are {columns}")
    mask = holds.fill_null(False).to_numpy()
    if not mask.any():
        raise ValueError(f"`where` holds for none of the {len(attributes)} items; the columns are {columns}")
    return mask.copy()


def candidate_rows(names: Names, candidates: Candidates, users: list[Any], indices: PairIndices) -> Histories:
    """The candidates of each user, by ids and indices of the users; items that were not in training are left out.

    Raises:
        ValueError: a user has no list among the candidates.
    """
    by_index = {names.user_ids.encode_one(user): items for user, items in candidates.items()}
    by_index.pop(UNKNOWN, None)
    lists = [
        candidates.get(user) if index == UNKNOWN else by_index.get(index)
        for user, index in zip(users, indices.tolist(), strict=True)
    ]
    without = [user for user, items in zip(users, lists, strict=True) if items is None]
    if without:
        raise ValueError(
            f"`candidates` must have a list of items for each requested user, {len(without)} of {len(users)} have "
            f"none: {first_few(without)}"
        )
    return rows_of_items(names, [items for items in lists if items is not None])[0]

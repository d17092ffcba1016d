"""The caller's ids become indices, and lists of indices become frames of ids, scores and titles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ltocf.data.histories import Histories
from ltocf.data.ids import UNKNOWN, USUAL_INTEGER, IdMap
from ltocf.data.names import Names
from ltocf.evaluation.top_k import AllowedItems, Ranked
from ltocf.shapes import PairIndices

Id: TypeAlias = Hashable
"""A string or an integer, as in the data; anything else is the id of nobody."""
Asked: TypeAlias = Id | Iterable[Id]
"""One id, or many."""
GivenHistories: TypeAlias = Histories | Mapping[Any, Iterable[Id]] | Iterable[Any]
"""Lists of items, by user or one after the other."""

SHOWN = 5


class UnknownUserError(ValueError):
    """Asked for users that the model was not trained on."""


class UnknownItemError(ValueError):
    """Asked about items that the model was not trained on."""


def listed(ids: Asked) -> list[Any]:
    """The ids asked for; a string or a number is one id, not its letters.

    Example:
        >>> listed("42"), listed(42), listed(["a", "b"])
        (['42'], [42], ['a', 'b'])
    """
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        return [ids.item() if isinstance(ids, np.generic) else ids]
    return ids.tolist() if isinstance(ids, np.ndarray) else list(ids)


def some(ids: Iterable[object]) -> str:
    """The first few, for an error."""
    shown = list(map(repr, ids))
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")


def known_items(names: Names, asked: list[Any]) -> PairIndices:
    """Index of each item.

    Raises:
        UnknownItemError: an item was not in training; all such items are counted and the first few named.
    """
    indices = names.item_ids.encode(asked)
    if (indices == UNKNOWN).any():
        missing = [item for item, index in zip(asked, indices, strict=True) if index == UNKNOWN]
        raise UnknownItemError(f"{len(missing)} of {len(asked)} items were not in training: {some(missing)}")
    return indices


def allowed_items(names: Names, allow: Asked | None, deny: Asked | None) -> AllowedItems | None:
    """Which items may be listed: those of ``allow`` but not of ``deny``; None for all.

    Raises:
        UnknownItemError: there is no item of ``allow`` among those of training.
    """
    if allow is None and deny is None:
        return None
    allowed = torch.ones(len(names.item_ids), dtype=torch.bool)
    if allow is not None:
        asked = listed(allow)
        indices = names.item_ids.encode(asked)
        if (indices == UNKNOWN).all():
            raise UnknownItemError(f"none of the items of `allow` was in training: {some(asked)}")
        allowed.zero_()[torch.from_numpy(indices[indices != UNKNOWN])] = True
    if deny is not None:
        indices = names.item_ids.encode(listed(deny))
        allowed[torch.from_numpy(indices[indices != UNKNOWN])] = False
    return allowed


def histories_of(names: Names, given: GivenHistories) -> tuple[list[Any], Histories]:
    """A name for each user, and their histories as indices, each item once.

    Raises:
        UnknownItemError: an item was not in training.
        ValueError: one of them is an item, not a list of items, or they are over another catalogue.
    """
    if isinstance(given, Histories):
        if given.n_items != len(names.item_ids):
            raise ValueError(f"`histories` must be over the {len(names.item_ids)} items, got {given.n_items}")
        return list(range(len(given))), given
    by_user = given if isinstance(given, Mapping) else dict(enumerate(given))
    for history in by_user.values():
        if isinstance(history, str) or not isinstance(history, Iterable):
            raise ValueError(
                f"`histories` must have a list of items for each user, got {history!r} for one; pass [[1, 2]] for one "
                "user of the items 1 and 2"
            )
    rows = [np.unique(known_items(names, listed(history))).astype(np.int32) for history in by_user.values()]
    offsets = torch.tensor([0, *map(len, rows)]).cumsum(0)
    items = np.concatenate([np.empty(0, np.int32), *rows])
    return list(by_user), Histories(offsets, torch.from_numpy(items), len(names.item_ids))


def user_column(ids: IdMap, asked: list[Any], indices: PairIndices) -> pl.Series:
    """The ids of users as they were in the data; those that were not there as asked for, where types can be one.

    Example:
        >>> user_column(IdMap([7, 9]), ["9", "8"], np.array([1, -1])).to_list()
        [9, 8]
        >>> user_column(IdMap([7, 9]), ["9", "x"], np.array([1, -1])).to_list()
        ['9', 'x']
    """
    found: pl.Series = ids.ids[np.maximum(indices, 0)]
    if not (indices == UNKNOWN).any():
        return found
    mixed = [known if index >= 0 else user for user, index, known in zip(asked, indices, found, strict=True)]
    texts = pl.Series([str(user) for user in mixed])
    # "007" is not 7, who may be a user of their own.
    if ids.ids.dtype == pl.Int64 and texts.str.contains(USUAL_INTEGER).all():
        numbers = texts.cast(pl.Int64, strict=False)
        return texts if numbers.null_count() else numbers
    return texts


def item_columns(names: Names, items: np.ndarray) -> dict[str, pl.Series]:
    """Columns item and, if there are any, title."""
    columns = {"item": names.item_ids.ids[items]}
    if names.titles is not None:
        columns["title"] = pl.Series([names.titles[item] for item in items], dtype=pl.String)
    return columns


def list_frame(names: Names, users: pl.Series, ranked: Ranked) -> pl.DataFrame:
    """Columns user, rank, item, score and, if there are any, title: a row for each place that has an item."""
    items, scores = ranked.items.cpu().numpy(), ranked.scores.float().cpu().numpy()
    rows, places = np.nonzero(items != UNKNOWN)
    columns = item_columns(names, items[rows, places])
    found = {"user": users[rows], "rank": places + 1, "item": columns.pop("item"), "score": scores[rows, places]}
    return pl.DataFrame(found | columns)


def merged(ranked: Ranked, known: Tensor, popular: Ranked) -> Ranked:
    """The lists of known users, and the most popular items for the others."""
    items, scores = popular.items.repeat(len(known), 1), popular.scores.to(ranked.scores).repeat(len(known), 1)
    items[known], scores[known] = ranked
    return Ranked(items, scores)

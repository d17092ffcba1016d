"""The caller's ids become indices, and lists of indices become frames of ids, scores and titles."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool
from torch import Tensor

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.data.ids import UNKNOWN, USUAL_INTEGER, IdMap
from ltocf.data.names import Names
from ltocf.evaluation.top_k import Ranked
from ltocf.serving.errors import UnknownItemError, UnknownUserError
from ltocf.shapes import PairIndices

logger = logging.getLogger(__name__)

Id: TypeAlias = Hashable
"""A string or an integer, as in the data; anything else is the id of nobody."""
Ids: TypeAlias = Id | Iterable[Id]
"""One id, or many."""
GivenHistories: TypeAlias = Histories | Mapping[Any, Iterable[Id]] | Id | Iterable[Any]
"""The items of one user, or lists of items, by user or one after the other."""

NewUsers: TypeAlias = Bool[Tensor, " queries"]
"""For each requested user, whether they have no history."""

N_NAMED = 5
REMEDY = 'ask for `unknown="popular"` to give them the most popular items, or `unknown="skip"` to leave them out'


def as_list(ids: Id | Iterable[Any]) -> list[Any]:
    """One id or many as a list; a string is one id, not its letters.

    Example:
        >>> as_list("42"), as_list(42), as_list(["a", "b"])
        (['42'], [42], ['a', 'b'])
    """
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        return [ids.item() if isinstance(ids, np.generic) else ids]
    return ids.tolist() if isinstance(ids, np.ndarray) else ids.to_list() if isinstance(ids, pl.Series) else list(ids)


def first_few(ids: Iterable[object]) -> str:
    """The first few ids, for the message of an error."""
    texts = list(map(repr, ids))
    return ", ".join(texts[:N_NAMED]) + (", ..." if len(texts) > N_NAMED else "")


def check_users(users: list[Any], indices: PairIndices, without_history: NewUsers) -> None:
    """Check that every requested user has a history.

    Raises:
        UnknownUserError: how many were not in training and how many have no history there; the first few are named.
    """
    if not without_history.any():
        return
    groups = (
        ("were not in training", indices == UNKNOWN),
        ("have no history in training", without_history.numpy() & (indices != UNKNOWN)),
    )
    (rule, value), *more = [
        (f"{mask.sum()} of {len(users)} users {problem}", first_few(users[place] for place in np.flatnonzero(mask)))
        for problem, mask in groups
        if mask.any()
    ]
    raise UnknownUserError(rule, "; ".join([value, *map(": ".join, more)]), REMEDY)


def check_histories(users: list[Any], without_history: NewUsers) -> None:
    """Check that every history has an item of training.

    Raises:
        UnknownUserError: some have none; the first few of their users are named.
    """
    without = [user for user, is_new in zip(users, without_history.tolist(), strict=True) if is_new]
    if without:
        rule, value = f"{len(without)} of {len(users)} histories have no item of training", first_few(without)
        raise UnknownUserError(rule, value, REMEDY, message=f"{rule}, those of {value}; {REMEDY}")


def known_items(names: Names, items: list[Any]) -> PairIndices:
    """Index of each item.

    Raises:
        UnknownItemError: an item was not in training; all such items are counted and the first few named.
    """
    indices = names.item_ids.encode(items)
    if (indices == UNKNOWN).any():
        unknown = [item for item, index in zip(items, indices, strict=True) if index == UNKNOWN]
        raise UnknownItemError(f"{len(unknown)} of {len(items)} items were not in training", first_few(unknown))
    return indices


def rows_of_items(names: Names, lists: Iterable[Iterable[Id]]) -> tuple[Histories, list[Any]]:
    """The histories that are lists of items, the oldest first, each item once; and the items that were not in training.

    Example:
        >>> rows, unknown = rows_of_items(Names(IdMap([]), IdMap([10, 20])), [[20, 10, 20], [30]])
        >>> rows.items.tolist(), rows.lengths.tolist(), unknown
        ([0, 1], [2, 0], [30])
    """
    rows, later, unknown = [], [], []
    for items in lists:
        ids = as_list(items)
        indices = names.item_ids.encode(ids)
        if (indices == UNKNOWN).any():
            unknown += [item for item, index in zip(ids, indices.tolist(), strict=True) if index == UNKNOWN]
            indices = indices[indices != UNKNOWN]
        _, first = np.unique(indices, return_index=True)
        kept = np.sort(first)  # each item once, where it came first
        order = np.argsort(indices[kept], kind="stable")
        rows.append(indices[kept][order].astype(np.int32))
        later.append((len(kept) - 1 - order).astype(np.int32))
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    all_items, all_later = (
        torch.from_numpy(np.concatenate([np.empty(0, np.int32), *arrays])) for arrays in (rows, later)
    )
    return Histories(torch.from_numpy(offsets), all_items, len(names.item_ids), all_later), unknown


def histories_of(names: Names, given: GivenHistories) -> tuple[list[Any], Histories]:
    """A name for each user, and their histories as indices, each item once.

    Items that were not in training are left out; a warning says how many and which.

    Raises:
        ValueError: an item among lists of items, or histories over another catalogue.
    """
    if isinstance(given, Histories):
        if given.n_items != len(names.item_ids):
            raise ValueError(f"`histories` must be over the {len(names.item_ids)} items, got {given.n_items}")
        return list(range(len(given))), given
    if isinstance(given, Mapping):
        by_user: Mapping[Any, Any] = given
    else:
        lists = as_list(given)
        by_user = dict(enumerate([lists] if lists and not any(map(_is_list, lists)) else lists))
    for history in by_user.values():
        if not _is_list(history):
            raise ValueError(
                f"`histories` must have a list of items for each user, got {history!r} for one; pass [1, 2] for one "
                "user of the items 1 and 2, and [[1, 2], [3]] for two users"
            )
    rows, unknown = rows_of_items(names, by_user.values())
    if unknown:
        n_all = len(rows.items) + len(unknown)
        logger.warning(
            "%d of %d items of histories were not in training: ignored %s", len(unknown), n_all, first_few(unknown)
        )
    return list(by_user), rows


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def user_column(ids: IdMap, users: list[Any], indices: PairIndices) -> pl.Series:
    """The ids of users as in the data, or as requested if they are not in it; texts if they are not of one type.

    Example:
        >>> user_column(IdMap([7, 9]), ["9", "8"], np.array([1, -1])).to_list()
        [9, 8]
        >>> user_column(IdMap([7, 9]), ["9", "x"], np.array([1, -1])).to_list()
        ['9', 'x']
    """
    found: pl.Series = ids.ids[np.maximum(indices, 0)]
    if not (indices == UNKNOWN).any():
        return found
    mixed = [known if index >= 0 else user for user, index, known in zip(users, indices, found, strict=True)]
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


class ListedItem(NamedTuple):
    """One place of a list: the caller's id of the item, its score, and its title if items have titles."""

    item: Any
    score: float
    title: str | None


@dataclass(frozen=True, eq=False, repr=False)
class Lists(Shown):
    """Lists of items for users, in the caller's ids: as a frame, or as Python values, which is faster for few lists.

    Args:
        names: the caller's ids and titles.
        users: the id of each user.
        ranked: the list of each user.
        popular: which lists are the most popular items, if that is to be shown; or None.
    """

    names: Names
    users: pl.Series
    ranked: Ranked
    popular: NewUsers | None = None

    def facts(self) -> dict[str, object]:
        return {"n_lists": len(self.users), "k": self.ranked.items.shape[1]}

    def frame(self) -> pl.DataFrame:
        """Columns user, rank, item, score, title if there are any, and ``by``: a row for each place with an item."""
        items, scores = self.ranked.items.cpu().numpy(), self.ranked.scores.float().cpu().numpy()
        rows, places = np.nonzero(items != UNKNOWN)
        columns = item_columns(self.names, items[rows, places])
        item = columns.pop("item")
        found = {"user": self.users[rows], "rank": places + 1, "item": item, "score": scores[rows, places]}
        by = {} if self.popular is None else {"by": pl.Series(np.where(self.popular.numpy(), "popular", "model"))[rows]}
        return pl.DataFrame(found | columns | by)

    def values(self) -> list[list[ListedItem]]:
        """The places of each list."""
        titles, ids = self.names.titles, self.names.item_ids
        items, scores = self.ranked.items.tolist(), self.ranked.scores.float().tolist()
        kept = [[item for item in row if item != UNKNOWN] for row in items]
        return [
            [
                ListedItem(id, score, None if titles is None else titles[item])
                for id, score, item in zip(ids.decode(row), row_scores, row, strict=False)
            ]
            for row, row_scores in zip(kept, scores, strict=True)
        ]


def nearest_frame(
    columns_of: Callable[[PairIndices], dict[str, pl.Series]], top: tuple[Tensor, Tensor]
) -> pl.DataFrame:
    """One list of `top_k` as a frame: rank, the first of the columns of its indices, score, and the other columns."""
    values, places = top
    indices = places[0].cpu().numpy()
    indices = indices[indices != UNKNOWN]
    columns = columns_of(indices)
    name, ids = next(iter(columns.items()))
    scores = values[0, : len(indices)].float().cpu().numpy()
    return pl.DataFrame({"rank": np.arange(1, len(indices) + 1), name: ids, "score": scores} | columns)


def merged(known: Ranked, is_known: Tensor, others: Ranked) -> Ranked:
    """The lists of known users and those of the others, in the order of all users."""
    k = others.items.shape[1]
    items, scores = known.items.new_empty(len(is_known), k), known.scores.new_empty(len(is_known), k)
    items[is_known], scores[is_known] = known
    items[~is_known], scores[~is_known] = others.items, others.scores.to(scores)
    return Ranked(items, scores)

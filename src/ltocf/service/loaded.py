"""A model in place: what one request sees from its beginning to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
import torch

from ltocf.data.ids import UNKNOWN
from ltocf.service.answers import (
    Explained,
    FoundItem,
    FoundItems,
    HistoryList,
    Id,
    OneList,
    Reason,
    Recommended,
    SimilarItems,
    UserList,
    UserLists,
)
from ltocf.service.finder import Finder
from ltocf.serving import Explanation, Snapshot, UnknownUserError
from ltocf.serving.lists import Lists, NewUsers, check_users, first_few
from ltocf.shapes import PairIndices

Policy = Literal["error", "popular", "skip"]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A snapshot that is ready to answer, and its answers as plain values.

    Args:
        snapshot: the model that answers.
        finder: finds items by title and id.
        generation: 1 for the first model that was served, 2 for the next one.
        loaded_at: when it was put in place, in seconds since 1970.
    """

    snapshot: Snapshot
    finder: Finder
    generation: int
    loaded_at: float

    def recommend(self, users: Sequence[Id], k: int, unknown: Policy = "error", **choice: Any) -> UserLists:
        """The lists of users of training; arguments and errors are those of `Snapshot.recommend`."""
        lists = self.snapshot.lists(users, k, unknown=unknown, **choice)
        rows = zip(self._users_as_in_data(lists), _made_by(lists), _items(lists), strict=True)
        return UserLists([UserList(user, by, items) for user, by, items in rows], self.generation)

    def recommend_each(self, users: Sequence[Id], k: int, **choice: Any) -> list[OneList]:
        """The list of each user; a user without a history gets the most popular items."""
        lists = self.recommend(users, k, "popular", **choice).lists
        return [OneList(of_user.user, of_user.by, of_user.items, self.generation) for of_user in lists]

    def recommend_one(self, user: Id, k: int, unknown: Policy = "error", **choice: Any) -> OneList:
        """The list of one user of training; errors are those of `Snapshot.recommend`."""
        if unknown == "error":
            check_users([user], *self._without_history([user]))
        return self.recommend_each([user], k, **choice)[0]

    def recommend_histories(self, histories: Sequence[Sequence[Id]], k: int, **choice: Any) -> list[HistoryList]:
        """The list for each history; one without an item of training gets the most popular items."""
        split = [self.split(history) for history in histories]
        lists = self.snapshot.folded([known for known, _ in split], k, unknown="popular", **choice)
        rows = zip(_made_by(lists), _items(lists), split, strict=True)
        return [HistoryList(by, items, ignored, self.generation) for by, items, (_, ignored) in rows]

    def recommend_history(self, history: Sequence[Id], k: int, unknown: Policy = "error", **choice: Any) -> HistoryList:
        """The list for a history; other arguments and errors are those of `Snapshot.fold_in`."""
        known, ignored = self.split(history)
        if not known and unknown == "error":
            raise _nothing_known(history, ', or for `unknown="popular"`')
        if not known and unknown == "skip":
            return HistoryList("model", [], ignored, self.generation)
        return self.recommend_histories([history], k, **choice)[0]

    def similar(self, item: Id, k: int, by: Literal["cosine", "inner_product", "history"] = "cosine") -> SimilarItems:
        """The items nearest to one; errors are those of `Snapshot.similar_items`."""
        frame = self.snapshot.similar_items(item, k, by=by)
        return SimilarItems(self._as_in_data(item), by, _recommended(frame), self.generation)

    def explain(self, user: Id, item: Id) -> Explained:
        """Why an item has its score for a user of training; errors are those of `Snapshot.explain`."""
        return self._explained(self.snapshot.explain(user, item), [])

    def explain_history(self, history: Sequence[Id], item: Id) -> Explained:
        """Why an item has its score for a history; errors are those of `Snapshot.explain_fold_in`."""
        known, ignored = self.split(history)
        if not known:
            raise _nothing_known(history)
        return self._explained(self.snapshot.explain_fold_in(known, item), ignored)

    def find(self, typed: str, k: int) -> FoundItems:
        """Items whose title or id has what was typed."""
        indices, names = self.finder.find(typed, k), self.snapshot.names
        counts = self.snapshot.counts[indices].int().tolist()
        titles = names.titles
        ids: list[Any] = names.item_ids.decode(indices)
        items = [
            FoundItem(id, None if titles is None else titles[index], count)
            for id, index, count in zip(ids, indices, counts, strict=True)
        ]
        return FoundItems(items, self.generation)

    def split(self, history: Sequence[Id]) -> tuple[list[Id], list[Id]]:
        """The items of a history that were in training, and those that were not."""
        ids = self.snapshot.names.item_ids
        ignored = [item for item in history if ids.encode_one(item) == UNKNOWN]
        return (list(history), []) if not ignored else ([item for item in history if item not in ignored], ignored)

    def _without_history(self, users: list[Id]) -> tuple[PairIndices, NewUsers]:
        indices = self.snapshot.names.user_ids.encode(users)
        return indices, self.snapshot.source.without_history(torch.from_numpy(indices))

    def _users_as_in_data(self, lists: Lists) -> list[Id]:
        """The ids of the users, those of training with their type in the data: a frame has one type for all users."""
        ids, users = self.snapshot.names.user_ids, lists.users.to_list()
        if lists.users.dtype == ids.ids.dtype:
            return users
        indices = [ids.encode_one(user) for user in users]
        return [
            user if index == UNKNOWN else ids.decode([index])[0] for user, index in zip(users, indices, strict=True)
        ]

    def _as_in_data(self, item: Id) -> Id:
        ids = self.snapshot.names.item_ids
        return ids.decode([ids.encode_one(item)])[0]

    def _explained(self, why: Explanation, ignored: list[Id]) -> Explained:
        columns = [name for name in why.history.columns if name.startswith("part_")]
        reasons = [
            Reason(row["item"], row["contribution"], row.get("title"), [row[name] for name in columns])
            for row in why.history.iter_rows(named=True)
        ]
        names = list(why.part_names) or columns
        user: Any = why.user
        item: Any = why.item
        sums = (why.score, why.own, why.popularity)
        return Explained(user, item, why.title, *sums, reasons, names, ignored, self.generation)


def _nothing_known(history: Sequence[Id], otherwise: str = "") -> UnknownUserError:
    rule, remedy = "an item of `history` must have been in training", "ask for items that `/v1/items` finds"
    return UnknownUserError(rule, first_few(history), remedy + otherwise)


def _items(lists: Lists) -> list[list[Recommended]]:
    return [[Recommended(*place) for place in places] for places in lists.values()]


def _made_by(lists: Lists) -> list[Literal["model", "popular"]]:
    if lists.popular is None:
        return ["model"] * len(lists.users)
    return ["popular" if popular else "model" for popular in lists.popular.tolist()]


def _recommended(frame: pl.DataFrame) -> list[Recommended]:
    titles = frame["title"].to_list() if "title" in frame.columns else [None] * len(frame)
    rows = zip(frame["item"].to_list(), frame["score"].to_list(), titles, strict=True)
    return [Recommended(*row) for row in rows]

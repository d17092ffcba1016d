"""A trained model that answers, for any number of threads at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
import torch

from ltocf.evaluation.top_k import top_k
from ltocf.serving.choice import Candidates, Condition, allowed_items
from ltocf.serving.explaining import Explaining
from ltocf.serving.listing import Listing
from ltocf.serving.lists import (
    GivenHistories,
    Id,
    Ids,
    as_list,
    check_users,
    item_columns,
    known_items,
    nearest_frame,
    user_column,
)
from ltocf.serving.popular import Moment, counts_between
from ltocf.serving.ranking import ListOptions
from ltocf.serving.similar import check_similarity, nearness, overlap


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot(Listing, Explaining):
    """A trained model that answers, in the caller's own ids.

    It is immutable, so threads can share it, and a server swaps one reference to serve a newer one. The cost depends on
    the answer: only popular lists of a time window and similarity by history look through all pairs.
    A known user without a history is treated like an unknown one: a model has only noise for them.
    Its arguments are those of `Held`; `open` and `of` fill them in.

    Example:
        >>> from ltocf.data import Interactions, Names
        >>> from ltocf.graph import BipartiteGraph
        >>> from ltocf.models import LightGCN
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 1, 2])
        >>> model = LightGCN(BipartiteGraph.from_interactions(log), dim=4)
        >>> snapshot = Snapshot.of("lightgcn", model, log, Names.identity(2, 3))
        >>> snapshot
        Snapshot(model='lightgcn', version='', n_users=2, n_items=3)
        >>> snapshot.recommend([0, 1], k=1)["item"].to_list()
        [2, 0]
        >>> snapshot.fold_in([2], k=2)["item"].sort().to_list(), snapshot.history(0)["item"].to_list()
        ([0, 1], [0, 1])
        >>> snapshot.popular(1).rows(named=True)
        [{'rank': 1, 'item': 1, 'count': 2}]
        >>> snapshot.similar_items(0, k=5)["item"].sort().to_list(), snapshot.similar_users(0)["user"].to_list()
        ([1, 2], [1])
        >>> why = snapshot.explain(0, 2)
        >>> bool(abs(why.history["contribution"].sum() + why.own + why.popularity - why.score) < 1e-6)
        True
        >>> [len(lists) for lists in snapshot.recommend_all(k=1, rows=1)]
        [1, 1]
    """

    def recommend(
        self,
        users: Ids,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        unknown: str = "error",
        only: Ids | None = None,
        exclude: Ids | None = None,
        where: Condition | None = None,
        candidates: Candidates | None = None,
    ) -> pl.DataFrame:
        """The ``k`` best items of each user: columns user, rank, item, score and, if there are any, title.

        Args:
            users: one id or many, as in the data.
            k: items per user; fewer come back if a user has fewer items left.
            exclude_seen: leave out what the user touched in training, and what else counts as seen.
            unknown: what a user gets who was not in training, or has no history there: ``error``; ``popular``,
                the most popular items with the number of users who touched them as score, and a last column ``by``
                that says ``model`` or ``popular`` of each list; or ``skip``, no list.
            only: the only items that may be listed; ids that were not in training are ignored.
            exclude: items that may not be listed.
            where: a condition on the attributes of the items, such as ``"price < 20 AND genre = 'Drama'"`` or
                ``pl.col("price") < 20``; a missing value makes it false.
            candidates: for each given user, the only items that they may get.

        Raises:
            UnknownUserError: a user has no history and ``unknown`` is ``error``; the first few are named.
            UnknownItemError: no item of ``only`` was in training.
            ValueError: ``k`` < 1, ``unknown`` is not a policy, ``where`` cannot be answered or holds for
                no item, or a user has no ``candidates``.
        """
        return self.lists(
            users,
            k,
            exclude_seen=exclude_seen,
            unknown=unknown,
            only=only,
            exclude=exclude,
            where=where,
            candidates=candidates,
        ).frame()

    def recommend_all(
        self,
        k: int = 10,
        *,
        users: Ids | None = None,
        rows: int = 4096,
        exclude_seen: bool = True,
        unknown: str = "popular",
        only: Ids | None = None,
        exclude: Ids | None = None,
        where: Condition | None = None,
    ) -> Iterator[pl.DataFrame]:
        """The ``k`` best items of every user, in frames of ``rows`` users: memory for one frame at a time.

        Args:
            k: items per user.
            users: their ids; by default all training users.
            rows: users in a frame.
            unknown: as for `recommend`: by default users without a history get the popular list, and ``by`` says so.
            exclude_seen, only, exclude, where: as for `recommend`.

        Raises:
            UnknownUserError, UnknownItemError, ValueError: as for `recommend`, at once; or ``rows`` < 1.
        """
        k = self.length_of_list(k)
        if rows < 1:
            raise ValueError(f"`rows` must be >= 1, got {rows}")
        options = ListOptions(k, exclude_seen, unknown, allowed_items(self.names, only, exclude, where))
        known = self.names.user_ids
        requested = known.ids if users is None else as_list(users)
        indices = np.arange(len(known)) if users is None else known.encode(requested)
        user_indices = torch.from_numpy(indices)
        new = self.source.without_history(user_indices)
        if unknown == "error":
            check_users(list(requested), indices, new)
        ids = known.ids if users is None else user_column(known, list(requested), indices)

        def frames() -> Iterator[pl.DataFrame]:
            for start in range(0, max(len(user_indices), 1), rows):
                part = slice(start, start + rows)
                yield self.source.lists(self.names, ids[part], user_indices[part], new[part], options).frame()

        return frames()

    def popular(
        self,
        k: int = 10,
        *,
        days: float | int | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        only: Ids | None = None,
        exclude: Ids | None = None,
        where: Condition | None = None,
    ) -> pl.DataFrame:
        """The ``k`` items that most users touched: columns rank, item, count (of users) and, if there are any, title.

        Args:
            k: how many; fewer come back if there are fewer.
            days: length of the window that ends at ``until``, or at the end of the data.
            since: the first moment that counts: seconds since 1970, a date, or ISO text, in UTC without a zone.
            until: the first moment that no longer counts.
            only, exclude, where: which items, as for `recommend`.

        A user counts once, when they first touched the item: later touches of it are not kept.

        Raises:
            UnknownItemError: no item of ``only`` was in training.
            ValueError: ``k`` out of range, a window without timestamps in the model, or an empty window.
        """
        k = self.length_of_list(k)
        allowed = allowed_items(self.names, only, exclude, where)
        windowed = not (days is since is until is None)
        counts = self.counts
        if windowed:
            counts = counts_between(self.histories, self.timestamps, days, since, until)
            counts = counts.masked_fill(counts == 0, -torch.inf)
        if allowed is not None:
            counts = counts.masked_fill(~allowed, -torch.inf)
        frame = nearest_frame(partial(item_columns, self.names), top_k(counts[None], k))
        return frame.rename({"score": "count"}).with_columns(pl.col("count").cast(pl.Int64))

    def history(self, user: Id) -> pl.DataFrame:
        """What a user touched in training: columns item and, if there are any, title.

        Raises:
            UnknownUserError: the user was not in training.
        """
        return pl.DataFrame(item_columns(self.names, self.history_of(self.index_of_user(user)).items.numpy()))

    def similar_items(self, item: Id, k: int = 10, *, by: str = "cosine") -> pl.DataFrame:
        """The ``k`` items nearest to ``item``: columns rank, item, score, and title if any.

        Args:
            item: the item's id.
            k: how many; fewer come back if there are fewer.
            by: ``cosine`` of the vectors, in [-1, 1]; their ``inner_product``, which favours popular items; or
                ``history``, |A ∩ B| / sqrt(|A| |B|) of the users who touched them, in [0, 1], for any model. An item's
                popularity itself, where the model adds one, does not count.

        Raises:
            UnknownItemError: the item was not in training.
            ValueError: the model has no item vectors (the error names those that have), ``k`` < 1 or an
                unknown similarity.
        """
        check_similarity(by)
        index, n_others = int(known_items(self.names, [item])[0]), len(self.names.item_ids) - 1
        k = self.length_of_list(k, n_others)
        near = overlap(self.users_of_items, index) if by == "history" else nearness(self.item_vectors, index, by)
        near[index] = -torch.inf
        return nearest_frame(partial(item_columns, self.names), top_k(near[None], k))

    def similar_users(self, user: Id, k: int = 10, *, by: str = "cosine") -> pl.DataFrame:
        """The ``k`` users nearest to ``user``: columns rank, user, score.

        Args:
            user: the user's id.
            k: how many; fewer come back if there are fewer; users without a history are left out.
            by: as for `similar_items`; ``history`` compares the items that the users touched.

        Raises:
            UnknownUserError: the user was not in training, or has no history there.
            ValueError: the model has no user vectors (the error names those that have), ``k`` < 1 or an
                unknown similarity.
        """
        check_similarity(by)
        index, n_others = self.index_with_history(user), len(self.names.user_ids) - 1
        k = self.length_of_list(k, n_others)
        near = overlap(self.items_of_users, index) if by == "history" else nearness(self.user_vectors, index, by)
        near[(self.histories.lengths == 0).to(near.device)] = -torch.inf
        near[index] = -torch.inf
        return nearest_frame(lambda users: {"user": self.names.user_ids.ids[users]}, top_k(near[None], k))

    def fold_in(
        self,
        histories: GivenHistories,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        unknown: str = "error",
        own: bool = False,
        steps: int = 0,
        only: Ids | None = None,
        exclude: Ids | None = None,
        where: Condition | None = None,
    ) -> pl.DataFrame:
        """The ``k`` best items for users who were not in training, from what they touched. The model does not change.

        Args:
            histories: the items of one user, the oldest first; or of each user, by a name for the user or one list
                after the other; or `Histories` of item indices. An item counts once, where it came first; items that
                were not in training are ignored, and a warning in the log counts them. The order counts for models
                with ``recency``; one that counts in days takes the number of later items instead.
            k: items per user.
            exclude_seen: leave out the items of the history.
            unknown: what a history without an item from training gets, as for `recommend`.
            own: the names are training users with a newer history: also keep what the model learned about
                them.
            steps: gradient steps on the user's vector alone, see `UserSteps`; some models gain by 3 of them.
            only, exclude, where: which items, as for `recommend`.

        Returns:
            The columns of `recommend`; ``user`` is the name, or the place among the lists.

        Raises:
            UnknownUserError: nothing of a history was in training and ``unknown`` is ``error``; or ``own`` and a name
                is not a user's.
            UnknownItemError: no item of ``only`` was in training.
            ValueError: the model has no way from a history to a score (the error names those that have), ``k`` < 1,
                or an item stands among lists of items.
        """
        return self.folded(
            histories,
            k,
            exclude_seen=exclude_seen,
            unknown=unknown,
            own=own,
            steps=steps,
            only=only,
            exclude=exclude,
            where=where,
        ).frame()

"""The lists of a model as values, from which frames, the service and its pages are made."""

from __future__ import annotations

import polars as pl
import torch

from ltocf.serving.abilities import HistoryScorer
from ltocf.serving.choice import Candidates, Condition, allowed_items, candidate_rows
from ltocf.serving.held import Held
from ltocf.serving.lists import (
    GivenHistories,
    Ids,
    Lists,
    as_list,
    check_histories,
    check_users,
    histories_of,
    user_column,
)
from ltocf.serving.ranking import ListOptions, Source


class Listing(Held):
    """Lists for training users and for histories; for the arguments see `Snapshot`."""

    def lists(
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
    ) -> Lists:
        """The lists that `recommend` turns into a frame, with the same arguments and errors."""
        k = self.length_of_list(k)
        options = ListOptions(k, exclude_seen, unknown, allowed_items(self.names, only, exclude, where))
        requested = as_list(users)
        indices = self.names.user_ids.encode(requested)
        rows = None if candidates is None else candidate_rows(self.names, candidates, requested, indices)
        user_indices = torch.from_numpy(indices)
        new = self.source.without_history(user_indices)
        if unknown == "error":
            check_users(requested, indices, new)
        ids = user_column(self.names.user_ids, requested, indices)
        return self.source.lists(self.names, ids, user_indices, new, options, rows)

    def folded(
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
    ) -> Lists:
        """The lists that `fold_in` turns into a frame, with the same arguments and errors."""
        k = self.length_of_list(k)
        score = self.history_score if not steps else self.stepped_score(steps)
        options = ListOptions(k, exclude_seen, unknown, allowed_items(self.names, only, exclude, where))
        users, folded = histories_of(self.names, histories)
        known = torch.tensor([self.index_of_user(user) for user in users]) if own else None
        source = Source(HistoryScorer(folded, score, known), folded, folded, self.counts)
        rows = torch.arange(len(folded))
        new = source.without_history(rows)
        if unknown == "error":
            check_histories(users, new)
        return source.lists(self.names, pl.Series(users), rows, new, options)

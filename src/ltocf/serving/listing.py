"""The lists of a model as values: what frames, services and pages are made from."""

from __future__ import annotations

import polars as pl
import torch

from ltocf.serving.abilities import HistoryScorer
from ltocf.serving.choice import Candidates, Condition, allowed_items, candidate_rows
from ltocf.serving.held import Held
from ltocf.serving.lists import (
    Asked,
    GivenHistories,
    Lists,
    check_histories,
    check_users,
    histories_of,
    listed,
    user_column,
)
from ltocf.serving.ranking import Source, Wish


class Listing(Held):
    """Lists for training users and for histories; for the arguments see `Snapshot`."""

    def lists(
        self,
        users: Asked,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        unknown: str = "error",
        only: Asked | None = None,
        exclude: Asked | None = None,
        where: Condition | None = None,
        candidates: Candidates | None = None,
    ) -> Lists:
        """What `recommend` makes a frame of, with the same arguments and errors."""
        k = self.length_of_list(k)
        wish = Wish(k, exclude_seen, unknown, allowed_items(self.names, only, exclude, where))
        asked = listed(users)
        indices = self.names.user_ids.encode(asked)
        rows = None if candidates is None else candidate_rows(self.names, candidates, asked, indices)
        found = torch.from_numpy(indices)
        new = self.source.without_history(found)
        if unknown == "error":
            check_users(asked, indices, new)
        shown = user_column(self.names.user_ids, asked, indices)
        return self.source.lists(self.names, shown, found, new, wish, rows)

    def folded(
        self,
        histories: GivenHistories,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        unknown: str = "error",
        own: bool = False,
        steps: int = 0,
        only: Asked | None = None,
        exclude: Asked | None = None,
        where: Condition | None = None,
    ) -> Lists:
        """What `fold_in` makes a frame of, with the same arguments and errors."""
        k = self.length_of_list(k)
        score = self.history_score if not steps else self.stepped_score(steps)
        wish = Wish(k, exclude_seen, unknown, allowed_items(self.names, only, exclude, where))
        users, folded = histories_of(self.names, histories)
        known = torch.tensor([self.index_of_user(user) for user in users]) if own else None
        source = Source(HistoryScorer(folded, score, known), folded, folded, self.counts)
        numbers = torch.arange(len(folded))
        new = source.without_history(numbers)
        if unknown == "error":
            check_histories(users, new)
        return source.lists(self.names, pl.Series(users), numbers, new, wish)

"""Lists for users who have a history, by the model, and for those who have none, by policy."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import torch

from ltocf.data.histories import Histories
from ltocf.data.names import Names
from ltocf.evaluation.top_k import AllowedItems, Ranked, Scorer, rank, top_k
from ltocf.models.user_map import ItemNumbers
from ltocf.serving.lists import Lists, NewUsers, merged
from ltocf.shapes import Scores, UserIndices

POLICIES = ("error", "popular", "skip")
"""What a user without a history gets: an error, the most popular items, or nothing."""


@dataclass(frozen=True)
class ListOptions:
    """What may be in a list, and how long it is.

    Args:
        k: items for each user.
        exclude_seen: leave out what is hidden for a user.
        unknown: one of `POLICIES`.
        allowed: which items may be listed, None for all.

    Raises:
        ValueError: ``unknown`` is not a policy.
    """

    k: int
    exclude_seen: bool
    unknown: str
    allowed: AllowedItems | None = None

    def __post_init__(self) -> None:
        if self.unknown not in POLICIES:
            raise ValueError(f"`unknown` must be one of {', '.join(POLICIES)}, got {self.unknown!r}")


@dataclass(frozen=True, eq=False)
class Source:
    """What lists are made from.

    Args:
        scorer: scores items for the users who have a history.
        histories: histories of the users that the scorer knows.
        hidden: what is left out of the list of each user.
        counts: how many users touched each item.
    """

    scorer: Scorer
    histories: Histories
    hidden: Histories
    counts: ItemNumbers

    def without_history(self, users: UserIndices) -> NewUsers:
        """For each index, whether the user has no history: the index is -1, or its row is empty."""
        if not len(self.histories):
            return torch.ones(len(users), dtype=torch.bool)
        rows = users.clamp(min=0)
        return (users < 0) | (self.histories.offsets[rows] == self.histories.offsets[rows + 1])

    def lists(
        self,
        names: Names,
        ids: pl.Series,
        users: UserIndices,
        new: NewUsers,
        options: ListOptions,
        candidates: Histories | None = None,
    ) -> Lists:
        """The lists of users; with the policy ``popular`` they say which of them are the most popular items.

        Args:
            names: the caller's ids and titles.
            ids: the id of each user.
            users: index of each user, -1 for one who was not in training.
            new: who has no history, see `without_history`.
            options: what may be in the lists.
            candidates: the items that each user may get, or None.
        """
        if options.unknown == "skip" and new.any():
            kept = ~new
            ids, users = ids.filter(pl.Series(kept.numpy())), users[kept]
            candidates = None if candidates is None else candidates.rows(kept.nonzero().squeeze(1))
            new = new[kept]
        popular = new if options.unknown == "popular" else None
        return Lists(names, ids, self._ranked(users, new, options, candidates), popular)

    def _ranked(self, users: UserIndices, new: NewUsers, options: ListOptions, candidates: Histories | None) -> Ranked:
        seen = self.hidden if options.exclude_seen else None
        if not new.any():
            return _rank(self.scorer, users, options, seen, candidates)
        of_known, of_new = (
            None if candidates is None else candidates.rows(mask.nonzero().squeeze(1)) for mask in (~new, new)
        )
        known = _rank(self.scorer, users[~new], options, seen, of_known)
        return merged(known, ~new, self._popular(users[new], options, seen, of_new))

    def _popular(
        self, users: UserIndices, options: ListOptions, seen: Histories | None, candidates: Histories | None
    ) -> Ranked:
        """The same list for all users, except those who have candidates or for whom something is hidden."""
        counts = self.counts if options.allowed is None else self.counts.masked_fill(~options.allowed, -torch.inf)
        hidden = None if seen is None else _rows_or_empty(seen, users)
        is_special = torch.full((len(users),), candidates is not None)
        if hidden is not None:
            is_special |= hidden.lengths > 0
        values, items = top_k(counts[None], options.k)
        lists, scores = items.repeat(len(users), 1), values.repeat(len(users), 1)
        if is_special.any():
            special = is_special.nonzero().squeeze(1)
            special_candidates = None if candidates is None else candidates.rows(special)
            lists[special], scores[special] = _rank(_Counts(counts), special, options, hidden, special_candidates)
        return Ranked(lists, scores)


def _rank(
    scorer: Scorer, users: UserIndices, options: ListOptions, seen: Histories | None, candidates: Histories | None
) -> Ranked:
    if candidates is None:
        return rank(scorer, users, options.k, seen=seen, allowed=options.allowed)
    rows = None if seen is None else seen.rows(users)
    scorer = _OnlyCandidates(scorer, users, candidates)
    return rank(scorer, torch.arange(len(users)), options.k, seen=rows, allowed=options.allowed)


def _rows_or_empty(histories: Histories, users: UserIndices) -> Histories:
    """The rows of users, empty for those without an index."""
    known = users >= 0
    rows = histories.rows(users[known])
    lengths = torch.zeros_like(users)
    lengths[known] = rows.lengths
    return Histories(torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]), rows.items, histories.n_items)


class _Counts:
    """The same scores for everybody: how many users touched each item."""

    def __init__(self, counts: ItemNumbers) -> None:
        self.counts = counts

    def scores(self, users: UserIndices) -> Scores:
        return self.counts.expand(len(users), -1)


class _OnlyCandidates:
    """The scores of a scorer for each user's candidates, -inf for all other items."""

    scores_are_new = True

    def __init__(self, scorer: Scorer, users: UserIndices, candidates: Histories) -> None:
        self.scorer, self.users, self.candidates = scorer, users, candidates

    def scores(self, queries: UserIndices) -> Scores:
        scores, rows = self.scorer.scores(self.users[queries]), self.candidates.rows(queries)
        places = torch.repeat_interleave(rows.lengths).to(scores.device), rows.items.long().to(scores.device)
        masked = torch.full_like(scores, -torch.inf)
        masked[places] = scores[places]
        return masked

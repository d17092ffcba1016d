"""Whom the page recommends to: a user of training, the same with a changed history, or a history alone."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import torch

from ltocf.data.histories import Histories
from ltocf.data.ids import UNKNOWN
from ltocf.service.pages.query import PageQuery
from ltocf.serving import Snapshot, UnknownUserError
from ltocf.serving.abilities import HistoryScorer
from ltocf.serving.lists import rows_of_items
from ltocf.serving.ranking import ListOptions, Source


@dataclass(frozen=True, eq=False)
class Subject:
    """Somebody with a history, as the model sees them.

    Args:
        user: their index in training, or None.
        history: their items, as one row.
        order: the same items, the latest first if their order is known.
        changed: whether the history is not the one of training.
        unknown: ids in the address that no item of this model has.
    """

    user: int | None
    history: Histories
    order: tuple[int, ...]
    changed: bool
    unknown: tuple[str, ...]


def subject_of(snapshot: Snapshot, query: PageQuery) -> Subject:
    """The subject that an address means.

    Raises:
        UnknownUserError: the user was not in training.
    """
    user = None if query.user is None else snapshot.index_of_user(query.user)
    own = Histories(torch.zeros(2, dtype=torch.int64), torch.zeros(0, dtype=torch.int32), snapshot.histories.n_items)
    own = own if user is None else snapshot.history_of(user)
    latest_first = _latest_first(own)
    encode = snapshot.names.item_ids.encode
    added, removed = encode(query.added).tolist(), set(encode(query.removed).tolist())
    unknown = tuple(item for item, index in zip(query.added, added, strict=True) if index == UNKNOWN)
    new = [item for item in dict.fromkeys(added) if item != UNKNOWN and item not in set(latest_first)]
    kept = [item for item in latest_first if item not in removed]
    changed = user is None or bool(new) or len(kept) < len(latest_first)
    order = tuple(new[::-1] + kept)
    if not changed:
        return Subject(user, own, order, False, unknown)
    ids = snapshot.names.item_ids.decode(order[::-1])
    return Subject(user, rows_of_items(snapshot.names, [ids])[0], order, True, unknown)


def recommended(snapshot: Snapshot, subject: Subject, k: int) -> list[tuple[int, float]]:
    """The list of the subject: the index of each item and its score, the best first.

    Raises:
        UnknownUserError: a history without an item.
        RequestError: the model has no way from a changed history to a score; the error names those that have.
    """
    if not len(subject.history.items):
        raise UnknownUserError("the history has no item: add one")
    source, row = snapshot.source, subject.user
    if subject.changed or row is None:
        known = None if subject.user is None else torch.tensor([subject.user])
        scorer = HistoryScorer(subject.history, snapshot.history_score, known)
        source, row = Source(scorer, subject.history, _hidden(snapshot, subject), snapshot.counts), 0
    options = ListOptions(snapshot.length_of_list(k), exclude_seen=True, unknown="error")
    has_no_history = torch.zeros(1, dtype=torch.bool)
    ranked = source.lists(snapshot.names, pl.Series([row]), torch.tensor([row]), has_no_history, options).ranked
    pairs = zip(ranked.items[0].tolist(), ranked.scores[0].tolist(), strict=True)
    return [(item, score) for item, score in pairs if item != UNKNOWN]


def _hidden(snapshot: Snapshot, subject: Subject) -> Histories:
    """What is left out of the list of a changed history: its items, and what the user rated low."""
    if subject.user is None:
        return subject.history
    own = set(snapshot.history_of(subject.user).items.tolist())
    low = set(snapshot.hidden.rows(torch.tensor([subject.user])).items.tolist()) - own
    items = torch.tensor(sorted(low | set(subject.history.items.tolist())), dtype=torch.int32)
    return Histories(torch.tensor([0, len(items)]), items, subject.history.n_items)


def _latest_first(history: Histories) -> list[int]:
    if history.later is None:
        return history.items.tolist()
    return history.items[torch.argsort(history.later, stable=True)].tolist()

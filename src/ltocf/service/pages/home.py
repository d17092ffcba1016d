"""The first page: a history, recommendations as cards, similar items, as values that templates show."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ltocf.data.ids import UNKNOWN
from ltocf.models import ScoreMap
from ltocf.service.pages.items import ShownItem, shown_item, shown_row
from ltocf.service.pages.query import PageQuery
from ltocf.service.pages.reasons import Reasons, reasons_of, without_empty_pieces
from ltocf.service.pages.scale import BarScale, Segment
from ltocf.service.pages.subject import Subject, recommended, subject_of
from ltocf.serving import RequestError, Snapshot, UnknownUserError

N_STARTERS = 12
N_SIMILAR = 8
N_USERS_NAMED = 3


@dataclass(frozen=True)
class Card:
    """One recommendation: its score as a bar, and its reasons, None if the model cannot explain it."""

    rank: int
    item: ShownItem
    score: float
    bar: Segment
    split: tuple[Segment, ...]
    reasons: Reasons | None
    zero: float


@dataclass(frozen=True)
class Near:
    """An item that is near another one, and how near it is."""

    item: ShownItem
    nearness: float


@dataclass(frozen=True)
class SimilarItems:
    """The items nearest to one, by ``cosine`` of their vectors or by the ``history`` that they share."""

    item: ShownItem
    by: str
    rows: tuple[Near, ...]


@dataclass(frozen=True)
class HomeView:
    """Everything that the first page shows.

    Args:
        query: the address.
        heading: whose recommendations these are.
        history: the items of the history, the latest first.
        in_history: ids of these items.
        removed: items that were taken out of the user's history.
        cards: the recommendations.
        notes: remarks on the recommendations.
        error: why there are no recommendations, or None.
        starters: popular items to begin with, if there is nobody to recommend to.
        users: a few users to look up.
        similar: the items similar to the one that the address names, or None.
        announcement: one sentence for screen readers.
    """

    query: PageQuery
    heading: str
    history: tuple[ShownItem, ...] = ()
    in_history: frozenset[str] = frozenset()
    removed: tuple[ShownItem, ...] = ()
    cards: tuple[Card, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    starters: tuple[ShownItem, ...] = ()
    users: tuple[str, ...] = ()
    similar: SimilarItems | None = None
    announcement: str = ""


def home_view(snapshot: Snapshot, query: PageQuery) -> HomeView:
    """What the first page shows for an address; a mistake in it is shown on the page."""
    notes: list[str] = []
    similar = _similar(snapshot, query.similar, notes)
    start = HomeView(query, "What goes with what you like?", starters=_starters(snapshot), similar=similar)
    if query.is_empty:
        return replace(start, users=_some_users(snapshot), notes=tuple(notes))
    try:
        subject = subject_of(snapshot, query)
    except UnknownUserError as error:
        text = f"{_sentence(str(error))} Ids are those of the data that the model learned from."
        return replace(start, heading="No such user", users=_some_users(snapshot), error=text, announcement=text)
    history = tuple(shown_item(snapshot.names, index) for index in subject.order)
    removed = snapshot.names.item_ids.encode(query.removed).tolist()
    view = replace(
        start,
        heading=_heading(query, subject),
        history=history,
        in_history=frozenset(item.id for item in history),
        removed=tuple(shown_item(snapshot.names, index) for index in removed if index >= 0),
    )
    notes += [f"No item {item} is in this model; it was left out." for item in subject.unknown]
    try:
        cards = _cards(snapshot, subject, query.k, notes)
    except RequestError as error:
        text = f"{_sentence(str(error))} The most popular items are below."
        return replace(view, notes=tuple(notes), error=text, announcement=text)
    return replace(view, cards=cards, notes=tuple(notes), announcement=_announcement(cards, len(history)))


def history_ids(snapshot: Snapshot, query: PageQuery) -> frozenset[str]:
    """The ids of the history that an address means; none for an unknown user."""
    try:
        subject = subject_of(snapshot, query)
    except UnknownUserError:
        return frozenset()
    return frozenset(map(str, snapshot.names.item_ids.decode(subject.order)))


def explainable(snapshot: Snapshot, subject: Subject) -> ScoreMap:
    """The sums over the history that the subject's scores are.

    Raises:
        RequestError: the scores are not such sums.
    """
    score_map = snapshot.score_map
    if subject.changed and not score_map.depends_on_history:
        raise RequestError(
            f"`{snapshot.name}` learned its users themselves: a changed history is fitted to it by least squares, and "
            "such scores are not sums over the history"
        )
    return score_map


def _cards(snapshot: Snapshot, subject: Subject, k: int, notes: list[str]) -> tuple[Card, ...]:
    found = recommended(snapshot, subject, k)
    try:
        score_map = explainable(snapshot, subject)
        reasons = without_empty_pieces([reasons_of(snapshot, score_map, subject, item) for item, _ in found])
    except RequestError as error:
        reasons = [None] * len(found)
        notes.append(f"No reasons are shown: {error}.")
    pieces = [
        [score] if why is None else [piece.value for piece in why.segments]
        for (_, score), why in zip(found, reasons, strict=True)
    ]
    scale = BarScale.over(pieces)
    cards = []
    for rank, ((item, score), why) in enumerate(zip(found, reasons, strict=True), start=1):
        split = () if why is None else scale.stacked(why.segments)
        shown = shown_item(snapshot.names, item)
        cards.append(Card(rank, shown, score, scale.bar(score), split, why, scale.zero))
    return tuple(cards)


def _heading(query: PageQuery, subject: Subject) -> str:
    if subject.user is None:
        return "Recommended for this history"
    changed = ", with a changed history" if subject.changed else ""
    return f"Recommended for user\N{NO-BREAK SPACE}{query.user}{changed}"


def _announcement(cards: tuple[Card, ...], n_items: int) -> str:
    if not cards:
        return "No item is left to recommend."
    first = f"the first is {cards[0].item.title}"
    return f"{_count(len(cards), 'recommendation')} for a history of {_count(n_items, 'item')}; {first}."


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _similar(snapshot: Snapshot, item: str | None, notes: list[str]) -> SimilarItems | None:
    """The items similar to one, by their vectors or, if the model has none, by the users that they share."""
    if item is None:
        return None
    index = snapshot.names.item_ids.encode_one(item)
    if index == UNKNOWN:
        notes.append(f"No item {item} is in this model, so nothing is similar to it.")
        return None
    by = "cosine"
    try:
        frame = snapshot.similar_items(item, N_SIMILAR, by=by)
    except RequestError:
        by = "history"
        frame = snapshot.similar_items(item, N_SIMILAR, by=by)
    rows = tuple(Near(shown_row(row), row["score"]) for row in frame.iter_rows(named=True))
    return SimilarItems(shown_item(snapshot.names, index), by, rows)


def _starters(snapshot: Snapshot) -> tuple[ShownItem, ...]:
    return tuple(shown_row(row) for row in snapshot.popular(N_STARTERS).iter_rows(named=True))


def _some_users(snapshot: Snapshot) -> tuple[str, ...]:
    """The first few users whose history has the median length."""
    lengths = snapshot.histories.lengths
    if not len(lengths) or not int(lengths.max()):
        return ()
    median = lengths[lengths > 0].median()
    indices = (lengths == median).nonzero().flatten()[:N_USERS_NAMED].tolist()
    return tuple(map(str, snapshot.names.user_ids.decode(indices)))

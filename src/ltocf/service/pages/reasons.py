"""Why an item has its score, as bars and rows: every number of an explanation, and their sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ltocf.models import Contributions, ScoreMap
from ltocf.service.pages.items import ShownItem, shown_item
from ltocf.service.pages.scale import N_COLORS, Segment
from ltocf.service.pages.subject import Subject
from ltocf.serving import Snapshot

N_STRONGEST = 3
N_ROWS = 6
NEGLIGIBLE = 1e-6
"""Share of the largest piece below which a piece is rounding."""


@dataclass(frozen=True)
class Reason:
    """What one item of the history adds, and its share, in percent, of the sum of all positive contributions."""

    item: ShownItem
    value: float
    percent: float


@dataclass(frozen=True)
class Reasons:
    """A score, taken apart twice: by time and by item. Both sum to ``score``.

    Args:
        score: the sum.
        segments: popularity, the user's own, and the history by state.
        strongest: the items that add most, none of which lowers the score.
        rows: the first items, the one that adds most first.
        n_others: the number of the other items.
        others: what the other items add together.
        own: what the user's own embedding adds, None for somebody who was not in training.
        popularity: what the item's popularity adds.
    """

    score: float
    segments: tuple[Segment, ...]
    strongest: tuple[Reason, ...]
    rows: tuple[Reason, ...]
    n_others: int
    others: float
    own: float | None
    popularity: float


def reasons_of(snapshot: Snapshot, score_map: ScoreMap, subject: Subject, item: int) -> Reasons:
    """Why ``item``, an index, has its score for the subject."""
    contributions = score_map.contributions(subject.history, item, subject.user)
    by_item = contributions.history.sum(0).tolist()
    order = sorted(range(len(by_item)), key=lambda place: -by_item[place])
    raised = sum((value for value in by_item if value > 0), 0.0)
    touched = subject.history.items.tolist()

    def reason(place: int) -> Reason:
        value = by_item[place]
        percent = 100 * value / raised if raised > 0 and value > 0 else 0.0
        return Reason(shown_item(snapshot.names, touched[place]), value, percent)

    rows = tuple(map(reason, order[:N_ROWS]))
    own, popularity = contributions.own.item(), contributions.popularity.item()
    return Reasons(
        score=sum(by_item, 0.0) + own + popularity,
        segments=_segments(contributions, score_map.part_names, subject.user is not None),
        strongest=tuple(row for row in rows[:N_STRONGEST] if row.value > 0),
        rows=rows,
        n_others=len(order) - len(rows),
        others=sum((by_item[place] for place in order[N_ROWS:]), 0.0),
        own=None if subject.user is None else own,
        popularity=popularity,
    )


def without_empty_pieces(cards: Sequence[Reasons]) -> list[Reasons | None]:
    """The cards without pieces that add nothing to a score, such as the state at t = 0, which no neighbour reaches."""
    sizes: dict[str, float] = {}
    for reasons in cards:
        for piece in reasons.segments:
            sizes[piece.name] = max(sizes.get(piece.name, 0.0), abs(piece.value))
    kept = {name for name, size in sizes.items() if size > NEGLIGIBLE * max(sizes.values())}
    return [
        replace(reasons, segments=tuple(piece for piece in reasons.segments if piece.name in kept)) for reasons in cards
    ]


def _segments(contributions: Contributions, names: tuple[str, ...], has_own: bool) -> tuple[Segment, ...]:
    sums = contributions.history.double().sum(1).tolist()
    if len(sums) == 1:
        names = ("history",)
    elif len(names) != len(sums):
        names = tuple(f"part {number}" for number in range(1, len(sums) + 1))
    pieces = [Segment("popularity", "piece-popularity", contributions.popularity.item())]
    if has_own:
        pieces.append(Segment("the user's own", "piece-own", contributions.own.item()))
    for place, (name, value) in enumerate(zip(names, sums, strict=True)):
        pieces.append(Segment(name, f"piece-{place % N_COLORS}", value))
    return tuple(pieces)

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
    """What one item of the history adds, and its share, in percent, of what the items that add something add."""

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
        rows: the first items by size.
        n_others: the number of the other items.
        others: what those add together.
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


def reasons_of(snapshot: Snapshot, summed: ScoreMap, subject: Subject, item: int) -> Reasons:
    """Why ``item``, an index, has its score for the subject."""
    found = summed.contributions(subject.history, item, subject.user)
    by_item = found.history.sum(0).tolist()
    order = sorted(range(len(by_item)), key=lambda place: -by_item[place])
    raised = sum((value for value in by_item if value > 0), 0.0)
    touched = subject.history.items.tolist()

    def reason(place: int) -> Reason:
        value = by_item[place]
        percent = 100 * value / raised if raised > 0 and value > 0 else 0.0
        return Reason(shown_item(snapshot.names, touched[place]), value, percent)

    rows = tuple(map(reason, order[:N_ROWS]))
    own, popularity = found.own.item(), found.popularity.item()
    return Reasons(
        score=sum(by_item, 0.0) + own + popularity,
        segments=_segments(found, summed.part_names, subject.user is not None),
        strongest=tuple(one for one in rows[:N_STRONGEST] if one.value > 0),
        rows=rows,
        n_others=len(order) - len(rows),
        others=sum((by_item[place] for place in order[N_ROWS:]), 0.0),
        own=None if subject.user is None else own,
        popularity=popularity,
    )


def without_empty_pieces(cards: Sequence[Reasons]) -> list[Reasons | None]:
    """The same without pieces that add nothing to any score, such as the state at t = 0, which no neighbour reaches."""
    sizes: dict[str, float] = {}
    for reasons in cards:
        for piece in reasons.segments:
            sizes[piece.name] = max(sizes.get(piece.name, 0.0), abs(piece.value))
    kept = {name for name, size in sizes.items() if size > NEGLIGIBLE * max(sizes.values())}
    return [replace(one, segments=tuple(p for p in one.segments if p.name in kept)) for one in cards]


def _segments(found: Contributions, names: tuple[str, ...], has_own: bool) -> tuple[Segment, ...]:
    sums = found.history.double().sum(1).tolist()
    named = names if len(names) == len(sums) > 1 else tuple(f"part {place + 1}" for place in range(len(sums)))
    named = ("history",) if len(sums) == 1 else named
    pieces = [Segment("popularity", "piece-popularity", found.popularity.item())]
    if has_own:
        pieces.append(Segment("the user's own", "piece-own", found.own.item()))
    for place, (name, value) in enumerate(zip(named, sums, strict=True)):
        pieces.append(Segment(name, f"piece-{place % N_COLORS}", value))
    return tuple(pieces)

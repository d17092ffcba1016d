"""The address of the page, which holds all of its state: whom to recommend to, what to search, what to open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

USUAL_CARDS = 12
LARGEST_CARDS = 60
LONGEST_SEARCH = 200
LONGEST_HISTORY = 500


class AddressError(ValueError):
    """An address that has no meaning."""


@dataclass(frozen=True)
class PageQuery:
    """The address of the page, taken apart; ids are texts, as people type and share them.

    Args:
        run: the name of the run that answers, empty for the first.
        user: a user of training, or None.
        added: items of the history, or items that are added to the user's history, the oldest first.
        removed: items that are taken out of the user's history.
        search: what was typed to find items.
        similar: the item whose similar items are shown, or None.
        k: number of recommendations, in 1..60.

    Raises:
        AddressError: ``k`` out of range, or a search or a history that is too long.

    Example:
        >>> query = PageQuery(added=("12",), search="heat")
        >>> query.with_item("99").address()
        './?item=12&item=99&q=heat'
        >>> query.without_item("12").address("model")
        'model?q=heat'
    """

    run: str = ""
    user: str | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    search: str = ""
    similar: str | None = None
    k: int = USUAL_CARDS

    def __post_init__(self) -> None:
        if not 1 <= self.k <= LARGEST_CARDS:
            raise AddressError(f"`k` must be in 1..{LARGEST_CARDS}, got {self.k}; leave it out for {USUAL_CARDS}")
        if len(self.search) > LONGEST_SEARCH:
            n_letters = len(self.search)
            raise AddressError(
                f"`q` must have at most {LONGEST_SEARCH} letters, got {n_letters}; search for a part of it"
            )
        if (n_items := len(self.added) + len(self.removed)) > LONGEST_HISTORY:
            raise AddressError(
                f"the address must name at most {LONGEST_HISTORY} items, got {n_items}; POST /v1/recommend"
            )

    @classmethod
    def of(cls, fields: Sequence[tuple[str, str]]) -> PageQuery:
        """The query with the fields of an address or a form; empty and unknown fields are ignored.

        Example:
            >>> PageQuery.of([("item", "12"), ("item", "99"), ("without", "5"), ("q", " heat "), ("user", "")])
            PageQuery(run='', user=None, added=('12', '99'), removed=(), search='heat', similar=None, k=12)
        """
        single = {name: value.strip() for name, value in fields}
        added, removed = (
            tuple(dict.fromkeys(value for name, value in fields if name == repeated and value))
            for repeated in ("item", "without")
        )
        user, k = single.get("user") or None, single.get("k") or str(USUAL_CARDS)
        if not (k.isascii() and k.isdecimal() and len(k) < 10):
            raise AddressError(f"`k` must be a whole number in 1..{LARGEST_CARDS}, got {k!r}")
        removed = () if user is None else tuple(item for item in removed if item not in added)
        run, search, similar = single.get("run", ""), single.get("q", ""), single.get("similar") or None
        return cls(run, user, added, removed, search, similar, int(k))

    @property
    def is_empty(self) -> bool:
        """Whether there is nobody to recommend to."""
        return self.user is None and not self.added

    def with_item(self, item: str) -> PageQuery:
        """The same with one more item in the history; an item that was taken out comes back."""
        if item in self.removed:
            return replace(self, removed=_without(self.removed, item))
        return self if item in self.added else replace(self, added=(*self.added, item))

    def without_item(self, item: str) -> PageQuery:
        """The same without an item: an added one is dropped, one of the user's own history is taken out."""
        if item in self.added:
            return replace(self, added=_without(self.added, item))
        if self.user is None or item in self.removed:
            return self
        return replace(self, removed=(*self.removed, item))

    def similar_to(self, item: str | None) -> PageQuery:
        """The same, showing the items that are similar to one, or None."""
        return replace(self, similar=item)

    def on_run(self, run: str) -> PageQuery:
        """The same, answered by another run."""
        return replace(self, run=run)

    def for_user(self, user: str) -> PageQuery:
        """The page of a user, answered by the same run."""
        return PageQuery(self.run, user)

    def as_trained(self) -> PageQuery:
        """The same user with the history of training."""
        return replace(self, added=(), removed=())

    def cleared(self) -> PageQuery:
        """Nobody to recommend to, but the same search."""
        return PageQuery(self.run, search=self.search)

    def building(self) -> PageQuery:
        """The same search and length without a user and items, to pick items where those were unknown."""
        return PageQuery(self.run, search=self.search, k=self.k)

    def more(self) -> PageQuery | None:
        """The same with twice as many recommendations, or None at the limit."""
        return None if self.k >= LARGEST_CARDS else replace(self, k=min(2 * self.k, LARGEST_CARDS))

    def person(self) -> PageQuery:
        """Only whom to recommend to: run, user and history."""
        return PageQuery(self.run, self.user, self.added, self.removed)

    def fields(self, *left_out: str) -> list[tuple[str, str]]:
        """Names and values as an address has them, without what is at its default; a form keeps them hidden."""
        pairs: list[tuple[str, str | None]] = [("run", self.run or None), ("user", self.user)]
        pairs += [("item", item) for item in self.added] + [("without", item) for item in self.removed]
        pairs += [("q", self.search or None), ("similar", self.similar)]
        pairs += [("k", None if self.k == USUAL_CARDS else str(self.k))]
        return [(name, value) for name, value in pairs if value is not None and name not in left_out]

    def address(self, path: str = "./") -> str:
        """The address, relative to the page: the application may be mounted anywhere."""
        fields = urlencode(self.fields())
        return f"{path}?{fields}" if fields else path


def _without(items: Iterable[str], item: str) -> tuple[str, ...]:
    return tuple(other for other in items if other != item)

"""Items as a page shows them: an id and a title."""

from __future__ import annotations

from dataclasses import dataclass

from ltocf.data.names import Names


@dataclass(frozen=True)
class ShownItem:
    """An item's id and title, as text, whatever is in them."""

    id: str
    title: str


def shown_item(names: Names, index: int) -> ShownItem:
    """The item of an index; without a title, or with an empty one, its title is its id.

    Example:
        >>> from ltocf.data import IdMap
        >>> names = Names(IdMap(["a"]), IdMap([7, 9]), ("Heat", " "))
        >>> shown_item(names, 0).title, shown_item(names, 1).title
        ('Heat', '9')
    """
    item = str(names.item_ids.ids[index])
    title = "" if names.titles is None else _visible(names.titles[index])
    return ShownItem(item, title or item)


def shown_row(row: dict[str, object]) -> ShownItem:
    """The item of a row of a list, which has the columns item and, if there are any, title."""
    item = str(row["item"])
    return ShownItem(item, _visible(str(row.get("title", ""))) or item)


def _visible(title: str) -> str:
    """A title on one line; empty if none of its characters is visible."""
    return " ".join(title.split()) if any(letter.isprintable() and not letter.isspace() for letter in title) else ""

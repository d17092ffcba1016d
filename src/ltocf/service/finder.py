"""Items by what a person types: titles and ids that begin with it first, the most popular first among equals."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator

import torch

from ltocf.data.ids import UNKNOWN
from ltocf.serving import Snapshot

BEFORE_TITLE, BEFORE_ID = "\n", "\x1f"
"""What precedes each title and each id in the text that is searched; neither occurs in a `folded` text."""


class Finder:
    """All titles and ids as one text, the most popular item first, so that the first match is the best of its kind.

    Args:
        snapshot: whose items are found.

    Example:
        >>> from ltocf.data import Interactions, Names
        >>> from ltocf.data.ids import IdMap
        >>> from ltocf.graph import BipartiteGraph
        >>> from ltocf.models import LightGCN
        >>> log = Interactions.from_pairs([0, 0, 1], [1, 0, 1])
        >>> names = Names(IdMap.identity(2), IdMap(["b1", "b2"]), ("Le fabuleux Amélie", "Amen"))
        >>> model = LightGCN(BipartiteGraph.from_interactions(log), dim=2)
        >>> finder = Finder(Snapshot.of("lightgcn", model, log, names))
        >>> finder.find("ame", 5), finder.find("ELIE", 5), finder.find("b", 5), finder.find("zz", 5)
        ([1, 0], [0], [1, 0], [])
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.names = snapshot.names
        titles, ids = self.names.titles, self.names.item_ids.ids.to_list()
        self.items: list[int] = torch.argsort(snapshot.counts, descending=True, stable=True).tolist()
        texts = [
            f"{BEFORE_TITLE}{'' if titles is None else folded(titles[item])}{BEFORE_ID}{folded(str(ids[item]))}"
            for item in self.items
        ]
        self.starts = [0]
        for text in texts:
            self.starts.append(self.starts[-1] + len(text))
        self.text = "".join(texts)

    def find(self, typed: str, n: int) -> list[int]:
        """Indices of at most ``n`` items: of this id, then with titles, ids or words that begin so, then all others.

        An empty text finds the most popular items.
        """
        wanted = folded(typed).strip()
        if not wanted:
            return self.items[:n]
        found: dict[int, None] = {}
        exact = self.names.item_ids.encode_one(typed.strip())
        if exact != UNKNOWN:
            found[exact] = None
        if wanted in self.text:
            for before in (BEFORE_TITLE, BEFORE_ID, " ", ""):
                for item in self._matches(before + wanted):
                    if len(found) >= n:
                        return list(found)[:n]
                    found[item] = None
        return list(found)[:n]

    def _matches(self, pattern: str) -> Iterator[int]:
        """The items whose text has the pattern, each once."""
        position = self.text.find(pattern)
        while position >= 0:
            entry = bisect_right(self.starts, position) - 1
            yield self.items[entry]
            position = self.text.find(pattern, self.starts[entry + 1])


def folded(text: str) -> str:
    """A text without case, accents and control characters, as texts are compared.

    Example:
        >>> folded("Amélie\\n(2001)"), folded("STRASSE") == folded("Straße")
        ('amelie (2001)', True)
    """
    if text.isascii() and text.isprintable():
        return text.lower()
    letters = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letter if letter.isprintable() else " " for letter in kept)

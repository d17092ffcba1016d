"""Items by what somebody types: a part of the title or of the id."""

from __future__ import annotations

import polars as pl

from ltocf.data.names import Names
from ltocf.serving import Snapshot


class ItemSearch:
    """Finds items of one snapshot; those whose title begins with the text come first, then the popular ones."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.counts = pl.Series(snapshot.counts.numpy())
        self.texts = _texts(snapshot.names)

    def find(self, text: str, n: int) -> list[int]:
        """Indices of at most ``n`` items that have every word of the text."""
        words = text.casefold().split()
        if not words:
            return []
        found = pl.DataFrame({"text": self.texts, "count": self.counts}).with_row_index()
        for word in words:
            found = found.filter(pl.col("text").str.contains(word, literal=True))
        first = pl.col("text").str.starts_with(words[0])
        order = found.with_columns(first.alias("first")).sort("first", "count", descending=True, maintain_order=True)
        return [int(index) for index in order["index"].head(n)]


def _texts(names: Names) -> pl.Series:
    ids = names.item_ids.ids.cast(pl.String)
    if names.titles is None:
        return ids.str.to_lowercase()
    titles = pl.Series([title.casefold() for title in names.titles], dtype=pl.String)
    return titles + "\n" + ids.str.to_lowercase()

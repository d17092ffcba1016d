"""Why an item has its score for a user: a sum over the user's history."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ltocf.data.display import Shown
from ltocf.data.names import Names
from ltocf.models import Contributions
from ltocf.serving.lists import Id, item_frame


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Shown):
    """A score, taken apart: ``score`` = ``own`` + ``popularity`` + the sum of ``history["contribution"]``.

    Args:
        user: the user's id.
        item: the item's id.
        score: the score of the item for the user.
        own: what the user's own embedding adds, which no item of the history explains.
        popularity: what the item's popularity adds.
        history: a row for each item of the user's history, the one that adds most first: columns item, contribution
            and, if there are any, title; for a model of several parts, such as the states of an ODE, also part_1,
            part_2, ..., which sum to the contribution.
    """

    user: Id
    item: Id
    score: float
    own: float
    popularity: float
    history: pl.DataFrame

    @classmethod
    def of(cls, names: Names, user: int, item: int, contributions: Contributions, touched: list[int]) -> Explanation:
        """The explanation in the caller's ids; all arguments are indices."""
        parts = contributions.history.double().cpu()
        frame = item_frame(names, pl.Series(touched, dtype=pl.Int64).to_numpy())
        frame = frame.insert_column(1, pl.Series("contribution", parts.sum(0).numpy()))
        if len(parts) > 1:
            frame = frame.hstack([pl.Series(f"part_{p}", part.numpy()) for p, part in enumerate(parts, start=1)])
        own, popularity = contributions.own.item(), contributions.popularity.item()
        return cls(
            names.user_ids.decode([user])[0],
            names.item_ids.decode([item])[0],
            parts.sum().item() + own + popularity,
            own,
            popularity,
            frame.sort("contribution", descending=True, maintain_order=True),
        )

    def facts(self) -> dict[str, object]:
        shares = {"score": self.score, "own": self.own, "popularity": self.popularity}
        return {"user": self.user, "item": self.item} | {name: round(value, 4) for name, value in shares.items()}

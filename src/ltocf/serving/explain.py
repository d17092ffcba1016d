"""Why an item has its score for a user: a sum over the user's history."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl

from ltocf.data.display import Shown
from ltocf.data.names import Names
from ltocf.models import Contributions
from ltocf.serving.lists import Id, item_columns


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Shown):
    """A score, taken apart: ``score`` = ``own`` + ``popularity`` + the sum of ``history["contribution"]``.

    Args:
        user: the user's id; None for somebody who was not in training.
        item: the item's id.
        score: the score of the item for the user.
        own: what the user's own embedding adds, which no item of the history explains.
        popularity: what the item's popularity adds.
        history: a row for each item of the user's history, the one that adds most first: columns item, contribution
            and, if there are any, title; for a model of several parts, such as the states of an ODE, also part_1,
            part_2, ..., which sum to the contribution.
        title: title of the item, if there is one.
        part_names: what part_1, part_2, ... are, such as ``t = 0.00``: the times of the states.
    """

    user: Id
    item: Id
    score: float
    own: float
    popularity: float
    history: pl.DataFrame
    title: str | None = None
    part_names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        names: Names,
        user: int | None,
        item: int,
        contributions: Contributions,
        touched: list[int],
        part_names: tuple[str, ...] = (),
    ) -> Explanation:
        """The explanation in the caller's ids; all arguments but the last are indices."""
        parts = contributions.history.double().cpu()
        columns = item_columns(names, np.array(touched, np.int64))
        added = {"item": columns.pop("item"), "contribution": parts.sum(0).numpy()}
        if len(parts) > 1:
            columns |= {f"part_{p}": pl.Series(part.numpy()) for p, part in enumerate(parts, start=1)}
        frame = pl.DataFrame(added | columns)
        own, popularity = contributions.own.item(), contributions.popularity.item()
        return cls(
            None if user is None else names.user_ids.decode([user])[0],
            names.item_ids.decode([item])[0],
            parts.sum().item() + own + popularity,
            own,
            popularity,
            frame.sort("contribution", descending=True, maintain_order=True),
            None if names.titles is None else names.titles[item],
            part_names if len(parts) > 1 else (),
        )

    def facts(self) -> dict[str, object]:
        shares = {"score": self.score, "own": self.own, "popularity": self.popularity}
        return {"user": self.user, "item": self.item} | {name: round(value, 4) for name, value in shares.items()}

    def sentence(self, n: int = 3) -> str:
        """The ``n`` items that add most, in words; an item that lowers the score is not a reason.

        Raises:
            ValueError: ``n`` < 1.

        Example:
            >>> titles = {"item": [1, 2, 3], "title": ["Ran", "Up", "M"]}
            >>> history = pl.DataFrame(titles | {"contribution": [0.5, 0.2, -0.1]})
            >>> Explanation("ann", 7, 0.6, 0.0, 0.0, history, "Heat").sentence()
            'Heat, because of Ran and Up'
        """
        if n < 1:
            raise ValueError(f"`n` must be >= 1, got {n}")
        reasons = self.history.filter(pl.col("contribution") > 0).head(n)
        *first, last = map(str, reasons[_name_column(reasons)]) if len(reasons) else [self._other_reason()]
        because = f"{', '.join(first)} and {last}" if first else last
        return f"{self.item if self.title is None else self.title}, because of {because}"

    def _other_reason(self) -> str:
        return "its popularity" if self.popularity > self.own else "what the model learned about the user"

    def columns_of_parts(self) -> dict[str, str]:
        """A readable name for each column part_1, part_2, ..."""
        names = {f"part_{place}": name for place, name in enumerate(self.part_names, start=1)}
        return names if len(set(names.values())) == len(names) else {part: part for part in names}

    def parts(self) -> pl.DataFrame:
        """What each part of the model adds over the whole history: columns part and contribution, or no row."""
        columns = [name for name in self.history.columns if name.startswith("part_")]
        names = self.part_names or tuple(columns)
        sums = [float(self.history[column].sum()) for column in columns]
        return pl.DataFrame(
            {"part": names, "contribution": sums}, schema={"part": pl.String, "contribution": pl.Float64}
        )

    def bars(self, n: int = 10) -> dict[str, float]:
        """The bars of a chart, by name: the ``n`` items that change the score most, the others, own and popularity.

        The numbers sum to the score.
        """
        by_size = self.history.sort(pl.col("contribution").abs(), descending=True, maintain_order=True)
        shown, rest = by_size.head(n).sort("contribution", descending=True, maintain_order=True), by_size[n:]
        found: dict[str, float] = {}
        for name, item, added in zip(shown[_name_column(shown)], shown["item"], shown["contribution"], strict=True):
            found[str(name) if str(name) not in found else f"{name} [{item}]"] = added
        if len(rest):
            found[f"{len(rest)} other items"] = float(rest["contribution"].sum())
        return found | {"the user's own": self.own, "popularity": self.popularity}

    def draw(self, path: str | Path, n: int = 10) -> None:
        """Draw what the ``n`` largest items of the history, the user's own share and popularity add, as bars.

        Args:
            path: an .svg, .png or .pdf file.
            n: items shown by themselves; the others are one bar.

        Raises:
            ImportError: the ``plots`` extra is not installed.
        """
        # Not imported above: drawing belongs to reports, a layer above this one.
        import_module("ltocf.report.explanation").draw_explanation(self, Path(path), n)


def _name_column(frame: pl.DataFrame) -> str:
    return "title" if "title" in frame.columns else "item"

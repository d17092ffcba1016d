"""The weighted sum of `Blend` for any histories, with the contribution of each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.models.user_map import Contributions, ScoreMap
from ltocf.shapes import Scores, UserIndices
from ltocf.training.ensemble import spreads


def blended(scores: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Σ_m w_m s_m / sd_m, sd_m the standard deviation of each row.

    Example:
        >>> blended([torch.tensor([[0.0, 2.0]]), torch.tensor([[30.0, 10.0]])], [0.75, 0.25]).tolist()
        [[0.75, 1.75]]
    """
    first, *others = (weight / spreads(each) * each for each, weight in zip(scores, weights, strict=True))
    return sum((other.to(first) for other in others), first)


@dataclass(frozen=True, eq=False, repr=False)
class BlendMap(Shown):
    """A `ScoreMap` that is a weighted sum of others.

    Args:
        names: names of the members.
        maps: their score maps.
        weights: their weights.
    """

    names: Sequence[str]
    maps: Sequence[ScoreMap]
    weights: Sequence[float]

    def facts(self) -> dict[str, object]:
        return {"members": ", ".join(self.names)}

    @property
    def depends_on_history(self) -> bool:
        """Whether all members do: otherwise only some of them could score new users."""
        return all(each.depends_on_history for each in self.maps)

    @property
    def part_names(self) -> tuple[str, ...]:
        """The parts of all members, each with the name of its member."""
        return tuple(
            f"{name}: {part}" if part else name
            for name, each in zip(self.names, self.maps, strict=True)
            for part in (each.part_names or ("",))
        )

    def scores(self, histories: Histories, users: UserIndices | None = None) -> Scores:
        """Score of every item for each history; see `ScoreMap`."""
        return blended([each.scores(histories, users) for each in self.maps], self.weights)

    def contributions(self, history: Histories, item: int, user: int | None = None) -> Contributions:
        """What each item of one history adds to the score of ``item``; see `ScoreMap`."""
        users = None if user is None else torch.tensor([user])
        scaled = []
        for each, weight in zip(self.maps, self.weights, strict=True):
            scale = weight / spreads(each.scores(history, users))[0, 0]
            scaled.append([scale * part for part in each.contributions(history, item, user)])
        history_parts, own, popularity = zip(*scaled, strict=True)
        return Contributions(torch.cat(history_parts), torch.stack(own).sum(), torch.stack(popularity).sum())

"""Recency of a trained embedding model: how much recent items of a history count is chosen by rescoring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from ltocf.data.histories import Histories
from ltocf.models.ranking import RECENCY_START, Ranking, Rescoring
from ltocf.models.recency import Recency, Unit, best_recency, log_trend
from ltocf.models.user_map import UserMap
from ltocf.shapes import ItemEmbeddings, ItemValues, ScoredUsers, UserIndices
from ltocf.training import FitContext

RECENCY_STEPS = {"power": 0.15, "own_weight": -0.25, "trend": 0.4}
"""The first step to try of each number of recency."""


class HistoryRescoring(Rescoring):
    """A `Rescoring` that recomputes users from their histories, to search the numbers of recency too.

        F_u = ω own[u] + Σ_j (1 + age_uj)^-p w_uj touch[j],   relative to the mean over the history; see `UserMap`

    e log T_i, the trend of an item, is added to its scores; see `log_trend`. Only the requested users are computed.

    Args:
        linear: the map of the trained model.
        histories: histories of all training users, with the ages of their items.
        items: final embeddings of the items.
        log_degrees: logarithms of the items' degrees.
        ranking: the ranking at which the search starts.
        steps: first steps of the numbers of `STEPS` that are searched too.
    """

    def __init__(
        self,
        linear: UserMap,
        histories: Histories,
        items: ItemEmbeddings,
        log_degrees: ItemValues,
        ranking: Ranking,
        steps: Mapping[str, float],
    ) -> None:
        super().__init__(linear.vectors(histories, torch.arange(len(histories))), items, log_degrees, ranking, steps)
        # Without self-loops the weights are the same for all parts, which can then be summed beforehand.
        touch = linear.touch if linear.self_loops else linear.touch.sum(0, keepdim=True)
        self.linear, self.histories = replace(linear, touch=touch), histories
        recency = linear.recency or Recency(RECENCY_START["power"])
        self.unit, self.steps = recency.unit, self.steps | RECENCY_STEPS
        numbers = [recency.power, linear.own_weight, recency.trend]
        self.numbers = torch.cat([self.numbers, self.numbers.new_tensor(numbers)])
        self._known_trend: tuple[Unit, ItemValues] | None = None

    def begin(self, value: Callable[[], float], context: FitContext) -> None:
        """Try a few recencies first, because the search that follows stays near its start."""
        power, trend = ([*self.steps].index(name) for name in ("power", "trend"))

        def use(recency: Recency) -> None:
            self.numbers[power], self.unit, self.numbers[trend] = recency

        def value_of(recency: Recency) -> float:
            use(recency)
            return value()

        best, searches_trend = best_recency(value_of, self.histories.days is not None, context)
        use(best)
        self.steps["trend"] *= searches_trend

    def learned(self) -> dict[str, float]:
        numbers = super().learned()
        return numbers | {name: max(0.0, numbers[name]) for name in RECENCY_STEPS}

    def vectors(self, users: UserIndices) -> ScoredUsers:
        numbers = self.learned()
        recency = Recency(numbers["power"], self.unit)
        aged = replace(self.linear, recency=recency, own_weight=numbers["own_weight"])
        return aged.vectors(self.histories.rows(users), users)

    def _lengths_and_bias(self) -> tuple[ItemValues, ItemValues]:
        numbers = self.learned()
        lengths, bias = super()._lengths_and_bias()
        if not numbers["trend"]:
            return lengths, bias
        if self._known_trend is None or self._known_trend[0] != self.unit:
            self._known_trend = self.unit, log_trend(self.histories, self.unit).to(bias)
        return lengths, bias + numbers["trend"] * self._known_trend[1]

"""Models that multiply a history by a matrix over the items: every score is a sum over the history."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.graph import BipartiteGraph
from ltocf.models.base import Recommender
from ltocf.models.drift import Drift
from ltocf.models.recency import UNITS, Recency, Unit, best_recency, check_recency, log_trend
from ltocf.models.user_map import Contributions, PartContributions, only_row
from ltocf.shapes import ItemValues, Numbers, Scores, UserIndices
from ltocf.training import FitContext, FitResult

EntryIndices: TypeAlias = Int64[Tensor, " entries"]
Validate: TypeAlias = Callable[[], dict[str, float]]
EntryValues: TypeAlias = Float[Tensor, " entries"]


class Entries(NamedTuple):
    """Histories as the entries of a sparse matrix, row by row."""

    n_rows: int
    rows: EntryIndices
    items: EntryIndices
    values: EntryValues


class HistoryRecommender(Recommender):
    """A model that multiplies a history by a matrix over the items, or by the sum of several.

        score(u, i) = T_i^e Σ_p Σ_{j in history(u)} r̃_uj r_uj K_p[j, i]

    r_uj is the weight of the pair, relative to the mean, r̃_uj that of its age, see `Recency`, and T_i the trend of the
    item, see `log_trend`: both are 1 if ``recency`` is ``off`` or there is no order. No parameter belongs to a user, so
    any history can be scored, and what one of its items adds to a score is one entry of K_p, times its weights and
    T_i^e. A subclass has to define `entry_scores`, and `kernel` for single entries of K_p.

    Args:
        graph: the training graph.
        recency: ``off``: a history is a set; or ``auto``: the power of recency, whether ages are counted in items or
            in days, and the exponent e of the trend are chosen on validation.

    Raises:
        ValueError: an unknown ``recency``.
    """

    uses_weights: ClassVar[bool] = True
    part_names: ClassVar[tuple[str, ...]] = ("similarity",)
    """A name of each K_p to show to people."""
    numbers: Tensor
    """The numbers chosen on validation; the last are those of recency, its power and e, where they are chosen."""
    in_days: Tensor
    searches_trend: bool = True
    """Whether a search of all numbers moves the trend, see `best_recency`."""
    _known_trend: tuple[Unit, float, ItemValues] | None = None

    def __init__(self, graph: BipartiteGraph, recency: str = "off") -> None:
        super().__init__(graph.n_users, graph.n_items)
        check_recency(recency)
        self.graph, self.chooses_recency = graph.weighted(), recency == "auto" and graph.later is not None
        if recency == "auto":
            self.register_buffer("in_days", torch.zeros((), dtype=torch.int64))

    def start_with(self, numbers: Sequence[float]) -> None:
        """Register `numbers`: the given ones and, if they are chosen, those of recency, which start at 0."""
        self.register_buffer("numbers", torch.tensor([*numbers, *[0.0, 0.0] * self.chooses_recency]))

    @property
    def own_numbers(self) -> Numbers:
        """`numbers` without those of recency."""
        return self.numbers[: len(self.numbers) - 2 * self.chooses_recency]

    @property
    def reads_order(self) -> bool:
        return self.chooses_recency

    @property
    def recency(self) -> Recency | None:
        """How the items of a history are weighed by their age; None if it is a set."""
        if not self.chooses_recency:
            return None
        power, trend = self.numbers[-2:].clamp(min=0).tolist()
        return Recency(power, "days" if self.in_days else "items", trend)

    def recency_numbers(self) -> dict[str, float]:
        """The share of recency in `learned`: its power, named after its unit, and the exponent of the trend."""
        if self.recency is None:
            return {}
        return {f"recency_in_{self.recency.unit}": self.recency.power, "trend": self.recency.trend}

    def trend(self) -> ItemValues | None:
        """T_i^e of every item; None if all are 1. Kept until the numbers change."""
        recency = self.recency
        if recency is None or not recency.trend:
            return None
        if self._known_trend is None or self._known_trend[:2] != recency[1:]:
            trend = (recency.trend * log_trend(self.graph.all_histories(), recency.unit)).exp()
            self._known_trend = recency.unit, recency.trend, trend
        return self._known_trend[2].to(self.device)

    def search_after_recency(
        self, validate: Validate, search: Callable[[FitContext], FitResult], context: FitContext
    ) -> FitResult:
        """If recency is chosen, try a few values of it with all other numbers fixed; then search from the best.

        Args:
            validate: metrics of the model with its present numbers.
            search: the search that continues from there.
            context: has the deadline, see `best_recency`. Each evaluation is reported as an epoch.
        """
        if not self.chooses_recency:
            return search(context)
        self.prepare()
        started = time.perf_counter()
        tried = self._try_recency(validate, context)
        seconds = time.perf_counter() - started
        found = search(context.after(tried))
        return found.after(tried, seconds)

    def _try_recency(self, validate: Validate, context: FitContext) -> int:
        """Set the best of a few recencies; returns how many were tried."""
        n_tried = 0

        def value_of(recency: Recency) -> float:
            nonlocal n_tried
            started = time.perf_counter()
            self._set_recency(recency)
            metrics = validate()
            n_tried += 1
            if context.on_epoch is not None:
                seconds = time.perf_counter() - started
                context.on_epoch({"epoch": n_tried, "times": [], **self.learned(), **metrics, "seconds": seconds})
            return metrics[context.select_by]

        best, self.searches_trend = best_recency(value_of, self.graph.days is not None, context)
        self._set_recency(best)
        return n_tried

    def _set_recency(self, recency: Recency) -> None:
        self.numbers[-2:] = torch.tensor([recency.power, recency.trend])
        self.in_days.fill_(UNITS.index(recency.unit))

    @abstractmethod
    def entry_scores(self, entries: Entries) -> Scores:
        """Score of every item for each row, without its trend."""

    def trending_scores(self, entries: Entries) -> Scores:
        """Score of every item for each row."""
        scores, trend = self.entry_scores(entries), self.trend()
        return scores if trend is None else scores * trend

    @abstractmethod
    def kernel(self, items: EntryIndices, target: int) -> PartContributions:
        """K_p[j, target] for each part p and each j of ``items``."""

    def complete_weights(self, arrays: dict[str, np.ndarray], prefix: str) -> None:
        """Earlier files have no exponent of the trend, which is then 0."""
        super().complete_weights(arrays, prefix)
        numbers = arrays.get(prefix + "numbers")
        if self.chooses_recency and numbers is not None and numbers.shape == (len(self.numbers) - 1,):
            arrays[prefix + "numbers"] = np.append(numbers, numbers.dtype.type(0))

    def take_over(self, chosen: Recommender) -> None:
        assert isinstance(chosen, HistoryRecommender)
        self.own_numbers.copy_(chosen.own_numbers)
        if self.chooses_recency and chosen.chooses_recency:
            self.numbers[-2:] = chosen.numbers[-2:]
            self.in_days.copy_(chosen.in_days)

    def extrapolate(self, drift: Drift) -> None:
        if self.chooses_recency and not self.in_days:
            self.numbers[-2:] *= self.numbers.new_tensor(drift)

    def grow_from(self, smaller: Recommender, graph: BipartiteGraph) -> None:
        self.take_over(smaller)
        self.prepare()

    def scorer(self) -> HistoryRecommender:
        """The model itself: there is nothing to compute beforehand."""
        return self

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each requested user, from their training history."""
        return self.trending_scores(self.training_entries(users))

    def history_scores(self, histories: Scores) -> Scores:
        """Score of every item for any histories: rows over the items, 1 where an item was touched and 0 elsewhere."""
        if histories.shape[1] != self.n_items:
            raise ValueError(f"`histories` must have {self.n_items} columns, one per item, got {histories.shape[1]}")
        rows, items = histories.nonzero(as_tuple=True)  # a set: rows of numbers have no order
        return self.trending_scores(Entries(len(histories), rows, items, histories[rows, items].float()))

    def score_map(self) -> HistoryMap:
        """Scores of any histories and what each of their items adds, by the model's present state."""
        return HistoryMap(self)

    def training_entries(self, users: UserIndices) -> Entries:
        """The training histories of users, with the weights of their pairs."""
        entries = self._weighted_entries(users)
        if self.recency is None:
            return entries
        ages = self.graph.ages_of(users.to(self.device), self.recency.unit)
        return entries if ages is None else self._weighed_by_age(entries, ages)

    def _weighted_entries(self, users: UserIndices) -> Entries:
        users = users.to(self.device)
        rows, items = self.graph.items_of(users)
        return Entries(len(users), rows, items, self.graph.weights_of(users))

    def _weighed_by_age(self, entries: Entries, ages: Tensor) -> Entries:
        assert self.recency is not None
        weights = self.recency.weights(ages.to(self.device), entries.rows, entries.n_rows)
        return entries._replace(values=entries.values * weights)

    def entries(self, histories: Histories, users: UserIndices | None = None) -> Entries:
        """The entries of any histories. Training pairs of ``users`` have their training weights, all others 1.

        They are weighed by age if the histories have an order, see `Recency`.
        """
        entries = self._known_weights(histories, users)
        if self.recency is None:
            return entries
        ages = self.recency.ages(histories)
        return entries if ages is None else self._weighed_by_age(entries, ages)

    def _known_weights(self, histories: Histories, users: UserIndices | None) -> Entries:
        items = histories.items.long().to(self.device)
        rows = torch.repeat_interleave(histories.lengths).to(self.device)
        given = Entries(len(histories), rows, items, torch.ones(len(items), device=self.device))
        if users is None or self.graph.relative_weights is None:
            return given
        trained = self._weighted_entries(users)
        keys, known = (part.rows * self.n_items + part.items for part in (given, trained))
        places = torch.searchsorted(known, keys).clamp(max=max(0, len(known) - 1))
        found = known[places] == keys if len(known) else torch.zeros_like(keys, dtype=torch.bool)
        given.values[found] = trained.values[places[found]]
        return given


@dataclass(frozen=True, eq=False, repr=False)
class HistoryMap(Shown):
    """A `ScoreMap` of a model that multiplies histories by a matrix.

    Args:
        model: a model that is ready to score.

    Example:
        >>> from ltocf.data import Interactions
        >>> from ltocf.models import EASE
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 1, 2])
        >>> model = EASE(BipartiteGraph.from_interactions(log))
        >>> model.prepare()
        >>> parts = model.score_map().contributions(Histories.of(log).rows(torch.tensor([0])), item=2, user=0)
        >>> parts.score.allclose(model.scores(torch.tensor([0]))[0, 2])
        True
    """

    model: HistoryRecommender

    def facts(self) -> dict[str, object]:
        return {"model": type(self.model).__name__, "parts": ", ".join(self.part_names)}

    @property
    def depends_on_history(self) -> bool:
        """Whether a new user can be scored: always."""
        return True

    @property
    def part_names(self) -> tuple[str, ...]:
        """What each part of a score is."""
        return self.model.part_names

    def scores(self, histories: Histories, users: UserIndices | None = None) -> Scores:
        """Score of every item for each history; see `ScoreMap`."""
        return self.model.trending_scores(self.model.entries(histories, users))

    def contributions(self, history: Histories, item: int, user: int | None = None) -> Contributions:
        """What each item of one history adds to the score of ``item``; see `ScoreMap`."""
        row = self.model.entries(only_row(history), None if user is None else torch.tensor([user]))
        parts, trend = self.model.kernel(row.items, item), self.model.trend()
        if trend is not None:
            parts = parts * trend[item]
        nothing = parts.new_zeros(())
        return Contributions(parts * row.values, nothing, nothing)

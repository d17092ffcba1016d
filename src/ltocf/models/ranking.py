"""The few numbers of a ranking, and how they are chosen: by rescoring the trained embeddings.

Those of recency are among them: how much more recent items of a history count, and how much a user's own embedding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ltocf.evaluation.top_k import Scorer
from ltocf.evaluation.validation import Validation
from ltocf.graph import products_at
from ltocf.models.core import LARGEST_CORE, log_core_ratio
from ltocf.models.drift import Drift
from ltocf.models.recency import UNITS, Recency, Unit
from ltocf.models.row_products import row_products
from ltocf.shapes import (
    ItemEmbeddings,
    ItemValues,
    ListScores,
    Numbers,
    PerUser,
    RankedItems,
    ScoredUsers,
    Scores,
    UserEmbeddings,
    UserIndices,
)
from ltocf.training import SEARCH_USERS, FitContext, FitResult, Shortlist, search

STEPS = {"popularity": 0.5, "norm": 0.25}
"""The numbers of a ranking by their names, and the first step to try of each."""
RECENCY_START = {"power": 0.0, "own_weight": 1.0, "trend": 0.0}
"""The numbers of recency by their names: a history is a set, and users and items are as trained."""
CORE_START = {"core": 0.0, "held_out": 0.0}
"""What the scores know of the test set by their names, see `ltocf.models.core`: nothing."""
EVALUATIONS = 30
EXPECTED_RANKINGS = 15
"""Choosing the numbers takes as long as ranking the users of the search so often, if time is short; with more time it
tries more. Measured on Gowalla and Yelp2018."""
SHORTEST = 1e-12


class Ranking(NamedTuple):
    """How scores are formed from final embeddings.

        score(u, i) = <F_u, F_i> + β log deg(i)   or, with a temperature,
        score(u, i) = cos(F_u, F_i) / τ · (|F_i| / mean |F|)^c + β log deg(i)

    With c = 0 the first part is the cosine; with c = 1 it orders items as the inner product does.

    Args:
        popularity: β.
        norm: c.
        temperature: τ, None for the inner product.

    Example:
        >>> Ranking(norm=1.0, temperature=1.0).items(torch.tensor([[3.0, 4.0], [15.0, 0.0]])).tolist()
        [[0.30000001192092896, 0.4000000059604645], [1.5, 0.0]]
    """

    popularity: float = 0.0
    norm: float = 0.0
    temperature: float | None = None

    def items(self, items: ItemEmbeddings) -> ItemEmbeddings:
        """The item vectors of the inner product."""
        if self.temperature is None:
            return items
        return normalize(items) * self.lengths(items)[:, None] if self.norm else normalize(items)

    def users(self, users: UserEmbeddings, temperatures: PerUser | None = None) -> UserEmbeddings:
        """The user vectors of the inner product; with ``temperatures`` each user has a τ of their own."""
        if self.temperature is None:
            return users
        return normalize(users) / (self.temperature if temperatures is None else temperatures[:, None])

    def lengths(self, items: ItemEmbeddings) -> ItemValues:
        """The factor by which the norm of each item multiplies its score."""
        lengths = items.norm(dim=1).clamp(min=SHORTEST)
        share: ItemValues = (lengths / lengths.mean()).pow(self.norm)
        return share

    def bias(self, log_degrees: ItemValues) -> ItemValues | None:
        """What popularity adds to the score of each item, None for nothing."""
        return self.popularity * log_degrees if self.popularity else None


class RankingNumbers(nn.Module):
    """Numbers of `STEPS`, `RECENCY_START` and `CORE_START` as part of a model, each saved under its name.

    Args:
        start: the start values of those that the model chooses, by name.

    Example:
        >>> numbers = RankingNumbers({"popularity": 1.0, "norm": 0.0})
        >>> numbers.learned(in_order=False), list(numbers.state_dict())
        ({'popularity': 1.0, 'norm': 0.0}, ['popularity', 'norm'])
    """

    core: Tensor
    held_out: Tensor
    in_days: Tensor
    power: Tensor
    own_weight: Tensor
    trend: Tensor

    def __init__(self, start: Mapping[str, float]) -> None:
        super().__init__()
        self.names = tuple(start)
        for name, value in start.items():
            self.register_buffer(name, torch.tensor(value))
        if "power" in start:
            self.register_buffer("in_days", torch.zeros((), dtype=torch.int64))

    def set(self, numbers: Mapping[str, float], unit: Unit = "items") -> None:
        """Replace the given numbers; ``unit`` is the unit of the power of recency."""
        for name, value in numbers.items():
            getattr(self, name).fill_(value)
        if "power" in self.names:
            self.in_days.fill_(UNITS.index(unit))

    def extrapolate(self, drift: Drift) -> None:
        """Multiply the power and the exponent of the trend, unless ages are counted in days."""
        if not self.in_days:
            self.power.mul_(drift.power)
            self.trend.mul_(drift.trend)

    def expect_core(self, core: int, held_out: float) -> bool:
        """Set what the scores know of the test set; whether they can use it."""
        if "core" not in self.names:
            return False
        self.core.fill_(core)
        self.held_out.fill_(held_out)
        return True

    def check(self) -> None:
        """Raises ValueError for numbers, read from a file, that `core_bias` cannot use."""
        if "core" not in self.names:
            return
        core, held_out = float(self.core), float(self.held_out)
        if not (core.is_integer() and 0 <= core <= LARGEST_CORE):
            raise ValueError(f"`core` must be a whole number in 0..{LARGEST_CORE}, got {core:g}")
        if core and not 0 < held_out < 1:
            raise ValueError(f"`held_out` must be in (0, 1), got {held_out:g}")

    def core_bias(self, log_degrees: ItemValues) -> ItemValues | None:
        """What the rarity of each item adds to its score, see `log_core_ratio`; None for nothing."""
        if "core" not in self.names or not self.core:
            return None
        return log_core_ratio(log_degrees.exp(), int(self.core), float(self.held_out))

    @property
    def recency(self) -> Recency:
        """The chosen recency, if the model chooses it."""
        return Recency(float(self.power), UNITS[int(self.in_days)], float(self.trend))

    def ranking(self, start: Ranking) -> Ranking:
        """``start`` with the chosen numbers in place of its own."""
        return start._replace(**{name: float(getattr(self, name)) for name in self.names if name in STEPS})

    def learned(self, in_order: bool) -> dict[str, float]:
        """Each number by its name; those of recency if there is an order, the power by its unit."""
        numbers = {name: float(getattr(self, name)) for name in self.names if name in STEPS}
        if "core" in self.names and self.core:
            numbers |= {name: float(getattr(self, name)) for name in CORE_START}
        if not in_order:
            return numbers
        numbers[f"recency_in_{self.recency.unit}"] = self.recency.power
        return numbers | {"own_weight": float(self.own_weight), "trend": self.recency.trend}


class Rescoring:
    """Fixed embeddings and the ranking numbers that are searched, see `ltocf.training.simplex`.

    Args:
        users: final embeddings of the users, as `Ranking.users` gives them.
        items: final embeddings of the items.
        log_degrees: logarithms of the items' degrees.
        ranking: the ranking at which the search starts, one of cosines.

    Example:
        >>> items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> rescoring = Rescoring(items[:1], items, torch.tensor([0.0, 1.0]), Ranking(temperature=1.0))
        >>> rescoring.numbers[0] = 3.0
        >>> rescoring.learned(), rescoring.scores(torch.tensor([0])).tolist()
        ({'popularity': 3.0, 'norm': 0.0}, [[1.0, 3.0]])
    """

    scores_are_new = True
    unit: Unit = "items"

    def __init__(
        self,
        users: ScoredUsers,
        items: ItemEmbeddings,
        log_degrees: ItemValues,
        ranking: Ranking,
        steps: Mapping[str, float] = STEPS,
    ) -> None:
        self.users, self.items, self.log_degrees = users, items, log_degrees
        self.directions = items if ranking.temperature is None else normalize(items)
        self.start, self.steps, self.n_items = ranking, dict(steps), len(items)
        self.numbers = torch.tensor([getattr(ranking, name) for name in steps], dtype=torch.float64)
        self._cached: tuple[Ranking, ItemValues, ItemValues] | None = None

    @property
    def search_steps(self) -> Numbers:
        """The first step to try of each number."""
        return torch.tensor([*self.steps.values()], dtype=torch.float64)

    @property
    def device(self) -> torch.device:
        """Where the scores are computed."""
        return self.users.device

    def prepare(self) -> None:
        """Does nothing: the embeddings are ready."""

    def begin(self, value: Callable[[], float], context: FitContext) -> None:
        """Called before the search; does nothing here. ``value`` evaluates the present numbers among all items."""

    def learned(self) -> dict[str, float]:
        """The numbers by their names."""
        return dict(zip(self.steps, self.numbers.tolist(), strict=True))

    def vectors(self, users: UserIndices) -> ScoredUsers:
        """The vectors of users, as `Ranking.users` gives them."""
        return self.users.index_select(0, users.to(self.users.device))

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each requested user."""
        lengths, bias = self._lengths_and_bias()
        return row_products(self.vectors(users), self.directions).mul_(lengths).add_(bias)

    def list_scores(self, users: UserIndices, items: RankedItems) -> ListScores:
        """The scores of the listed items; a missing item, -1, gets the score of item 0."""
        lengths, bias = self._lengths_and_bias()
        items = items.to(self.users.device).clamp(min=0)
        return products_at(items, self.vectors(users), self.directions) * lengths[items] + bias[items]

    def _lengths_and_bias(self) -> tuple[ItemValues, ItemValues]:
        """By item, the factor of the norm and the share of popularity; cached until the numbers change."""
        ranking = self.start._replace(**{name: value for name, value in self.learned().items() if name in STEPS})
        if self._cached is None or self._cached[0] != ranking:
            lengths = torch.ones_like(self.items[:, 0]) if ranking.temperature is None else ranking.lengths(self.items)
            self._cached = ranking, lengths, ranking.popularity * self.log_degrees
        return self._cached[1:]


def leaving_time_to_choose(context: FitContext, validation: Validation) -> FitContext:
    """The same context, with a deadline early enough for `choose_ranking`, at most a quarter of the time left.

    A training that the time limit cuts off loses little; without the chosen numbers, recency above all, a model in
    order on Gowalla loses an eighth of its NDCG.
    """
    n_searched, n_users = (
        int(np.count_nonzero(each.truth.user_degrees)) for each in (validation.of_at_most(SEARCH_USERS), validation)
    )
    needed = context.validation_seconds * (1 + EXPECTED_RANKINGS * n_searched / max(n_users, 1))
    return context.within(context.seconds_left() - min(needed, context.seconds_left() / 4))


def choose_ranking(
    rescoring: Rescoring,
    numbers: RankingNumbers,
    scorer: Callable[[], Scorer],
    validation: Validation,
    trained: FitResult,
    context: FitContext | None,
) -> FitResult:
    """Set ``numbers`` to those that validate best.

    Args:
        rescoring: the trained embeddings.
        numbers: the numbers of the model; they stay unless the search finds better ones.
        scorer: makes a scorer of the model with its present numbers.
        validation: the validation set on which the epoch was chosen.
        trained: how training ended.
        context: has the deadline and the metric; past the deadline the numbers stay.

    Returns:
        ``trained`` with the value of the numbers that were chosen, and with the seconds that choosing took.
    """
    context, sampled = context or FitContext(), validation.of_at_most(SEARCH_USERS)
    if context.is_late():
        return trained
    started = time.perf_counter()
    rescoring.begin(lambda: sampled(rescoring)[context.select_by], context)
    shortlist = Shortlist(rescoring, sampled.truth, sampled.seen, sampled.depth)
    quiet = replace(context, on_epoch=None, description=f"{context.description}: ranking")
    search(rescoring, validate=lambda: sampled(shortlist), evaluations=EVALUATIONS, context=quiet)
    before = {name: number.clone() for name, number in numbers.state_dict().items()}
    numbers.set(rescoring.learned(), rescoring.unit)
    value = validation(scorer())[context.select_by]
    if trained.best_value is not None and value <= trained.best_value:
        # Among all items, those outside the shortlists can undo what was gained within them.
        numbers.load_state_dict(before)
        value = trained.best_value
    return trained._replace(best_value=value, seconds=trained.seconds + time.perf_counter() - started)

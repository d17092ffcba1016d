"""Recency: the items that a user touched last count more, and so do the items that people touch late."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ltocf.data.histories import Histories
from ltocf.shapes import ItemValues
from ltocf.training import FitContext

logger = logging.getLogger(__name__)

Unit: TypeAlias = Literal["items", "days"]
UNITS: tuple[Unit, ...] = ("items", "days")
RECENCIES = ("off", "auto")
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Powers that are tried first, all of them."""
TRENDS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Exponents of the trend that are tried next, upwards while they gain."""
TREND_POWER, PRIOR_USERS = 1.0, 5.0
"""In `log_trend`; an item with few users has hardly any trend."""
EntryWeights: TypeAlias = Float[Tensor, " entries"]
EntryRows: TypeAlias = Int64[Tensor, " entries"]


class Recency(NamedTuple):
    """How the weight of an item in a history falls with its age.

        r̃_uj ∝ (1 + age_uj)^-p,   mean of r̃_u over the history = 1

    The age is the number of the user's items that came later, or the days before the last one; a model that counts in
    days counts items in a history without times. With p = 0 a history is a set. A power law never quite forgets: the
    distant past of a long history still counts.

    Args:
        power: p.
        unit: ``items`` or ``days``.
        trend: e, the exponent by which the trend of an item counts in its scores, see `log_trend`.

    Example:
        >>> Recency(1.0).weights(torch.tensor([1, 0, 0]), torch.tensor([0, 0, 1]), 2)
        tensor([0.6667, 1.3333, 1.0000])
    """

    power: float
    unit: Unit = "items"
    trend: float = 0.0

    def ages(self, histories: Histories) -> Tensor | None:
        """The ages of histories in this unit, or in items without times; None if histories have no order."""
        return histories.later if self.unit == "items" or histories.days is None else histories.days

    def weights(self, ages: Tensor, rows: EntryRows, n_rows: int) -> EntryWeights:
        """r̃ of each entry, given row by row."""
        falling = (1 + ages.float()) ** -self.power
        sums = falling.new_zeros(n_rows).index_add_(0, rows, falling)
        lengths = torch.bincount(rows, minlength=n_rows)
        return falling * (lengths / sums)[rows]


def log_trend(histories: Histories, unit: Unit) -> ItemValues:
    """The logarithm of T, which says how late an item comes in the histories that hold it.

        T_i = (c + Σ_u r̃_ui) / (c + d_i),   r̃ with p = 1, c = 5

    d_i is the number of histories with item i. T is about 1 for an item that is touched early as often as late. It does
    not depend on the power that suits the histories, so that either can be chosen without the other.

    Raises:
        ValueError: the histories have no order.

    Example:
        >>> from ltocf.data import Interactions
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 2, 1, 2], timestamps=[1, 2, 1, 2])
        >>> log_trend(Histories.of(log), "items").exp()
        tensor([0.9444, 0.9444, 1.0952])
    """
    recency = Recency(TREND_POWER, unit)
    ages = recency.ages(histories)
    if ages is None:
        raise ValueError("`histories` must have an order, got sets")
    rows, items = torch.repeat_interleave(histories.lengths), histories.items.long()
    weights = recency.weights(ages, rows, len(histories)).double()
    late, degrees = (
        torch.bincount(items, counted, histories.n_items) for counted in (weights, torch.ones_like(weights))
    )
    return ((PRIOR_USERS + late) / (PRIOR_USERS + degrees)).log().float()


def best_recency(value: Callable[[Recency], float], has_days: bool, context: FitContext) -> tuple[Recency, bool]:
    """The best of a few powers in each known unit, and then of a few exponents of the trend.

    Returns also whether a search may gain by the trend: one gained here, or there was no time to try any.

    Args:
        value: value of the model with a recency and all other numbers fixed; higher is better.
        has_days: whether ages are known in days.
        context: has the deadline; the trials take at most a quarter of the time left.
    """
    context = context.within(context.seconds_left() / 4)
    # With a power of 0 the unit does not matter.
    choices = [Recency(power) for power in POWERS]
    choices += [Recency(power, "days") for power in POWERS[1:] if has_days]
    tried: dict[Recency, float] = {}
    for choice in choices:
        if tried and context.is_late():
            break
        tried[choice] = value(choice)
        logger.info("recency %g in %s: %.4f", choice.power, choice.unit, tried[choice])
    best = max(tried, key=lambda choice: tried[choice])
    for exponent in TRENDS[1:]:
        if context.is_late():
            break
        choice = best._replace(trend=exponent)
        tried[choice] = value(choice)
        logger.info("trend %g: %.4f", exponent, tried[choice])
        if tried[choice] <= tried[best]:
            return best, best.trend > 0
        best = choice
    return best, True


def check_recency(recency: str) -> None:
    """Raises ValueError for an unknown kind of recency."""
    if recency not in RECENCIES:
        raise ValueError(f"`recency` must be one of {', '.join(RECENCIES)}, got {recency!r}")

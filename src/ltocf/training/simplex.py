"""A few numbers of a model, chosen by a search without gradients."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.evaluation import NO_ITEM, rank, top_k
from ltocf.progress import log_line, progress_bar
from ltocf.shapes import ListScores, Numbers, RankedItems, Scores, UserIndices
from ltocf.training.context import FitContext, FitResult

SEARCH_USERS = 8000
MOST_EVALUATIONS = 30
SMALLEST_STEP = 0.02
SMALLEST_GAIN = 1e-4
SHORTLIST = 10
"""Length of a shortlist, in multiples of the length of the evaluated lists."""
USERS_AT_A_TIME = 256
"""Number of users whose shortlists are scored at once."""


@runtime_checkable
class Searchable(Protocol):
    """A model that depends on a few numbers without gradients."""

    n_items: int
    if TYPE_CHECKING:  # from Python 3.12 on checks at run time do not find a tensor of a module
        numbers: Tensor

    @property
    def search_steps(self) -> Numbers:
        """The first step to try for each number; a number with a step of 0 stays."""

    def prepare(self) -> None:
        """Compute once what does not depend on the numbers."""

    def learned(self) -> dict[str, float]:
        """The numbers by their names."""

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each requested user."""

    def list_scores(self, users: UserIndices, items: RankedItems) -> ListScores:
        """The scores of the listed items."""


class Shortlist:
    """Lists chosen among the items that were a user's best at the first request.

    With other numbers of `SpectralLTOCF` an item moves by a few places. The items that get onto a list of k were among
    the first 10 k before, almost without exception (docs/spectral.md), and scoring these takes a fraction of the time.

    Args:
        model: the model; each call uses the scores of its present state.
        truth: only its users with a pair can be requested.
        seen: pairs that are left out of the lists.
        k: length of the evaluated lists; a shortlist is `SHORTLIST` times as long.
    """

    def __init__(self, model: Searchable, truth: Interactions, seen: Interactions, k: int) -> None:
        self.model, self.seen, self.depth = model, seen, min(SHORTLIST * k, truth.n_items)
        self.users = torch.from_numpy(np.flatnonzero(truth.user_degrees))

    @cached_property
    def items(self) -> RankedItems:
        """The best items of each of ``users`` by ascending index, followed by -1 where there are too few."""
        best = rank(self.model, self.users, self.depth, seen=self.seen).items
        ascending = best.where(best >= 0, self.model.n_items).sort(dim=1).values
        return ascending.where(ascending < self.model.n_items, NO_ITEM)

    def lists(self, users: UserIndices, k: int) -> RankedItems:
        """The k best of the shortlist of each user: score descending, equal scores by lower item index."""
        return torch.cat([self._lists(block, k) for block in torch.split(users, USERS_AT_A_TIME)])

    def _lists(self, users: UserIndices, k: int) -> RankedItems:
        items = self.items[torch.searchsorted(self.users, users)]
        scores = self.model.list_scores(users, items).cpu().masked_fill(items == NO_ITEM, -torch.inf)
        places = top_k(scores, k)[1]
        return items.gather(1, places.clamp(min=0)).where(places >= 0, NO_ITEM)


class _OutOfTimeError(Exception):
    pass


def search(
    model: Searchable,
    *,
    validate: Callable[[], dict[str, float]] | None,
    evaluations: int = MOST_EVALUATIONS,
    context: FitContext | None = None,
) -> FitResult:
    """Find the numbers that validate best by the Nelder-Mead simplex, and leave ``model`` with them, ready to score.

    Ranking metrics have no gradient, and there are only a handful of numbers: the simplex needs no more than that. It
    is deterministic, so an interrupted search is done again with the same result.

    Args:
        model: the model; its singular vectors and its ``numbers`` are changed.
        validate: returns the metrics of the model in its present state; None leaves the numbers as they are.
        evaluations: maximum number of evaluations.
        context: see `FitContext`; evaluations count as epochs, and only the first one may start after the deadline.
            There is no checkpoint.

    Returns:
        Evaluations count as epochs; ``stopped_by`` is ``epochs``, ``converged`` or ``max_minutes``.

    Raises:
        ValueError: ``evaluations`` < 1.

    Source: Gao & Han, Computational Optimization and Applications 51, 2012, Section 2,
    https://doi.org/10.1007/s10589-010-9329-3, as in SciPy. Differs: the best evaluation is kept, not the last simplex.
    """
    if evaluations < 1:
        raise ValueError(f"`evaluations` must be >= 1, got {evaluations}; one measures the start")
    context = context or FitContext(description="search")
    started = time.perf_counter()
    model.prepare()
    if validate is None:
        return FitResult(0, None, None, time.perf_counter() - started, "epochs")
    tried: list[tuple[float, np.ndarray]] = []
    seconds: list[float] = []

    def loss(numbers: np.ndarray) -> float:
        begun = time.perf_counter()
        slowest = max(seconds, default=0.0)
        if tried and context.is_late(slowest):
            raise _OutOfTimeError
        _set_numbers(model, numbers)
        metrics = validate()
        tried.append((metrics[context.select_by], numbers.copy()))
        seconds.append(time.perf_counter() - begun)
        best = max(value for value, _ in tried)
        bar.update(task, advance=1, note=f"{context.select_by} {best:.4f}")
        if context.on_epoch is not None:
            context.on_epoch({"epoch": len(tried), "times": [], **model.learned(), **metrics, "seconds": seconds[-1]})
        if context.show_progress:
            log_line(f"{context.description}: evaluation {len(tried)} of {evaluations}, best {best:.4f}")
        return -metrics[context.select_by]

    with progress_bar(enabled=context.show_progress) as bar:
        task = bar.add_task(context.description, total=evaluations, note="")
        try:
            stopped_by = _nelder_mead(loss, model, evaluations)
        except _OutOfTimeError:
            stopped_by = "max_minutes"
    best = max(range(len(tried)), key=lambda i: tried[i][0])
    _set_numbers(model, tried[best][1])
    return FitResult(len(tried), best + 1, tried[best][0], time.perf_counter() - started, stopped_by)


def _nelder_mead(loss: Callable[[np.ndarray], float], model: Searchable, evaluations: int) -> str:
    """Search; returns the reason why it stopped."""
    from scipy.optimize import minimize  # a tenth of a second, so only when it is used

    start, steps = (values.double().cpu().numpy() for values in (model.numbers.clone(), model.search_steps))
    moving = steps != 0
    if not moving.any():
        loss(start)
        return "converged"

    def loss_of(moved: np.ndarray) -> float:
        numbers = start.copy()
        numbers[moving] = moved
        return loss(numbers)

    options: Any = {
        "initial_simplex": np.vstack([start[moving], start[moving] + np.diag(steps[moving])]),
        "maxfev": evaluations,
        "adaptive": True,
        "fatol": SMALLEST_GAIN,
        "xatol": SMALLEST_STEP,
    }
    result = minimize(loss_of, start[moving], method="Nelder-Mead", options=options)
    return "converged" if result.success else "epochs"


def _set_numbers(model: Searchable, numbers: np.ndarray) -> None:
    model.numbers.copy_(torch.from_numpy(numbers))

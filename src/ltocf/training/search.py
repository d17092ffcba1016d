"""A few numbers of a model, chosen by a search without gradients."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from ltocf.data.interactions import Interactions
from ltocf.evaluation import rank
from ltocf.models.spectral import SpectralLTOCF
from ltocf.progress import progress_bar
from ltocf.shapes import RankedItems, Scores, UserIndices
from ltocf.training.fit import EpochRecord, FitResult

SEARCH_USERS = 8000
MOST_EVALUATIONS = 30
SMALLEST_STEP = 0.02
SMALLEST_GAIN = 1e-4
SHORTLIST = 10
"""Times the length of the lists that are judged."""


class Shortlist:
    """Scores of the items that were the best of a user when first asked for; all other items are not available.

    With other numbers an item of `SpectralLTOCF` moves by some places. Those that get onto a list of k were among the
    first 10 k before, almost without exception (docs/spectral.md), and to score these takes a fraction of the time.

    Args:
        model: scored as it stands at each call.
        truth: the users with a pair here are the ones that can be asked for.
        seen: pairs that are not listed.
        k: length of the lists that are judged; there are `SHORTLIST` times as many items.
    """

    scores_are_new = True

    def __init__(self, model: SpectralLTOCF, truth: Interactions, seen: Interactions, k: int) -> None:
        self.model, self.seen, self.depth = model, seen, min(SHORTLIST * k, truth.n_items)
        self.users = torch.from_numpy(np.flatnonzero(truth.user_degrees))

    @cached_property
    def items(self) -> RankedItems:
        """The best items of each of ``users``."""
        return rank(self.model, self.users, self.depth, seen=self.seen).items

    def scores(self, users: UserIndices) -> Scores:
        """-inf where an item is not on the list."""
        items = self.items[torch.searchsorted(self.users, users)]
        listed = self.model.list_scores(users, items)
        items = items.to(listed.device)
        # Places left on a list have the item -1: their scores go to one column more.
        scores = listed.new_full((len(users), self.model.n_items + 1), -torch.inf)
        return scores.scatter_(1, items % (self.model.n_items + 1), listed)[:, :-1]


class _OutOfTimeError(Exception):
    pass


def sample_users(truth: Interactions, seed: int, n_users: int = SEARCH_USERS) -> Interactions:
    """The pairs of ``n_users`` random users of ``truth``, or all pairs where they are no more than that.

    Example:
        >>> sample_users(Interactions.from_pairs([0, 1, 1, 2], [0, 0, 1, 2]), seed=0, n_users=1).users.tolist()
        [2]
    """
    users = np.flatnonzero(truth.user_degrees)
    if len(users) <= n_users:
        return truth
    chosen = np.zeros(truth.n_users, dtype=bool)
    chosen[np.random.default_rng(seed).choice(users, n_users, replace=False)] = True
    return truth.where(chosen[truth.users])


def search(
    model: SpectralLTOCF,
    *,
    validate: Callable[[], dict[str, float]] | None,
    select_by: str = "recall@20",
    evaluations: int = MOST_EVALUATIONS,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    max_seconds: float = float("inf"),
    show_progress: bool = False,
    description: str = "search",
) -> FitResult:
    """Decompose ``model`` and leave it with the numbers that validate best, found by the Nelder-Mead simplex.

    Ranking metrics have no gradient, and there are a handful of numbers: the simplex asks for nothing else. It is
    deterministic, so a search that was cut off is done again with the same result.

    Args:
        model: its singular vectors and its ``numbers`` are written.
        validate: metrics of the model as it stands; None leaves the numbers as they are.
        select_by: the metric that is to be highest.
        evaluations: most evaluations.
        on_epoch: receives one flat record per evaluation, numbered as epochs.
        max_seconds: no evaluation but the first starts after this time.
        show_progress: show a progress bar.
        description: its label.

    Returns:
        Evaluations count as epochs; ``stopped_by`` is ``epochs``, ``converged`` or ``max_minutes``.

    Raises:
        ValueError: ``evaluations`` < 1.

    Source: Gao & Han, Computational Optimization and Applications 51, 2012, Section 2,
    https://doi.org/10.1007/s10589-010-9329-3, as in SciPy. Differs: the best evaluation is kept, not the last simplex.
    """
    if evaluations < 1:
        raise ValueError(f"`evaluations` must be >= 1, got {evaluations}; one measures the numbers as they are")
    started = time.perf_counter()
    model.decompose()
    if validate is None:
        return FitResult(0, None, None, time.perf_counter() - started, "epochs")
    tried: list[tuple[float, np.ndarray]] = []

    def loss(numbers: np.ndarray) -> float:
        if tried and time.perf_counter() - started > max_seconds:
            raise _OutOfTimeError
        begun = time.perf_counter()
        _write(model, numbers)
        metrics = validate()
        tried.append((metrics[select_by], numbers.copy()))
        bar.update(task, advance=1, note=f"{select_by} {max(value for value, _ in tried):.4f}")
        if on_epoch is not None:
            record: EpochRecord = {"epoch": len(tried), "times": [], **model.named_numbers(), **metrics}
            on_epoch(record | {"seconds": time.perf_counter() - begun})
        return -metrics[select_by]

    with progress_bar(enabled=show_progress) as bar:
        task = bar.add_task(description, total=evaluations, note="")
        try:
            stopped_by = _nelder_mead(loss, model, evaluations)
        except _OutOfTimeError:
            stopped_by = "max_minutes"
    best = max(range(len(tried)), key=lambda i: tried[i][0])
    _write(model, tried[best][1])
    return FitResult(len(tried), best + 1, tried[best][0], time.perf_counter() - started, stopped_by)


def _nelder_mead(loss: Callable[[np.ndarray], float], model: SpectralLTOCF, evaluations: int) -> str:
    """Why it stopped."""
    start, steps = (values.double().cpu().numpy() for values in (model.numbers.clone(), model.search_steps))
    options: Any = {
        "initial_simplex": np.vstack([start, start + np.diag(steps)]),
        "maxfev": evaluations,
        "adaptive": True,
        "fatol": SMALLEST_GAIN,
        "xatol": SMALLEST_STEP,
    }
    found = minimize(loss, start, method="Nelder-Mead", options=options)
    return "converged" if found.success else "epochs"


def _write(model: SpectralLTOCF, numbers: np.ndarray) -> None:
    model.numbers.copy_(torch.from_numpy(numbers))

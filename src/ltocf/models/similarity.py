"""Models of the similarity of items: a matrix in closed form, and a few numbers that are chosen on validation."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.evaluation.validation import Validation
from ltocf.models.base import Recommender
from ltocf.models.history import HistoryRecommender
from ltocf.models.recency import POWERS, TRENDS
from ltocf.training import MOST_EVALUATIONS, SEARCH_USERS, FitContext, FitResult, TrainingSettings
from ltocf.training.grid import Grid, climb


class SimilarityModel(HistoryRecommender):
    """What the similarity models share: their numbers, and how these are chosen on validation.

    A subclass has to define `grid` and `fit_similarity`.
    """

    similarities: Tensor
    """NaN before they are computed."""

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """The values of each number that are tried, by its name."""

    @abstractmethod
    def fit_similarity(self, before: Sequence[float] | None) -> None:
        """Compute the similarities for the present numbers.

        ``before`` are the numbers of the similarities that are there, None if there are none.
        """

    @property
    def is_ready(self) -> bool:
        """Whether the similarities have been computed or read from a file."""
        return not bool(self.similarities.flatten()[:1].isnan().any())

    def learned(self) -> dict[str, float]:
        return dict(zip(self.grid, self.own_numbers.tolist(), strict=True)) | self.recency_numbers()

    def set_numbers(self, numbers: Sequence[float]) -> None:
        """Use these numbers, and compute what depends on them."""
        before = self.own_numbers.tolist() if self.is_ready else None
        self.numbers.copy_(torch.tensor(list(numbers), dtype=self.numbers.dtype))
        if before != self.own_numbers.tolist():
            self.fit_similarity(before)

    def take_over(self, chosen: Recommender) -> None:
        before = self.own_numbers.tolist()
        super().take_over(chosen)
        if self.is_ready and before != self.own_numbers.tolist():
            self.fit_similarity(before)

    def prepare(self) -> None:
        if not self.is_ready:
            self.fit_similarity(None)

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        """Choose the numbers by a search, or keep them without a validation set, and compute the similarities."""
        if validation is None:
            started = time.perf_counter()
            self.prepare()
            return FitResult(0, None, None, time.perf_counter() - started, "epochs")
        evaluations = min(settings.epochs, MOST_EVALUATIONS)
        sampled, context = validation.of_at_most(SEARCH_USERS), context or FitContext(description="search")
        grid = dict(self.grid) | ({"recency": POWERS, "trend": TRENDS} if self.chooses_recency else {})

        def search_grid(context: FitContext) -> FitResult:
            start = self.numbers.tolist()
            return climb(self, start, grid, validate=lambda: sampled(self), evaluations=evaluations, context=context)

        return self.search_after_recency(lambda: sampled(self), search_grid, context)

    def check_ready(self) -> None:
        """Raises ValueError if the similarities have not been computed."""
        if not self.is_ready:
            raise ValueError("the model has no similarities yet; call `prepare`, or load a saved one")


def check_numbers(low: float = 0.0, **numbers: float | int) -> None:
    """Raises ValueError for a number that is not finite, or not above ``low``."""
    for name, value in numbers.items():
        if not (value > low and value < float("inf")):
            raise ValueError(f"`{name}` must be finite and > {low:g}, got {value}")


def check_indices(name: str, indices: Tensor, n: int) -> None:
    """Raises ValueError for an index outside 0..n - 1."""
    if indices.numel() and not (int(indices.min()) >= 0 and int(indices.max()) < n):
        raise ValueError(f"`{name}` must be indices below {n}, got {int(indices.min())}..{int(indices.max())}")

"""ALS: implicit matrix factorisation by alternating least squares, computed by the package `implicit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.installation import needs_extra
from ltocf.models.base import Recommender
from ltocf.models.embedding_scorer import EmbeddingScorer
from ltocf.models.least_squares import LeastSquares
from ltocf.models.user_steps import UserSteps
from ltocf.shapes import ItemEmbeddings, UserEmbeddings
from ltocf.training import MOST_EVALUATIONS, SEARCH_USERS, FitContext, FitResult, TrainingSettings
from ltocf.training.grid import Grid, climb


class ALS(Recommender):
    """Matrix factorisation with a confidence for observed pairs, by alternating least squares.

        min_{x, y}  Σ_{u, i} c_ui (r_ui - <x_u, y_i>)² + λ (Σ_u |x_u|² + Σ_i |y_i|²)
        c_ui = α w_ui where r_ui = 1, and 1 where r_ui = 0
        score(u, i) = <x_u, y_i>

    w_ui is the weight of the pair, relative to the mean. λ and α are chosen on validation.

    Args:
        graph: the training graph.
        dim: length of x and y, >= 1.
        penalty: λ at which the search starts, >= 0; kept without a validation set.
        confidence: α at which the search starts, > 0; kept without a validation set.
        iterations: number of iterations, each of which solves for both sides, >= 1.
        seed: seed of the first factors.

    Raises:
        ValueError: a number out of range.
        ImportError: `implicit` is not installed.

    Source: Hu, Koren, Volinsky, ICDM 2008, https://doi.org/10.1109/ICDM.2008.22; computed by
    https://github.com/benfred/implicit, whose confidence is α w and not 1 + α w.

    Example:
        >>> from ltocf.data import Interactions
        >>> log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 0, 1, 2])
        >>> model = ALS(BipartiteGraph.from_interactions(log), dim=2, penalty=0.1)
        >>> model.prepare()
        >>> model.scores(torch.tensor([0])).argmin().item()  # nobody shares item 2 with user 0
        2
    """

    uses_weights = True
    numbers: Tensor
    user_factors: Tensor
    item_factors: Tensor

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 64,
        penalty: float = 10.0,
        confidence: float = 10.0,
        iterations: int = 15,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(graph.n_users, graph.n_items)
        for name, value, least in (("dim", dim, 1), ("iterations", iterations, 1), ("penalty", penalty, 0)):
            if not least <= value < float("inf"):
                raise ValueError(f"`{name}` must be finite and >= {least}, got {value}")
        if not 0 < confidence < float("inf"):
            raise ValueError(f"`confidence` must be finite and > 0, got {confidence}")
        self.graph, self.dim, self.iterations, self.seed = graph, dim, iterations, seed
        self.register_buffer("numbers", torch.tensor([penalty, confidence]))
        self.register_buffer("user_factors", torch.full((graph.n_users, dim), torch.nan))
        self.register_buffer("item_factors", torch.full((graph.n_items, dim), torch.nan))

    @property
    def grid(self) -> Grid:
        """The values of each number that are tried, by its name."""
        penalties = [0.01, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
        return {"penalty": penalties, "confidence": [1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0]}

    def learned(self) -> dict[str, float]:
        return dict(zip(self.grid, self.numbers.tolist(), strict=True))

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        """Choose λ and α by climbing their grid; without a validation set they keep their values."""
        context = context or FitContext()
        if validation is None:
            self.set_numbers(self.numbers.tolist())
            return FitResult(1, None, None, 0.0, "epochs")
        sampled = validation.of_at_most(SEARCH_USERS)
        evaluations = min(settings.epochs, MOST_EVALUATIONS)
        start, validate = self.numbers.tolist(), lambda: sampled(self.scorer())
        return climb(self, start, self.grid, validate=validate, evaluations=evaluations, context=context)

    def set_numbers(self, numbers: Sequence[float]) -> None:
        """Use these numbers, and compute what depends on them."""
        self.numbers.copy_(torch.tensor(list(numbers)))
        penalty, confidence = self.numbers.tolist()
        als_class, one_blas_thread = _implicit()
        with one_blas_thread:
            fitted = als_class(
                factors=self.dim,
                regularization=penalty,
                alpha=confidence,
                iterations=self.iterations,
                num_threads=torch.get_num_threads(),
                random_state=self.seed,
            )
            fitted.fit(self.graph.ratings().astype(np.float32), show_progress=False)
        self.user_factors.copy_(torch.from_numpy(np.array(fitted.user_factors)))
        self.item_factors.copy_(torch.from_numpy(np.array(fitted.item_factors)))

    def prepare(self) -> None:
        if self.item_factors.flatten()[:1].isnan().any():
            self.set_numbers(self.numbers.tolist())

    def take_over(self, chosen: Recommender) -> None:
        assert isinstance(chosen, ALS)
        self.numbers.copy_(chosen.numbers)

    def grow_from(self, smaller: Recommender, graph: BipartiteGraph) -> None:
        self.take_over(smaller)
        self.prepare()

    def scorer(self) -> EmbeddingScorer:
        """The factors as a scorer."""
        return EmbeddingScorer(self.user_factors, self.item_factors)

    def final_users(self) -> UserEmbeddings:
        """x of every user."""
        return self.user_factors

    def final_items(self) -> ItemEmbeddings:
        """y of every item."""
        return self.item_factors

    def least_squares(self) -> LeastSquares:
        """Vectors for any histories against the fixed items: the users' half of an iteration."""
        penalty, confidence = self.numbers.tolist()
        size = self.item_factors.square().sum(1).mean().clamp(min=1e-12).item()
        length = self.user_factors.norm(dim=1).mean().item()
        ridge = max(penalty / confidence / size, 1e-9)
        return LeastSquares(self.item_factors, length, None, weight=min(1.0, 1 / confidence), ridge=ridge)

    def user_steps(self) -> UserSteps:
        """Always raises ValueError: ALS gives new users a vector by `least_squares`."""
        raise ValueError('`steps` need `ranking = "cosine"`, and ALS ranks by the inner product; leave them out')


def _implicit() -> tuple[Callable[..., Any], AbstractContextManager[Any]]:
    """The ALS class of `implicit`, and a context in which BLAS starts no threads inside those of `implicit`."""
    try:
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise needs_extra("`als` needs", "bench") from error
    return AlternatingLeastSquares, threadpool_limits(1, "blas")

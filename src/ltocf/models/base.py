"""The interface of every model: loss terms of batches, scores of users, training and initial embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from ltocf.data.display import Shown
from ltocf.data.interactions import Interactions
from ltocf.data.store import leave_on_disk
from ltocf.evaluation.top_k import Scorer
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.losses import LossTerms
from ltocf.models.drift import Drift
from ltocf.models.growth import Sizes, grow
from ltocf.sampling import Batch, Batches
from ltocf.shapes import (
    Eigenvalues,
    ItemEmbeddings,
    Response,
    Scores,
    UserEmbeddings,
    UserIndices,
)
from ltocf.training import FitContext, FitResult, Trainable, TrainingSettings, fit

ListScorer = Scorer
"""An earlier name of `Scorer`."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Keep the model in evaluation mode within the block: no dropout, and the same output every time."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


class Recommender(Shown, nn.Module, ABC):
    """A model over ``n_users`` x ``n_items``; the number of users and items never changes.

    Code that trains, initialises, saves or shows a model uses these methods only; nothing outside a model's own file
    needs to know which model it is.
    """

    starts: ClassVar[tuple[str, ...]] = ("random",)
    """Where its initial embeddings can come from, see `ltocf.models.starts.STARTS`."""
    uses_weights: ClassVar[bool] = False
    """Whether the weights of pairs affect what it learns."""
    later_weights: ClassVar[tuple[str, ...]] = ()
    """Parameters that a later version added: with a model file that lacks them they keep their initial values."""
    dim: int = 0
    """Length of an initial embedding, for models that have them."""

    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        self.n_users, self.n_items = n_users, n_items

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Its options with their defaults: the constructor's named arguments except graph and seed."""
        named = (p for p in signature(cls).parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        return {p.name: p.default for p in named if p.name not in ("graph", "seed")}

    def complete_weights(self, arrays: dict[str, np.ndarray], prefix: str) -> None:
        """Add what the weights of an earlier version's file lack; their names begin with ``prefix``."""
        state = self.state_dict()
        for name in self.later_weights:
            if name in state:
                arrays.setdefault(prefix + name, state[name].numpy())

    def facts(self) -> dict[str, object]:
        n_numbers = sum(parameter.numel() for parameter in self.parameters())
        sizes: dict[str, object] = {"n_users": self.n_users, "n_items": self.n_items, "n_parameters": n_numbers}
        return sizes | {name: round(value, 4) for name, value in self.learned().items()}

    @property
    def reads_order(self) -> bool:
        """Whether its scores depend on the order of a history, not only on its items."""
        return False

    @property
    def device(self) -> torch.device:
        """The device of its parameters and buffers."""
        return next(chain(self.parameters(), self.buffers())).device

    @abstractmethod
    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        """Train on ``pairs``; with a validation set, end in the state that ranks it best.

        Args:
            pairs: the training pairs, the same as in its graph.
            settings: the training settings.
            validation: chooses among the states or numbers that training tries. None: train to the end of ``settings``.
            seed: seed of the sampling.
            context: the checkpoint, the time limit and the callback of each epoch.
        """

    def start_from(self, users: UserEmbeddings, items: ItemEmbeddings) -> None:
        """Replace the initial embeddings by given ones, (n_users, dim) and (n_items, dim).

        Raises:
            ValueError: the model does not have an embedding of every node.
        """
        raise ValueError(f'{type(self).__name__} has no embedding of every node to start from: use `init = "random"`')

    def prepare(self) -> None:
        """Compute whatever scoring needs that is not trained. By default there is nothing to compute."""

    def check_weights(self) -> None:
        """Check weights read from a file: their use must be possible. By default there is nothing to check.

        Raises:
            ValueError: an index or a number is out of range.
        """

    def take_over(self, chosen: Recommender) -> None:
        """Before training again on more pairs: copy what selection chose besides the number of epochs.

        By default there is nothing to copy.
        """

    def go_on_from(self, chosen: Recommender) -> None:
        """Before training again on more pairs: copy the weights that selection ended with.

        By default there is nothing to copy.
        """

    def extrapolate(self, drift: Drift) -> None:
        """Multiply the numbers of recency by the factors of ``drift``, which are for ages counted in items.

        By default there are no such numbers.
        """

    def expect_core(self, core: int, held_out: float) -> bool:
        """Score for a test set that was taken out of a core, see `ltocf.models.core`; whether this changes scores.

        It does for models of the sampled softmax, whose scores are logarithms of probabilities.

        Args:
            core: the least number of pairs that each item had before; 0 for a test set like the training set.
            held_out: the share of all pairs that is in the test set.
        """
        return False

    def grow_from(self, smaller: Recommender, graph: BipartiteGraph) -> None:
        """Copy what ``smaller`` learned: its users and items come first here. New ones start from their neighbours.

        Args:
            smaller: a model of fewer users and items, with the same options.
            graph: the graph of this model.
        """
        grow(self, smaller, Sizes(smaller.n_users, smaller.n_items), Sizes(self.n_users, self.n_items), graph)

    def learned(self) -> dict[str, float]:
        """The few learned numbers worth showing, by their names in the paper: times, exponents, weights."""
        return {}

    def response_parts(self, eigenvalues: Eigenvalues) -> dict[str, Response]:
        """For a model that is a graph filter: what each of its parts adds to h(λ). Empty for other models."""
        return {}

    @abstractmethod
    def scorer(self) -> Scorer:
        """A scorer for ranking with the model's present state."""

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each requested user; higher is better."""
        return self.scorer().scores(users)


class GradientRecommender(Recommender, Trainable):
    """A model that is trained by gradient steps on batches."""

    @abstractmethod
    def forward(self, batch: Batch) -> LossTerms:
        """The loss of one training batch."""

    def go_on_from(self, chosen: Recommender) -> None:
        self.load_state_dict(chosen.state_dict())

    @abstractmethod
    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        """The sampler that its loss needs."""

    @property
    def piece_size(self) -> int | None:
        """The largest batch that `forward` gets at once; larger ones are split into pieces. None: never split."""
        return None

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        context = context or FitContext()
        device = context.device or self.device
        size, pieces = settings.steps_for(len(pairs), self.piece_size)
        settings, batches = settings.for_batch(size), self.batches(pairs, -(-size // pieces), seed, device)
        leave_on_disk(pairs)  # the batches have what they need
        validate = None if validation is None else lambda: validation(self.scorer())
        with context.ranks.divided(self, pairs, device):
            return fit(self, batches, settings=settings, validate=validate, context=context, pieces=pieces)

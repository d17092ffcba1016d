"""Most popular: the same list for everybody, and the floor every model must clear."""

from __future__ import annotations

import torch
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models.base import Recommender
from ltocf.shapes import Scores, UserIndices
from ltocf.training import FitContext, FitResult, TrainingSettings


class Popularity:
    """Score of an item = number of training users who touched it. Nothing is trained.

    Example:
        >>> Popularity(Interactions.from_pairs([0, 1, 1], [0, 0, 1])).scores(torch.tensor([0]))
        tensor([[2., 1.]])
    """

    def __init__(self, train: Interactions) -> None:
        self.counts = torch.from_numpy(train.item_degrees).float()

    def scores(self, users: UserIndices) -> Scores:
        """The same scores for each requested user."""
        return self.counts.expand(len(users), -1).clone()


class MostPopular(Recommender):
    """The most popular items, the same list for everybody: `Popularity` as a model.

    Args:
        graph: the training graph.
        seed: not used.

    Example:
        >>> log = Interactions.from_pairs([0, 1, 1], [0, 0, 1])
        >>> MostPopular(BipartiteGraph.from_interactions(log)).scores(torch.tensor([0]))
        tensor([[2., 1.]])
    """

    counts: Tensor

    def __init__(self, graph: BipartiteGraph, *, seed: int = 0) -> None:
        super().__init__(graph.n_users, graph.n_items)
        self.register_buffer("counts", graph.item_degrees.float())

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        """Nothing is trained; a validation set is only evaluated."""
        context = context or FitContext()
        metrics = {} if validation is None else validation(self)
        if context.on_epoch is not None:
            context.on_epoch({"epoch": 1, "times": [], **metrics, "seconds": 0.0})
        return FitResult(1, 1 if metrics else None, metrics.get(context.select_by), 0.0, "epochs")

    def scorer(self) -> MostPopular:
        """The model itself."""
        return self

    def scores(self, users: UserIndices) -> Scores:
        """The same scores for each requested user."""
        return self.counts.expand(len(users), -1).clone()

    def history_scores(self, histories: Scores) -> Scores:
        """The same scores for any histories."""
        return self.counts.expand(len(histories), -1).clone()

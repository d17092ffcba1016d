"""What only some models can do, asked of any model: item vectors, a user map, scores of any history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, LinearModel, Recommender, UserMap
from ltocf.shapes import ItemEmbeddings, Scores, UserIndices


@runtime_checkable
class VectorModel(Protocol):
    """A model with a vector for each item, near those of similar items."""

    def item_vectors(self) -> ItemEmbeddings: ...


@runtime_checkable
class HistoryModel(Protocol):
    """A model that scores any history: rows over the items, 1 where an item was touched and 0 elsewhere."""

    def history_scores(self, histories: Scores) -> Scores: ...


class HistoryScorer:
    """Scores of histories in place of users, by a function of some of them."""

    scores_are_new = True

    def __init__(self, histories: Histories, score: Callable[[Histories], Scores]) -> None:
        self.histories, self.score = histories, score

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for the histories of these numbers."""
        return self.score(self.histories.rows(users))


def item_vectors(name: str, model: Recommender) -> ItemEmbeddings:
    """Raises ValueError for a model that has none."""
    if isinstance(model, VectorModel):
        return model.item_vectors()
    raise ValueError(f"`{name}` has no item vectors to compare; {_those_that(_has_vectors)} have")


def user_map(name: str, model: Recommender) -> UserMap:
    """Raises ValueError for a model whose scores are not sums over a history."""
    if isinstance(model, LinearModel):
        return model.user_map()
    raise ValueError(f"the scores of `{name}` are not sums over a history; those of {_those_that(_is_linear)} are")


def history_score(name: str, model: Recommender, linear: UserMap | None) -> Callable[[Histories], Scores]:
    """Scores of any histories, also of users who were not in training, by the model or by its map.

    Raises ValueError for a model that has no such thing.
    """
    if isinstance(model, HistoryModel):
        score = model.history_scores
        return lambda histories: score(_dense(histories).to(model.device))
    if linear is not None and linear.depends_on_history:
        return linear.scores
    raise ValueError(
        f"`{name}` has no way from a history to a user: one who was not in training needs training; "
        f"{_those_that(_takes_histories)} have"
    )


def _dense(histories: Histories) -> Scores:
    """A row over the items for each history, 1 where one is in it."""
    rows = torch.zeros(len(histories), histories.n_items)
    rows[torch.repeat_interleave(histories.lengths), histories.items.long()] = 1.0
    return rows


def _those_that(can: Callable[[Callable[..., Recommender]], bool]) -> str:
    return ", ".join(name for name, make in MODELS.items() if can(make))


def _has_vectors(make: Callable[..., Recommender]) -> bool:
    return hasattr(make, "item_vectors")


def _is_linear(make: Callable[..., Recommender]) -> bool:
    return hasattr(make, "user_map")


def _takes_histories(make: Callable[..., Recommender]) -> bool:
    if hasattr(make, "history_scores"):
        return True
    if not _is_linear(make):
        return False
    # Whether anything depends on the history shows in the map of the smallest model.
    model = make(BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0])))
    return isinstance(model, LinearModel) and model.user_map().depends_on_history

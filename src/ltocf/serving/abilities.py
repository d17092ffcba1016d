"""What only some models can do: item vectors, a user map, scores of any history."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

import torch

from ltocf.data.histories import Histories
from ltocf.models import MODELS, LinearModel, Recommender, ScoreMap, SummedModel, UserMap
from ltocf.models.least_squares import LeastSquares
from ltocf.models.user_map import score_map_of
from ltocf.models.user_steps import UserSteps
from ltocf.serving.errors import RequestError
from ltocf.shapes import ItemEmbeddings, QueryVectors, Scores, UserEmbeddings, UserIndices

Result = TypeVar("Result")
HistoryScore: TypeAlias = Callable[[Histories, UserIndices | None], Scores]
"""Scores of histories; given the training users that the histories belong to, their own embeddings count too."""
HistoryVectors: TypeAlias = Callable[[Histories, UserIndices | None], QueryVectors]
"""Vectors of histories, with the same arguments."""


@runtime_checkable
class VectorModel(Protocol):
    """A model with vectors whose inner product, or cosine, is the score: similar nodes are near each other."""

    def final_users(self) -> UserEmbeddings: ...

    def final_items(self) -> ItemEmbeddings: ...

    def least_squares(self) -> LeastSquares: ...

    def user_steps(self) -> UserSteps: ...


@runtime_checkable
class HistoryModel(Protocol):
    """A model that scores any history: rows over the items, 1 where an item was touched and 0 elsewhere."""

    def history_scores(self, histories: Scores) -> Scores: ...


@runtime_checkable
class VectorScorer(Protocol):
    """A scorer whose score is the inner product of two vectors."""

    user_embeddings: UserEmbeddings
    item_embeddings: ItemEmbeddings


class HistoryScorer:
    """A scorer of histories in place of users; ``score`` gives the scores of some of them."""

    scores_are_new = True

    def __init__(self, histories: Histories, score: HistoryScore, users: UserIndices | None = None) -> None:
        self.histories, self.score, self.users = histories, score, users

    def scores(self, users: UserIndices) -> Scores:
        """Scores of every item for the histories with these indices."""
        is_whole = len(users) == len(self.histories) == 1
        rows = self.histories if is_whole else self.histories.rows(users)
        return self.score(rows, None if self.users is None else self.users[users])


def vectors(name: str, model: Recommender) -> VectorModel:
    """The model, if it has vectors. Raises RequestError if it has none."""
    if isinstance(model, VectorModel):
        return model
    remedy = f'{_those_that(_has_vectors)} have; `by="history"` compares histories, of any model'
    raise RequestError(f"`{name}` has no vectors of users and items", remedy=remedy)


def score_map(name: str, model: Recommender) -> ScoreMap:
    """The sums that the model's scores are. Raises RequestError if they are not sums over a history."""
    try:
        found = score_map_of(model)
    except ValueError as error:  # a blend with a member whose scores are not such sums
        raise RequestError(str(error)) from error
    if found is not None:
        return found
    remedy = f"those of {_those_that(is_linear)} are"
    raise RequestError(f"the scores of `{name}` are not sums over a history", remedy=remedy)


def history_score(name: str, model: Recommender, linear: ScoreMap | None) -> HistoryScore:
    """Scores of any histories, also of users who were not in training, by the model, its map or least squares.

    Raises RequestError for a model that cannot score a history.
    """
    if linear is not None and linear.depends_on_history:
        return linear.scores
    if isinstance(model, HistoryModel):
        return partial(_scores_of_rows, model.history_scores, model.device)
    if isinstance(model, VectorModel):
        return partial(_ignoring_users, model.least_squares().scores)
    rule = f"`{name}` has no way from a history to a user: a user who was not in training needs training"
    raise RequestError(rule, remedy=f"{_those_that(takes_histories)} have")


def start_vectors(name: str, model: Recommender, linear: UserMap | None) -> HistoryVectors:
    """Vectors of any histories, by the model's map or least squares.

    Raises RequestError for a model without vectors.
    """
    vector_model = vectors(name, model)
    if linear is not None and linear.depends_on_history:
        return linear.vectors
    return partial(_ignoring_users, vector_model.least_squares().vectors)


# Functions of the module, not closures: a snapshot is pickled with them.


def _scores_of_rows(
    score: Callable[[Scores], Scores], device: torch.device, histories: Histories, users: UserIndices | None
) -> Scores:
    return score(_dense(histories).to(device))


def _ignoring_users(function: Callable[[Histories], Result], histories: Histories, users: UserIndices | None) -> Result:
    return function(histories)


def _dense(histories: Histories) -> Scores:
    """A row over the items for each history, 1 where an item is in it."""
    rows = torch.zeros(len(histories), histories.n_items)
    rows[torch.repeat_interleave(histories.lengths), histories.items.long()] = 1.0
    return rows


def those_with_vectors() -> str:
    """The names of the models that have vectors."""
    return _those_that(_has_vectors)


def _those_that(can: Callable[[type[Recommender]], bool]) -> str:
    return ", ".join(name for name, model in MODELS.items() if can(model))


def _has_vectors(model: type[Recommender]) -> bool:
    return issubclass(model, VectorModel)


def is_linear(model: type[Recommender]) -> bool:
    """Whether the scores of a model of this class may be sums over a history."""
    return issubclass(model, (SummedModel, LinearModel))


def takes_histories(model: type[Recommender]) -> bool:
    """Whether a model of this class can score the history of somebody who was not in training."""
    return issubclass(model, (SummedModel, HistoryModel, VectorModel))

"""What the service answers, as plain values: the same for routes, tools and pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Id = int | str
"""An id as it is in the data: an integer or a text."""


@dataclass(frozen=True, slots=True)
class Recommended:
    """An item of a list."""

    item: Id
    score: float
    title: str | None


@dataclass(frozen=True, slots=True)
class UserList:
    """The list of a user of training; ``by`` says whether the model made it or it is the most popular items."""

    user: Id
    by: Literal["model", "popular"]
    items: list[Recommended]


@dataclass(frozen=True, slots=True)
class UserLists:
    """Lists of users, by generation ``generation`` of the model."""

    lists: list[UserList]
    generation: int


@dataclass(frozen=True, slots=True)
class OneList:
    """The list of one user of training."""

    user: Id
    by: Literal["model", "popular"]
    items: list[Recommended]
    generation: int


@dataclass(frozen=True, slots=True)
class HistoryList:
    """The list for a history; ``ignored`` are its items that were not in training."""

    by: Literal["model", "popular"]
    items: list[Recommended]
    ignored: list[Id]
    generation: int


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """The items nearest to ``item``, by the similarity ``by``."""

    item: Id
    by: Literal["cosine", "inner_product", "history"]
    items: list[Recommended]
    generation: int


@dataclass(frozen=True, slots=True)
class Reason:
    """What an item of the history adds to a score, in all and in each part of the model."""

    item: Id
    contribution: float
    title: str | None
    parts: list[float]


@dataclass(frozen=True, slots=True)
class Explained:
    """A score, taken apart: ``own`` + ``popularity`` + the contributions of ``history`` sum to ``score``.

    ``part_names`` says what the parts of each contribution are, such as the times of an ODE.
    """

    user: Id | None
    item: Id
    title: str | None
    score: float
    own: float
    popularity: float
    history: list[Reason]
    part_names: list[str]
    ignored: list[Id]
    generation: int


@dataclass(frozen=True, slots=True)
class FoundItem:
    """An item, its title, and how many users of training touched it."""

    item: Id
    title: str | None
    count: int


@dataclass(frozen=True, slots=True)
class FoundItems:
    """Items whose title or id contains what was searched for."""

    items: list[FoundItem]
    generation: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run that is served."""

    name: str
    model: str
    version: str
    generation: int
    loaded_at: float
    n_users: int
    n_items: int
    titles: bool

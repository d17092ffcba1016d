"""The bodies of requests and errors; those of other answers are in `answers`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator


def whole_characters(id: int | str) -> int | str:
    """Raises ValueError for half of a character, which JSON can write and Unicode does not know."""
    if isinstance(id, str) and not id.isascii() and any("\ud800" <= letter <= "\udfff" for letter in id):
        raise ValueError("a text must be of whole characters, got half of a surrogate pair")
    return id


AnyId = Annotated[StrictInt | StrictStr, AfterValidator(whole_characters)]
"""An id as it is in the data: an integer or a text. It is compared, not converted: "007" is not 7."""


class RequestBody(BaseModel):
    """The body of a request; an unknown field is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")


class RecommendRequest(RequestBody):
    """Lists for users of training, or one for a history."""

    users: Annotated[list[AnyId] | None, Field(min_length=1, description="users of training")] = None
    history: Annotated[
        list[AnyId] | None, Field(min_length=1, description="what somebody touched, the oldest first")
    ] = None
    k: Annotated[StrictInt, Field(ge=1, description="items in each list")] = 10
    exclude_seen: Annotated[bool, Field(description="leave out what the user touched")] = True
    unknown: Annotated[
        Literal["error", "popular", "skip"],
        Field(description="what users without a history get: an error, the most popular items, or no list"),
    ] = "error"
    only: Annotated[list[AnyId] | None, Field(min_length=1, description="the only items that may be listed")] = None
    exclude: Annotated[list[AnyId] | None, Field(description="items that may not be listed")] = None

    @model_validator(mode="after")
    def _one_of(self) -> RecommendRequest:
        if (self.users is None) == (self.history is None):
            raise ValueError("give either `users` or `history`")
        return self


class ExplainRequest(RequestBody):
    """An item, and a user of training or a history."""

    item: AnyId
    user: AnyId | None = None
    history: Annotated[list[AnyId] | None, Field(min_length=1)] = None

    @model_validator(mode="after")
    def _one_of(self) -> ExplainRequest:
        if (self.user is None) == (self.history is None):
            raise ValueError("give either `user` or `history`")
        return self


class ErrorDetails(BaseModel):
    """What is wrong: the rule, the value that broke it, and what to do."""

    rule: str
    value: Any
    remedy: str


class ErrorBody(BaseModel):
    """The body of every error."""

    error: ErrorDetails


class Status(BaseModel):
    """Whether the service is alive, ready, or stopping."""

    status: Literal["ok", "ready"]

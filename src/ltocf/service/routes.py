"""The paths under /v1."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic_core import to_json

from ltocf.data.ids import UNKNOWN, IdMap
from ltocf.service.addresses import only_known_parameters, two_ids
from ltocf.service.answers import Explained, FoundItems, HistoryList, OneList, RunFacts, SimilarItems, UserLists
from ltocf.service.batches import Batches
from ltocf.service.bodies import later
from ltocf.service.engine import Engine
from ltocf.service.errors import UnknownRunError
from ltocf.service.limits import check_sizes
from ltocf.service.loaded import Loaded
from ltocf.service.metrics import Metrics
from ltocf.service.schemas import ErrorBody, ExplainAsked, RecommendAsked
from ltocf.service.settings import ServiceSettings
from ltocf.service.traffic import Traffic

ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorBody, "description": "The token is missing or wrong."},
    403: {"model": ErrorBody, "description": "The service may not be called by this name."},
    404: {"model": ErrorBody, "description": "An unknown id or run."},
    408: {"model": ErrorBody, "description": "The body came too slowly."},
    413: {"model": ErrorBody, "description": "The body is too large."},
    422: {"model": ErrorBody, "description": "The request breaks a rule, or the model cannot answer it."},
    503: {
        "model": ErrorBody,
        "description": "Too many requests or bodies at a time, or the service stops; ask again after `Retry-After`.",
    },
}
SEVERAL = 8
"""From so many users on a thread makes the lists, one request at a time: the others would wait too long."""

router = APIRouter(prefix="/v1", responses=ERRORS, tags=["answers"], dependencies=[Depends(only_known_parameters)])


@dataclass(frozen=True)
class Asking:
    """One request: the model that answers it, the limits, and what is counted."""

    loaded: Loaded
    settings: ServiceSettings
    metrics: Metrics
    batches: Batches
    large: asyncio.Semaphore
    traffic: Traffic

    async def list_of_user(self, user: str, k: int, unknown: Literal["error", "popular"], *, seen: bool) -> OneList:
        """The list of a user, made together with those that others ask for now."""
        each = partial(self.loaded.recommend_each, k=k, exclude_seen=seen)
        found: OneList = await self.batches.ask((self.loaded, "users", k, seen), each, user)
        alone = found.by == "popular" and unknown == "error"
        return self.loaded.recommend_one(user, k, unknown, exclude_seen=seen) if alone else found

    async def list_of_history(self, asked: RecommendAsked) -> HistoryList:
        """The list for a history, made together with those that others ask for now."""
        history, k, seen = asked.history or [], asked.k, asked.exclude_seen
        each = partial(self.loaded.recommend_histories, k=k, exclude_seen=seen)
        found: HistoryList = await self.batches.ask((self.loaded, "histories", k, seen), each, history)
        alone = found.by == "popular" and asked.unknown != "popular"
        return self.loaded.recommend_history(history, k, asked.unknown, exclude_seen=seen) if alone else found

    def count(self, *, users: list[Any] | None = None, items: list[Any] | None = None) -> None:
        """Count the ids that were not in training."""
        names = self.loaded.snapshot.names
        for kind, ids, asked in (("user", names.user_ids, users), ("item", names.item_ids, items)):
            if n := _n_unknown(ids, asked or []):
                self.metrics.unknown.labels(kind).inc(n)

    def lists(self, asked: RecommendAsked) -> UserLists | HistoryList:
        """What was asked for."""
        choice = {"exclude_seen": asked.exclude_seen, "only": asked.only, "exclude": asked.exclude}
        if asked.users is not None:
            return self.loaded.recommend(asked.users, asked.k, asked.unknown, **choice)
        return self.loaded.recommend_history(asked.history or [], asked.k, asked.unknown, **choice)


def _n_unknown(ids: IdMap, asked: list[Any]) -> int:
    return sum(ids.encode_one(one) == UNKNOWN for one in asked)


async def _asking(
    request: Request, run: Annotated[str, Query(description="which run answers; the first by default")] = ""
) -> Asking:
    engines: dict[str, Engine] = request.app.state.engines
    if run and run not in engines:
        raise UnknownRunError(f"`run` must be one of {', '.join(engines)}", repr(run), "`/v1/runs` lists them")
    engine = engines[run] if run else next(iter(engines.values()))
    state = request.app.state
    return Asking(engine.loaded, state.settings, state.metrics, state.batches, state.large, state.traffic)


Asked = Annotated[Asking, Depends(_asking)]
K = Annotated[int, Query(ge=1, description="items in the list")]
Ids = Annotated[list[str] | None, Query()]
Similarity = Literal["cosine", "inner_product", "history"]


def written(answer: object) -> Response:
    """An answer as JSON, without the second look that FastAPI would take at it."""
    return Response(to_json(answer), media_type="application/json")


@router.get("/recommend/{user:id}", response_model=OneList, summary="The best items for a user of training")
async def recommend(
    user: str,
    ask: Asked,
    k: K = 10,
    exclude_seen: bool = True,
    unknown: Literal["error", "popular"] = "error",
    only: Ids = None,
    exclude: Ids = None,
) -> Response:
    check_sizes(ask.settings, k=k)
    ask.count(users=[user])
    if only is None and exclude is None:
        return written(await ask.list_of_user(user, k, unknown, seen=exclude_seen))
    choice = {"exclude_seen": exclude_seen, "only": only, "exclude": exclude}
    return written(ask.loaded.recommend_one(user, k, unknown, **choice))


@router.post(
    "/recommend", response_model=UserLists | HistoryList, summary="The best items for many users, or for a history"
)
async def recommend_asked(asked: RecommendAsked, ask: Asked) -> Response:
    check_sizes(ask.settings, k=asked.k, history=asked.history, users=asked.users)
    ask.count(users=asked.users, items=asked.history)
    if asked.history is not None:
        ask.metrics.fold_ins.inc()
        if asked.only is None and asked.exclude is None:
            return written(await ask.list_of_history(asked))
    if len(asked.users or ()) < SEVERAL:
        return written(ask.lists(asked))
    if ask.traffic.large >= ask.settings.max_large:
        return later(ask.settings, "too many requests for many users at a time", ask.traffic.large)
    ask.traffic.large += 1
    try:
        async with ask.large:
            return await run_in_threadpool(lambda: written(ask.lists(asked)))
    finally:
        ask.traffic.large -= 1


@router.get("/similar/{item:id}", response_model=SimilarItems, summary="The items nearest to an item")
async def similar(item: str, ask: Asked, k: K = 10, by: Similarity = "cosine") -> Response:
    check_sizes(ask.settings, k=k)
    ask.count(items=[item])
    return written(await run_in_threadpool(ask.loaded.similar, item, k, by))


@router.get("/items", response_model=FoundItems, summary="Items by a part of their title or id")
async def items(ask: Asked, q: Annotated[str, Query(description="what is typed")] = "", k: K = 20) -> Response:
    check_sizes(ask.settings, k=k, typed=q)
    return written(ask.loaded.find(q, k))


@router.get("/explain/{user:id}/{item:id}", response_model=Explained, summary="Why an item has its score for a user")
async def explain(user: str, item: str, ask: Asked, request: Request) -> Response:
    user, item = two_ids(request, f"{user}/{item}")
    ask.count(users=[user], items=[item])
    return written(ask.loaded.explain(user, item))


@router.post("/explain", response_model=Explained, summary="Why an item has its score, also for a history")
async def explain_asked(asked: ExplainAsked, ask: Asked) -> Response:
    check_sizes(ask.settings, history=asked.history)
    if asked.user is not None:
        ask.count(users=[asked.user], items=[asked.item])
        return written(ask.loaded.explain(asked.user, asked.item))
    history = asked.history or []
    ask.count(items=[asked.item, *history])
    return written(ask.loaded.explain_history(history, asked.item))


@router.get("/runs", summary="The runs that are served")
async def runs(request: Request) -> list[RunFacts]:
    return [engine.facts() for engine in request.app.state.engines.values()]

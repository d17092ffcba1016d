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
from ltocf.service.bodies import try_later
from ltocf.service.engine import Engine
from ltocf.service.errors import UnknownRunError
from ltocf.service.limits import check_sizes
from ltocf.service.loaded import Loaded
from ltocf.service.metrics import Metrics
from ltocf.service.schemas import ErrorBody, ExplainRequest, RecommendRequest
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
MANY_USERS = 8
"""From this many users on, lists are made on a thread, one request at a time: the others would wait too long."""

router = APIRouter(prefix="/v1", responses=ERRORS, tags=["answers"], dependencies=[Depends(only_known_parameters)])


@dataclass(frozen=True)
class Context:
    """What a request is answered with: the model, the limits, and what is counted."""

    loaded: Loaded
    settings: ServiceSettings
    metrics: Metrics
    batches: Batches
    large: asyncio.Semaphore
    traffic: Traffic

    async def list_of_user(
        self, user: str, k: int, unknown: Literal["error", "popular"], *, exclude_seen: bool
    ) -> OneList:
        """The list of a user, made together with those of other requests."""
        answer = partial(self.loaded.recommend_each, k=k, exclude_seen=exclude_seen)
        found: OneList = await self.batches.ask((self.loaded, "users", k, exclude_seen), answer, user)
        if found.by == "popular" and unknown == "error":
            return self.loaded.recommend_one(user, k, unknown, exclude_seen=exclude_seen)
        return found

    async def list_of_history(self, body: RecommendRequest) -> HistoryList:
        """The list for a history, made together with those of other requests."""
        history, k, exclude_seen = body.history or [], body.k, body.exclude_seen
        answer = partial(self.loaded.recommend_histories, k=k, exclude_seen=exclude_seen)
        found: HistoryList = await self.batches.ask((self.loaded, "histories", k, exclude_seen), answer, history)
        if found.by == "popular" and body.unknown != "popular":
            return self.loaded.recommend_history(history, k, body.unknown, exclude_seen=exclude_seen)
        return found

    def count_unknown(self, *, users: list[Any] | None = None, items: list[Any] | None = None) -> None:
        """Count the ids that were not in training."""
        names = self.loaded.snapshot.names
        for kind, known, ids in (("user", names.user_ids, users), ("item", names.item_ids, items)):
            if n := _n_unknown(known, ids or []):
                self.metrics.unknown.labels(kind).inc(n)

    def lists(self, body: RecommendRequest) -> UserLists | HistoryList:
        """The lists of users, or the list for a history."""
        choice = {"exclude_seen": body.exclude_seen, "only": body.only, "exclude": body.exclude}
        if body.users is not None:
            return self.loaded.recommend(body.users, body.k, body.unknown, **choice)
        return self.loaded.recommend_history(body.history or [], body.k, body.unknown, **choice)


def _n_unknown(known: IdMap, ids: list[Any]) -> int:
    return sum(known.encode_one(id) == UNKNOWN for id in ids)


async def _context(
    request: Request, run: Annotated[str, Query(description="which run answers; the first by default")] = ""
) -> Context:
    engines: dict[str, Engine] = request.app.state.engines
    if run and run not in engines:
        raise UnknownRunError(f"`run` must be one of {', '.join(engines)}", repr(run), "`/v1/runs` lists them")
    engine = engines[run] if run else next(iter(engines.values()))
    state = request.app.state
    return Context(engine.loaded, state.settings, state.metrics, state.batches, state.large, state.traffic)


RequestContext = Annotated[Context, Depends(_context)]
K = Annotated[int, Query(ge=1, description="items in the list")]
Ids = Annotated[list[str] | None, Query()]
Similarity = Literal["cosine", "inner_product", "history"]


def json_response(answer: object) -> Response:
    """An answer as JSON, which FastAPI would validate a second time."""
    return Response(to_json(answer), media_type="application/json")


@router.get("/recommend/{user:id}", response_model=OneList, summary="The best items for a user of training")
async def recommend(
    user: str,
    context: RequestContext,
    k: K = 10,
    exclude_seen: bool = True,
    unknown: Literal["error", "popular"] = "error",
    only: Ids = None,
    exclude: Ids = None,
) -> Response:
    check_sizes(context.settings, k=k)
    context.count_unknown(users=[user])
    if only is None and exclude is None:
        return json_response(await context.list_of_user(user, k, unknown, exclude_seen=exclude_seen))
    choice = {"exclude_seen": exclude_seen, "only": only, "exclude": exclude}
    return json_response(context.loaded.recommend_one(user, k, unknown, **choice))


@router.post(
    "/recommend", response_model=UserLists | HistoryList, summary="The best items for many users, or for a history"
)
async def recommend_by_body(body: RecommendRequest, context: RequestContext) -> Response:
    check_sizes(context.settings, k=body.k, history=body.history, users=body.users)
    context.count_unknown(users=body.users, items=body.history)
    if body.history is not None:
        context.metrics.fold_ins.inc()
        if body.only is None and body.exclude is None:
            return json_response(await context.list_of_history(body))
    if len(body.users or ()) < MANY_USERS:
        return json_response(context.lists(body))
    traffic = context.traffic
    if traffic.large >= context.settings.max_large:
        return try_later(context.settings, "too many requests for many users at a time", traffic.large)
    traffic.large += 1
    try:
        async with context.large:
            return await run_in_threadpool(lambda: json_response(context.lists(body)))
    finally:
        traffic.large -= 1


@router.get("/similar/{item:id}", response_model=SimilarItems, summary="The items nearest to an item")
async def similar(item: str, context: RequestContext, k: K = 10, by: Similarity = "cosine") -> Response:
    check_sizes(context.settings, k=k)
    context.count_unknown(items=[item])
    return json_response(await run_in_threadpool(context.loaded.similar, item, k, by))


@router.get("/items", response_model=FoundItems, summary="Items by a part of their title or id")
async def items(
    context: RequestContext, q: Annotated[str, Query(description="what is typed")] = "", k: K = 20
) -> Response:
    check_sizes(context.settings, k=k, typed=q)
    return json_response(context.loaded.find(q, k))


@router.get("/explain/{user:id}/{item:id}", response_model=Explained, summary="Why an item has its score for a user")
async def explain(user: str, item: str, context: RequestContext, request: Request) -> Response:
    user, item = two_ids(request, f"{user}/{item}")
    context.count_unknown(users=[user], items=[item])
    return json_response(context.loaded.explain(user, item))


@router.post("/explain", response_model=Explained, summary="Why an item has its score, also for a history")
async def explain_by_body(body: ExplainRequest, context: RequestContext) -> Response:
    check_sizes(context.settings, history=body.history)
    if body.user is not None:
        context.count_unknown(users=[body.user], items=[body.item])
        return json_response(context.loaded.explain(body.user, body.item))
    history = body.history or []
    context.count_unknown(items=[body.item, *history])
    return json_response(context.loaded.explain_history(history, body.item))


@router.get("/runs", summary="The runs that are served")
async def runs(request: Request) -> list[RunFacts]:
    return [engine.facts() for engine in request.app.state.engines.values()]

"""The application: engines, routes, limits and errors put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from ltocf.installation import needs_extra
from ltocf.service import reference, routes, watching
from ltocf.service.batches import Batches
from ltocf.service.engine import Engine, named
from ltocf.service.errors import answer_errors
from ltocf.service.gate import Gate
from ltocf.service.metrics import Metrics
from ltocf.service.pages.routes import page_routes
from ltocf.service.settings import DEFAULTS, ServiceSettings
from ltocf.service.traffic import Traffic

Runs = str | Path | Sequence[str | Path]


def create_app(runs: Runs, settings: ServiceSettings = DEFAULTS) -> FastAPI:
    """An ASGI application that serves finished runs; the first one answers unless a request names another.

    Args:
        runs: the folder of a run or a model file, or several.
        settings: limits and switches.

    Raises:
        FileNotFoundError: no finished run.
        ValueError: a damaged model file, no run at all, or two of one name.
        ImportError: ``settings.mcp`` without the extra ``mcp``.
    """
    paths = [runs] if isinstance(runs, (str, Path)) else list(runs)
    return application([Engine(path, settings) for path in paths], settings)


def application(engines: Sequence[Engine], settings: ServiceSettings) -> FastAPI:
    """The application that answers by these engines. Raises ValueError as `create_app`."""
    by_name = named(engines)
    metrics, traffic = Metrics(), Traffic()
    app = FastAPI(
        title="LT-OCF",
        summary="Recommendations from a finished run.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        middleware=_middleware(settings, traffic, metrics),
    )
    app.state.engines, app.state.settings = by_name, settings
    app.state.metrics, app.state.traffic = metrics, traffic
    app.state.batches, app.state.large = Batches(), asyncio.Semaphore(1)
    for engine in engines:
        metrics.follow(engine)
    answer_errors(app)
    for router in (routes.router, watching.router, reference.router):
        app.include_router(router)
    if settings.mcp:
        import_tools().add_tools(app, engines, settings)
    app.include_router(page_routes(by_name))
    return app


def import_tools() -> ModuleType:
    """`ltocf.service.tools`. Raises an ImportError that names the extra."""
    try:
        return import_module("ltocf.service.tools")
    except ModuleNotFoundError as error:
        raise needs_extra("tools for agents need", "mcp") from error


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Watch the folders of the runs for as long as the application runs."""
    with ExitStack() as watched:
        for engine in app.state.engines.values():
            watched.enter_context(engine.watching())
        yield


def _middleware(settings: ServiceSettings, traffic: Traffic, metrics: Metrics) -> list[Middleware]:
    gate = Middleware(Gate, settings=settings, traffic=traffic, observe=metrics.observer())
    if not settings.cors:
        return [gate]
    # Before the gate: a browser's preflight request has no token.
    origins = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
        expose_headers=["X-Request-ID", "Retry-After"],
    )
    return [origins, gate]

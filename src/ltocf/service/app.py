"""The application: engines, routes, limits and errors put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI

from ltocf.service.engine import Engine
from ltocf.service.pages.routes import page_routes
from ltocf.service.settings import DEFAULTS, ServiceSettings

Runs = str | Path | Sequence[str | Path]


def create_app(runs: Runs, settings: ServiceSettings = DEFAULTS) -> FastAPI:
    """An ASGI application that serves finished runs; the first one answers unless a request names another.

    Args:
        runs: the folder of a run or a model file, or several.
        settings: limits and switches.

    Raises:
        FileNotFoundError: no finished run.
        ValueError: a damaged model file, or no run at all.
    """
    paths = [runs] if isinstance(runs, (str, Path)) else list(runs)
    app = FastAPI(title="LT-OCF", docs_url=None, redoc_url=None)
    engines = {engine.name: engine for engine in (Engine(path, settings) for path in paths)}
    app.state.engines = engines

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    app.include_router(page_routes(engines))
    return app

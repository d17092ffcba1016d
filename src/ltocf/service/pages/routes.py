"""The routes of the page: addresses become views, views become HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from ltocf.service.engine import Engine
from ltocf.service.pages.comparison import columns_of, comparison_view
from ltocf.service.pages.home import history_ids, home_view
from ltocf.service.pages.items import ShownItem, shown_item
from ltocf.service.pages.model import RunNumbers, model_view, run_numbers
from ltocf.service.pages.query import AddressError, PageQuery
from ltocf.service.pages.templates import STATIC, rendered
from ltocf.service.sources import FolderSource

N_FOUND = 8
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
KEPT = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


def page_routes(engines: Mapping[str, Engine]) -> APIRouter:
    """The routes at ``/``, ``/fragment``, ``/search``, ``/model``, ``/compare`` and ``/static``.

    Args:
        engines: the runs by name; the first one answers unless an address names another.
    """
    pages, router = Pages(engines), APIRouter(include_in_schema=False)
    paths = {
        "/": pages.home,
        "/fragment": pages.fragment,
        "/search": pages.search,
        "/model": pages.model,
        "/compare": pages.compare,
    }
    for path, page in paths.items():
        router.add_api_route(path, pages.route(page), response_class=HTMLResponse)
    router.add_api_route("/static/{name}", static_file, response_class=FileResponse)
    return router


class Pages:
    """The pages of some runs; the numbers of a run's folder are read once for each generation."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self.engines, self.names = engines, list(engines)
        self._numbers = lru_cache(maxsize=2 * len(engines))(_numbers)

    def route(self, page: Callable[[PageQuery], Response]) -> Callable[[Request], Response]:
        """The route of a page; an address that has no meaning gets a page that says so."""

        def answer(request: Request) -> Response:
            try:
                return page(PageQuery.of(request.query_params.multi_items()))
            except AddressError as error:
                return _html("mistake.html", 422, pages=self, text=str(error), query=PageQuery(), tab="")

        return answer

    def home(self, query: PageQuery) -> Response:
        """The first page."""
        return self._home("home.html", query)

    def fragment(self, query: PageQuery) -> Response:
        """The parts of the first page that change."""
        return self._home("live.html", query)

    def search(self, query: PageQuery) -> Response:
        """What a search finds."""
        values = {"found": self._found(query), "in_history": history_ids(self._engine(query.run).snapshot, query)}
        return _html("results.html", 200, query=query, **values)

    def model(self, query: PageQuery) -> Response:
        """What the model learned."""
        engine = self._engine(query.run)
        view = model_view(engine.snapshot, self._numbers_of(engine))
        return _html("model.html", 200, pages=self, view=view, query=PageQuery(query.run), tab="model")

    def compare(self, query: PageQuery) -> Response:
        """The first two runs side by side."""
        if len(self.names) < 2:
            raise AddressError("two runs must be served to be compared, got one; serve both: `ltocf serve RUN OTHER`")
        names = (self.names[0], self.names[1])
        engines = [self.engines[name] for name in names]
        view = comparison_view(names, list(map(_folder, engines)), list(map(self._numbers_of, engines)))
        start = home_view(engines[0].snapshot, PageQuery())
        columns = () if query.is_empty else columns_of(names, [home_view(run.snapshot, query) for run in engines])
        values = {"view": view, "query": query, "columns": columns, "example": start.users}
        return _html("compare.html", 200, pages=self, tab="compare", **values)

    def _home(self, template: str, query: PageQuery) -> Response:
        view = home_view(self._engine(query.run).snapshot, query)
        status = 404 if view.error and not view.history else 200
        values = {"view": view, "found": self._found(query), "in_history": view.in_history}
        return _html(template, status, pages=self, query=query, tab="home", **values)

    def _engine(self, name: str) -> Engine:
        if name and name not in self.engines:
            known = ", ".join(self.names)
            raise AddressError(f"`run` must be one of {known}, got {name!r}; leave it out for the first")
        return self.engines[name or self.names[0]]

    def _found(self, query: PageQuery) -> tuple[ShownItem, ...]:
        if not query.search:
            return ()
        loaded = self._engine(query.run).loaded
        return tuple(shown_item(loaded.snapshot.names, index) for index in loaded.finder.find(query.search, N_FOUND))

    def _numbers_of(self, engine: Engine) -> RunNumbers:
        return self._numbers(engine, engine.generation)


def static_file(name: str) -> Response:
    """A style sheet, a script or a picture of the page."""
    if name not in STATIC:
        return Response(status_code=404)
    return FileResponse(STATIC[name], media_type=MEDIA_TYPES[STATIC[name].suffix], headers=KEPT)


def _numbers(engine: Engine, generation: int) -> RunNumbers:
    return run_numbers(_folder(engine))


def _folder(engine: Engine) -> Path:
    """The folder of the run's newest generation."""
    return FolderSource(engine.run, engine.settings.follow).newest()


def _html(template: str, status: int, **values: object) -> Response:
    return HTMLResponse(rendered(template, **values), status, HEADERS)

"""The routes of the page: addresses become views, views become HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from ltocf.service.engine import Engine
from ltocf.service.pages.comparison import columns_of, comparison_view
from ltocf.service.pages.home import HomeView, home_view
from ltocf.service.pages.items import ShownItem, shown_item
from ltocf.service.pages.model import RunNumbers, model_view, run_numbers
from ltocf.service.pages.query import USUAL_CARDS, PageQuery
from ltocf.service.pages.search import ItemSearch
from ltocf.service.pages.templates import STATIC, rendered

N_FOUND = 8
LONGEST_SEARCH = 200
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
Texts = Annotated[list[str] | None, Query()]


class Pages:
    """What the page keeps of each run: an index to search in, and the numbers of its folder, of one generation each."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self.engines = engines
        self.search = lru_cache(maxsize=2 * len(engines))(self._search)
        self.numbers = lru_cache(maxsize=2 * len(engines))(self._numbers)

    @property
    def names(self) -> list[str]:
        """Of the runs, the first one first."""
        return list(self.engines)

    def engine(self, name: str) -> Engine:
        """The engine of a run.

        Raises:
            KeyError: no run of that name.
        """
        if name and name not in self.engines:
            raise KeyError(f"`run` must be one of {', '.join(self.engines)}, got {name!r}; leave it out for the first")
        return self.engines[name or self.names[0]]

    def home(self, query: PageQuery) -> HomeView:
        """The first page for an address."""
        return home_view(self.engine(query.run).snapshot, query)

    def found(self, query: PageQuery) -> tuple[ShownItem, ...]:
        """Items that a search finds."""
        engine = self.engine(query.run)
        snapshot = engine.snapshot
        search = self.search(engine.name, snapshot.version)
        return tuple(shown_item(snapshot.names, index) for index in search.find(query.search, N_FOUND))

    def numbers_of(self, engine: Engine) -> RunNumbers:
        """The numbers of the folder that a run was loaded from."""
        return self.numbers(engine.run, engine.generation)

    def _search(self, name: str, version: str) -> ItemSearch:
        return ItemSearch(self.engines[name].snapshot)

    def _numbers(self, path: Path, generation: int) -> RunNumbers:
        return run_numbers(path)


def page_routes(engines: Mapping[str, Engine]) -> APIRouter:
    """The routes at ``/``, ``/model``, ``/compare``, ``/search``, ``/fragment`` and ``/static``."""
    pages = Pages(engines)
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    @router.get("/fragment")
    @router.get("/search")
    def home(
        request: Request,
        run: str = "",
        user: str | None = None,
        item: Texts = None,
        without: Texts = None,
        q: str = "",
        similar: str | None = None,
        k: str = str(USUAL_CARDS),
    ) -> Response:
        path = request.url.path.rpartition("/")[2]
        try:
            query = _query(run, user, item, without, q, similar, k)
            view = pages.home(query) if path != "search" else HomeView(query, "")
            found = pages.found(query) if query.search and path != "fragment" else ()
            if path == "search":
                known = frozenset(query.added)
                return _html("results.html", 200, view=view, query=query, found=found, in_history=known)
        except (KeyError, ValueError) as error:
            return _mistake(pages, str(error.args[0]))
        status = 404 if view.error and not view.history else 200
        template = "live.html" if path == "fragment" else "home.html"
        return _html(
            template, status, pages=pages, view=view, query=query, found=found, in_history=view.in_history, tab="home"
        )

    @router.get("/model")
    def model(run: str = "") -> Response:
        try:
            engine = pages.engine(run)
        except KeyError as error:
            return _mistake(pages, str(error.args[0]))
        view = model_view(engine.snapshot, pages.numbers_of(engine))
        return _html(
            "model.html", 200, pages=pages, view=view, query=PageQuery(run=run), engine=engine, tab="model"
        )

    @router.get("/compare")
    def compare(
        user: str | None = None, item: Texts = None, without: Texts = None, k: str = str(USUAL_CARDS)
    ) -> Response:
        try:
            query = _query("", user, item, without, "", None, k)
            if len(pages.names) < 2:
                return _mistake(pages, "two runs are needed to compare them, got one; serve both: ltocf serve A B")
        except ValueError as error:
            return _mistake(pages, str(error))
        names = (pages.names[0], pages.names[1])
        both = [pages.engines[name] for name in names]
        view = comparison_view(names, [one.run for one in both], [pages.numbers_of(one) for one in both])
        people = [] if query.is_empty else [pages.home(query.on_run(name)) for name in names]
        columns = columns_of(names, people) if people else ()
        example = pages.home(PageQuery()).users
        return _html(
            "compare.html", 200, pages=pages, view=view, query=query, columns=columns, example=example, tab="compare"
        )

    @router.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            return Response(status_code=404)
        file = STATIC[name]
        kept = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return FileResponse(file, media_type=MEDIA_TYPES[file.suffix], headers=kept)

    return router


def _query(
    run: str,
    user: str | None,
    item: list[str] | None,
    without: list[str] | None,
    q: str,
    similar: str | None,
    k: str,
) -> PageQuery:
    """The address taken apart; an empty field of a form is none."""
    if len(q) > LONGEST_SEARCH:
        raise ValueError(f"`q` must have at most {LONGEST_SEARCH} characters, got {len(q)}; search for a part of it")
    if not k.isdecimal():
        raise ValueError(f"`k` must be a whole number, got {k!r}; leave it out for {USUAL_CARDS}")
    added, removed = (tuple(dict.fromkeys(ids or ())) for ids in (item, without))
    user = user.strip() if user is not None else ""
    query = PageQuery(run, user or None, added, removed if user else (), q.strip(), similar or None, int(k))
    return query if not (both := set(added) & set(removed)) else replace(query, removed=_minus(removed, both))


def _minus(items: tuple[str, ...], others: set[str]) -> tuple[str, ...]:
    return tuple(item for item in items if item not in others)


def _mistake(pages: Pages, text: str) -> Response:
    return _html("mistake.html", 422, pages=pages, text=text, query=PageQuery(), tab="")


def _html(template: str, status: int, **values: object) -> Response:
    return HTMLResponse(rendered(template, **values), status, HEADERS)

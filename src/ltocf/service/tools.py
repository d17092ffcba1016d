"""The service as tools for agents, over the Model Context Protocol (MCP): the same answers and limits as over HTTP."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from fastapi import FastAPI
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import AfterValidator, Field, RootModel, ValidationError

from ltocf.service.answers import Explained, FoundItems, HistoryList, Id, OneList, Reason, SimilarItems
from ltocf.service.engine import Engine, named
from ltocf.service.errors import CORRECT, UnknownRunError
from ltocf.service.limits import check_sizes
from ltocf.service.loaded import Loaded
from ltocf.service.logs import write_logs
from ltocf.service.schemas import whole_characters
from ltocf.service.settings import ServiceSettings
from ltocf.serving import RequestError

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

PATH = "/mcp"
"""The path of the tools."""
READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
# A text, though ids may be integers: "42" finds 42, and a text that looks like JSON stays a text.
GivenId = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(whole_characters)]
User = Annotated[GivenId, Field(description="Id of a user of the training data.")]
Item = Annotated[GivenId, Field(description="Id of an item, as search_items finds it.")]
History = Annotated[
    list[GivenId], Field(min_length=1, description="Ids of the items that somebody liked or used, the oldest first.")
]
Text = Annotated[str, Field(description="What to look for, without regard to case and accents.")]
K = Annotated[int, Field(ge=1, description="How many items to list.")]
Reasons = Annotated[int, Field(ge=1, description="How many of the strongest reasons to list.")]
Unknown = Annotated[
    Literal["error", "popular"],
    Field(description="What somebody whom the model does not know gets: an error, or the most popular items."),
]
Run = Annotated[str, Field(description="Name of the run that answers; leave it out for the first one.")]


@dataclass(frozen=True, slots=True)
class Why:
    """Why an item has its score, the sum of ``own``, ``popularity``, ``others`` and the contributions of ``reasons``.

    ``own`` is what the user's own embedding adds, ``popularity`` what the item's popularity adds, ``others`` what the
    rest of the history adds.
    """

    item: Id
    title: str | None
    score: float
    own: float
    popularity: float
    reasons: list[Reason]
    others: float
    ignored: list[Id]


# The package mcp makes a schema of a dataclass with slots only inside a model.
OneListModel = RootModel[OneList]
HistoryListModel = RootModel[HistoryList]
SimilarItemsModel = RootModel[SimilarItems]
FoundItemsModel = RootModel[FoundItems]
WhyModel = RootModel[Why]


class ToolServer(MCPServer[Any]):
    """An MCP server whose errors are the rule, the value and the remedy, in one sentence each."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | Any:
        """Call a tool; arguments of a wrong kind or name are reported like other errors."""
        for tool in await self.list_tools():
            if tool.name == name and (unknown := sorted(arguments.keys() - tool.input_schema["properties"].keys())):
                rule = f"arguments must be among {', '.join(tool.input_schema['properties'])}"
                raise ToolError(_sentence(rule, str(unknown)[:200], "leave out the others"))
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            details = error.__cause__.errors(include_url=False)[0]
            argument = ".".join(str(part) for part in details["loc"])
            raise ToolError(_sentence(f"`{argument}`: {details['msg']}", repr(details["input"])[:200], "")) from error


def tool_server(engines: Sequence[Engine], settings: ServiceSettings) -> ToolServer:
    """A server of tools over runs; the first one answers unless a call names another. Raises ValueError as `named`."""
    by_name = named(engines)
    server = ToolServer("ltocf", title="LT-OCF", instructions=_instructions(engines), version=version("ltocf"))

    def chosen(run: str) -> Loaded:
        if run and run not in by_name:
            raise UnknownRunError(f"`run` must be one of {', '.join(by_name)}", repr(run), "leave it out for the first")
        return (by_name[run] if run else engines[0]).loaded

    _add_lists(server, chosen, settings)
    _add_reasons(server, chosen, settings)
    return server


def serve_stdio(runs: Sequence[str | Path], settings: ServiceSettings) -> None:
    """Answer one agent on standard input and output until the input ends; log lines go to standard error.

    Raises:
        FileNotFoundError: no finished run.
        ValueError: a damaged model file, no run at all, or two of one name.
    """
    write_logs(as_json=settings.json_logs)
    engines = [Engine(run, settings) for run in runs]
    with ExitStack() as watched:
        for engine in engines:
            watched.enter_context(engine.watching())
        tool_server(engines, settings).run("stdio")


def add_tools(app: FastAPI, engines: Sequence[Engine], settings: ServiceSettings) -> None:
    """Give an application its tools at `PATH`, by streamable HTTP without sessions: any worker answers any call."""
    server = tool_server(engines, settings)
    tool_app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=settings.max_body_bytes,
        host="",  # the gate refuses other hosts, as for all paths
    )
    app.router.routes.extend(tool_app.routes)
    app_lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with app_lifespan(app) as state, server.session_manager.run():
            yield state

    app.router.lifespan_context = lifespan


def _instructions(engines: Sequence[Engine]) -> str:
    runs = []
    for engine in engines:
        n_users, n_items = engine.snapshot.names.sizes
        runs.append(f"{engine.name} ({engine.snapshot.name}, {n_users:,} users, {n_items:,} items)")
    return (
        f"Recommendations from models trained on who touched which item. Runs: {'; '.join(runs)}. Items are named by "
        "their ids: find them by title with search_items first. A higher score is a better recommendation; scores are "
        "for comparing items of one list, not probabilities."
    )


def _answering(ask: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Errors that the caller can correct become messages to the agent; all others stay in the log."""

    @wraps(ask)
    def answer(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        try:
            return ask(*args, **kwargs)
        except RequestError as error:
            raise ToolError(_sentence(error.rule, error.value, error.remedy or CORRECT)) from error

    return answer


def _sentence(rule: str, value: str | None, remedy: str) -> str:
    got = "" if value is None else f" Value: {value}."
    return f"Rule: {rule}.{got}" + (f" Remedy: {remedy}." if remedy else "")


def _add_lists(server: ToolServer, chosen: Callable[[str], Loaded], settings: ServiceSettings) -> None:
    @server.tool(annotations=READS)
    @_answering
    def recommend_for_user(user: User, k: K = 10, unknown: Unknown = "error", run: Run = "") -> OneListModel:
        """The best items for a user of the training data, best first, without those that the user touched already."""
        check_sizes(settings, k=k)
        return OneListModel(chosen(run).recommend_one(user, k, unknown))

    @server.tool(annotations=READS)
    @_answering
    def recommend_for_history(
        history: History, k: K = 10, unknown: Unknown = "error", run: Run = ""
    ) -> HistoryListModel:
        """The best items for somebody who touched some items, best first, without those items.

        For new people, or to ask what would follow if somebody liked these items. Ids that the model does not know are
        in `ignored`.
        """
        check_sizes(settings, k=k, history=history)
        return HistoryListModel(chosen(run).recommend_history(history, k, unknown))

    @server.tool(annotations=READS)
    @_answering
    def similar_items(item: Item, k: K = 10, run: Run = "") -> SimilarItemsModel:
        """The items nearest to one item, nearest first. The score is a cosine: 1 is the same direction."""
        check_sizes(settings, k=k)
        return SimilarItemsModel(chosen(run).similar(item, k))

    @server.tool(annotations=READS)
    @_answering
    def search_items(text: Text, k: K = 10, run: Run = "") -> FoundItemsModel:
        """Items whose title or id contains a text; an empty text finds the most popular.

        `count` is how many users touched the item.
        """
        check_sizes(settings, k=k, typed=text)
        return FoundItemsModel(chosen(run).find(text, k))


def _add_reasons(server: ToolServer, chosen: Callable[[str], Loaded], settings: ServiceSettings) -> None:
    @server.tool(annotations=READS)
    @_answering
    def explain_for_user(user: User, item: Item, reasons: Reasons = 5, run: Run = "") -> WhyModel:
        """Why an item has its score for a user: which items of their history add how much to it.

        own + popularity + others + the contributions of the listed reasons make the score exactly.
        """
        check_sizes(settings, k=reasons)
        return WhyModel(_strongest(chosen(run).explain(user, item), reasons))

    @server.tool(annotations=READS)
    @_answering
    def explain_for_history(history: History, item: Item, reasons: Reasons = 5, run: Run = "") -> WhyModel:
        """Why an item has its score for somebody who touched some items: which of these add how much to it.

        own + popularity + others + the contributions of the listed reasons make the score exactly.
        """
        check_sizes(settings, k=reasons, history=history)
        return WhyModel(_strongest(chosen(run).explain_history(history, item), reasons))


def _strongest(why: Explained, n: int) -> Why:
    ranked = sorted(why.history, key=lambda reason: -abs(reason.contribution))
    others = math.fsum(reason.contribution for reason in ranked[n:])
    return Why(why.item, why.title, why.score, why.own, why.popularity, ranked[:n], others, why.ignored)

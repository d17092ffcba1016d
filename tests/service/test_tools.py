"""The tools, called by the protocol's own client: in process, over standard input and output, and over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
from fastapi.testclient import TestClient
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

import ltocf
from ltocf.data.ids import IdMap
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.service.app import create_app
from ltocf.service.engine import Engine
from ltocf.service.settings import ServiceSettings
from ltocf.service.tools import tool_server
from ltocf.serving import Snapshot, TrainedModel
from samples import random_interactions

LOG = random_interactions(20, 30)
USERS = ["null", "7", "[1]", "a; b, got c", *(f"u{user}" for user in range(16))]
ITEMS = ["true", "a/b?c=%2F", *(f"i{item}" for item in range(28))]
TITLES = ("Le Fabuleux", "<script>", *(f"Film {item}" for item in range(28)))
SETTINGS = ServiceSettings(max_k=12, max_history=3, max_query=20, watch_seconds=0, mcp=True)
TOOLS = {
    "recommend_for_user": {"user": "u3"},
    "recommend_for_history": {"history": ["i1", "i2"]},
    "similar_items": {"item": "i1"},
    "search_items": {"text": "film 7"},
    "explain_for_user": {"user": "u3", "item": "i1"},
    "explain_for_history": {"history": ["i1", "i2"], "item": "i3"},
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = build_model("lightgcn", BipartiteGraph.from_interactions(LOG), {"dim": 4})
    model.prepare()
    path = tmp_path_factory.mktemp("tools") / "shop.safetensors"
    TrainedModel("lightgcn", {"dim": 4}, model, LOG, Names(IdMap(USERS), IdMap(ITEMS), TITLES)).save(path)
    return path


@pytest.fixture(scope="module")
def snapshot(file: Path) -> Snapshot:
    return Snapshot.open(file)


async def _results(server: Any, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    async with server if isinstance(server, Client) else Client(server) as client:
        return [await client.call_tool(name, arguments) for name, arguments in calls]


def call_tools(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    return anyio.run(_results, server, list(calls))


def tools(file: Path) -> Any:
    return tool_server([Engine(file, SETTINGS)], SETTINGS)


def error_of(result: Any) -> str:
    assert result.is_error
    return str(result.content[0].text)


@contextmanager
def listening(file: Path, settings: ServiceSettings = SETTINGS) -> Iterator[str]:
    """A service in a thread, on a free port of loopback; gives its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(file, settings), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def test_answers_are_those_of_the_snapshot(file: Path, snapshot: Snapshot) -> None:
    listed, folded, near, found = call_tools(
        tools(file),
        ("recommend_for_user", {"user": "u3", "k": 4}),
        ("recommend_for_history", {"history": ["i1", "i2", "nothing"], "k": 4}),
        ("similar_items", {"item": "i1", "k": 4}),
        ("search_items", {"text": "fabuleux"}),
    )
    items = [row["item"] for row in listed.structured_content["items"]]
    assert items == snapshot.recommend("u3", 4)["item"].to_list()
    assert json.loads(listed.content[0].text) == listed.structured_content
    assert [row["item"] for row in folded.structured_content["items"]] == snapshot.fold_in([["i1", "i2"]], 4)[
        "item"
    ].to_list()
    assert folded.structured_content["ignored"] == ["nothing"]
    near_items = [row["item"] for row in near.structured_content["items"]]
    assert near_items == snapshot.similar_items("i1", 4)["item"].to_list()
    assert [(row["item"], row["title"]) for row in found.structured_content["items"]] == [("true", "Le Fabuleux")]


def test_an_explanation_adds_up_however_few_reasons_are_listed(file: Path, snapshot: Snapshot) -> None:
    explanation = snapshot.explain("u3", "i1")
    few_reasons, all_reasons = call_tools(
        tools(file),
        ("explain_for_user", {"user": "u3", "item": "i1", "reasons": 2}),
        ("explain_for_user", {"user": "u3", "item": "i1", "reasons": 12}),
    )
    for result, n in ((few_reasons, 2), (all_reasons, min(12, len(explanation.history)))):
        why = result.structured_content
        assert len(why["reasons"]) == n
        parts = why["own"] + why["popularity"] + why["others"] + sum(row["contribution"] for row in why["reasons"])
        assert parts == pytest.approx(why["score"], abs=1e-5)
        assert why["score"] == pytest.approx(explanation.score)
    sizes = [abs(row["contribution"]) for row in few_reasons.structured_content["reasons"]]
    assert sizes == sorted(explanation.history["contribution"].abs().to_list(), reverse=True)[:2]
    assert few_reasons.structured_content["others"] != 0


def test_ids_are_taken_literally(file: Path) -> None:
    """A text that looks like JSON stays a text, and a number is the id that is written so."""
    results = call_tools(
        tools(file),
        *(("recommend_for_user", {"user": user, "k": 1}) for user in ("null", "7", 7, "[1]", "a; b, got c")),
        ("similar_items", {"item": "a/b?c=%2F"}),
        ("explain_for_user", {"user": "u3", "item": "true"}),
    )
    assert not any(result.is_error for result in results)
    users = [result.structured_content["user"] for result in results[:5]]
    assert users == ["null", "7", "7", "[1]", "a; b, got c"]


@pytest.mark.parametrize(
    ("name", "arguments", "parts"),
    [
        ("recommend_for_user", {"user": "u3", "k": 13}, ("`k` must be in 1..12", "13", "--max-k")),
        ("recommend_for_user", {"user": "u3", "k": 0}, ("`k`: Input should be greater", "0")),
        ("recommend_for_user", {"user": "u3", "k": "many"}, ("`k`: Input should be a valid integer", "'many'")),
        ("recommend_for_user", {"user": "nobody"}, ("not in training", "'nobody'", "popular")),
        ("recommend_for_user", {"user": ["u3"]}, ("`user`: Input should be a valid string", "['u3']")),
        ("recommend_for_user", {"user": "u3", "K": 3}, ("among user, k, unknown, run", "['K']", "leave out")),
        ("recommend_for_user", {}, ("`user`: Field required",)),
        ("recommend_for_user", {"user": "u3", "run": "other"}, ("`run` must be one of shop", "'other'")),
        ("recommend_for_history", {"history": ["i1"] * 4}, ("`history` must be in 1..3", "4", "--max-history")),
        ("recommend_for_history", {"history": []}, ("`history`: List should have at least 1 item", "[]")),
        ("recommend_for_history", {"history": ["nothing"]}, ("must have been in training", "'nothing'", "popular")),
        ("similar_items", {"item": "nothing"}, ("not in training", "'nothing'")),
        ("search_items", {"text": "x" * 21}, ("0..20", "21", "--max-query")),
        ("explain_for_user", {"user": "u3", "item": "i1", "reasons": 13}, ("must be in 1..12", "13")),
        ("explain_for_history", {"history": ["i1"] * 4, "item": "i1"}, ("`history` must be in 1..3", "4")),
        ("explain_for_history", {"history": ["i1"], "item": "nothing"}, ("not in training", "'nothing'")),
        ("drop_tables", {}, ("Unknown tool: drop_tables",)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_says_the_rule_the_value_and_the_remedy(
    file: Path, name: str, arguments: dict[str, Any], parts: tuple[str, ...]
) -> None:
    [result] = call_tools(tools(file), (name, arguments))
    for part in parts:
        assert part in error_of(result)


def test_an_internal_error_is_not_shown(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(file, SETTINGS)
    monkeypatch.setattr(type(engine.loaded), "find", lambda *arguments: 1 / 0)
    [result] = call_tools(tool_server([engine], SETTINGS), ("search_items", {"text": "a"}))
    assert error_of(result) == "Error executing tool search_items"


async def _description(server: Any) -> tuple[Any, list[Any]]:
    async with Client(server) as client:
        return client.instructions, (await client.list_tools()).tools


def test_every_tool_describes_its_input_and_output(file: Path) -> None:
    instructions, described_tools = anyio.run(_description, tools(file))
    assert "shop (lightgcn, 20 users, 30 items)" in instructions
    assert [tool.name for tool in described_tools] == list(TOOLS)
    for tool in described_tools:
        assert len(tool.description) > 60
        assert tool.output_schema["type"] == "object"
        assert tool.annotations.read_only_hint
        assert tool.input_schema["required"] == list(TOOLS[tool.name])
        described_inputs = {name for name, about in tool.input_schema["properties"].items() if "description" in about}
        assert described_inputs == set(tool.input_schema["properties"])


def test_several_runs_and_a_newer_model(file: Path, tmp_path: Path) -> None:
    visits = [(user, item) for user in range(6) for item in range(4) if user % 3 != item]
    ltocf.fit(visits, tmp_path / "old", model="mf", dim=2, epochs=1, n_negatives=4, show_progress=False)
    engines = [Engine(file, SETTINGS), Engine(tmp_path / "old", SETTINGS)]
    server = tool_server(engines, SETTINGS)
    ltocf.update(tmp_path / "old", [(9, 1), (9, 2)], show_progress=False)
    call = ("recommend_for_user", {"user": "9", "k": 1, "run": "old"})
    assert "not in training" in error_of(call_tools(server, call)[0])
    assert engines[1].refresh()
    [result] = call_tools(server, call)
    assert (result.structured_content["user"], result.structured_content["generation"]) == (9, 2)


def test_tools_answer_over_standard_input_and_output(file: Path, snapshot: Snapshot) -> None:
    """Standard output has nothing but the protocol: the client would pass any other line to the handler."""
    arguments = ["-m", "ltocf", "serve", str(file), "--stdio"]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    messages: list[Any] = []

    async def record(message: Any) -> None:
        messages.append(message)

    results = call_tools(
        Client(command, message_handler=record), *TOOLS.items(), ("similar_items", {"item": "nothing"})
    )
    assert messages == []
    assert [result.is_error for result in results] == [False] * len(TOOLS) + [True]
    items = [row["item"] for row in results[0].structured_content["items"]]
    assert items == snapshot.recommend("u3", 10)["item"].to_list()


def test_tools_answer_over_http_beside_the_service(file: Path, snapshot: Snapshot) -> None:
    with listening(file) as address:
        results = call_tools(f"{address}/mcp", *TOOLS.items(), ("similar_items", {"item": "nothing"}))
    assert [result.is_error for result in results] == [False] * len(TOOLS) + [True]
    items = [row["item"] for row in results[0].structured_content["items"]]
    assert items == snapshot.recommend("u3", 10)["item"].to_list()


def test_a_token_and_the_limits_hold_for_tools_too(file: Path) -> None:
    import httpx2

    settings = ServiceSettings(token="secret", mcp=True, watch_seconds=0)

    async def call_with_token(address: str, token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(f"{address}/mcp", http_client=http)
            async with Client(transport) as client:
                return await client.call_tool("similar_items", {"item": "i1"})

    with listening(file, settings) as address:
        assert not anyio.run(call_with_token, address, "secret").is_error
        with pytest.raises(BaseExceptionGroup) as refused:
            anyio.run(call_with_token, address, "other")
        assert refused.group_contains(Exception, match="Server returned an error response")
        headers = {"Authorization": "Bearer other"}
        assert httpx2.post(f"{address}/mcp", json={}, headers=headers).status_code == 401


def test_a_tool_server_needs_a_run() -> None:
    with pytest.raises(ValueError, match="there must be a run to serve, got none; give the folder of one"):
        tool_server([], SETTINGS)


def test_the_command_does_not_import_prometheus_client() -> None:
    """prometheus_client looks only when it is imported where several workers keep their metrics."""
    code = "import sys, ltocf.cli.serving; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_tools_are_served_only_if_the_settings_say_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(create_app(file, ServiceSettings(watch_seconds=0))) as client:
        assert client.post("/mcp", json={}).status_code == 404
    with TestClient(create_app(file, SETTINGS)) as client:
        assert client.post("/mcp", content=b"x" * 2_000_000).status_code == 413
    monkeypatch.setitem(sys.modules, "ltocf.service.tools", None)
    with pytest.raises(ImportError, match=r"need the `mcp` extra: pip install .*\[mcp\]"):
        create_app(file, SETTINGS)

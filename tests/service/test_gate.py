"""Token, origins, host names, request ids, logs, a full service, metrics, and the page of the API."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from ltocf.service.app import create_app
from ltocf.service.gate import Gate
from ltocf.service.loaded import Loaded
from ltocf.service.logs import JsonLines, TextLines, request_id
from ltocf.service.settings import ServiceSettings
from ltocf.service.traffic import Hosts, Traffic


def client(run: Path, **settings: Any) -> TestClient:
    app = create_app(run, ServiceSettings(watch_seconds=0, **settings))
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "Basic secret", "secret"]
)
def test_requests_without_the_token_are_refused(run: Path, header: str | None) -> None:
    service = client(run, token="secret")
    headers = {} if header is None else {"Authorization": header}
    for path in ("/v1/recommend/1", "/v1/runs", "/metrics", "/docs", "/openapi.json", "/nothing"):
        answer = service.get(path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
        assert "secret" not in answer.text
    assert service.get("/healthz", headers=headers).status_code == 200
    assert service.get("/readyz", headers=headers).status_code == 200


def test_requests_with_the_token_are_answered(run: Path) -> None:
    service = client(run, token="secret")
    for header in ("Bearer secret", "bearer secret"):
        assert service.get("/v1/recommend/1", headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize("token", ["", " ", "ä", "a\nb"])
def test_tokens_that_no_header_can_contain_are_refused(token: str) -> None:
    with pytest.raises(ValueError, match="`token` must be"):
        ServiceSettings(token=token)


def test_only_allowed_origins_may_read_answers(run: Path) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client(run).get("/v1/runs", headers=headers).headers
    service = client(run, cors=("https://shop.example",), token="secret")
    preflight = service.options("/v1/recommend", headers=headers)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    refused = service.get("/v1/runs", headers=headers)
    assert refused.headers["access-control-allow-origin"] == "https://shop.example", "a browser shows the error"
    assert set(refused.headers["access-control-expose-headers"].split(", ")) == {"X-Request-ID", "Retry-After"}
    other = service.get("/v1/runs", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_each_request_has_an_id_in_its_log_line(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    service, seen = client(run), []
    caplog.handler.addFilter(lambda record: seen.append((request_id.get(), record.getMessage())) or True)
    with caplog.at_level(logging.INFO, "ltocf.service"):
        assert service.get("/v1/recommend/1", headers={"X-Request-ID": "shop-1"}).headers["x-request-id"] == "shop-1"
        generated = service.get("/v1/recommend/1%0Aforged", headers={"X-Request-ID": "bad id"}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", generated)
    assert [name for name, _ in seen] == ["shop-1", generated]
    assert re.fullmatch(r"GET '/v1/recommend/1' 200 [0-9.]+ ms", seen[0][1])
    assert "\n" not in seen[1][1]


def test_log_lines_are_text_or_json_on_one_line() -> None:
    record = logging.LogRecord("a.b", logging.INFO, "f", 1, "one\ntwo %s", ("three",), None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z INFO \[-\] one\\ntwo three", TextLines().format(record))
    record.about = {"status": 200}
    found = json.loads(JsonLines().format(record))
    assert found.pop("time").endswith("Z")
    assert found == {"level": "INFO", "logger": "a.b", "request": "-", "message": "one\ntwo three", "status": 200}


def test_a_full_service_refuses_requests_but_not_health_checks(run: Path, held_lists: Any) -> None:
    with client(run, max_concurrent=1, retry_after_seconds=3) as service, ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.post, "/v1/recommend", json={"users": list(range(10))})
        assert held_lists.reached.wait(20)
        second = service.get("/v1/runs")
        assert (second.status_code, second.headers["retry-after"]) == (503, "3")
        assert service.get("/healthz").status_code == 200
        held_lists.release.set()
        assert first.result().status_code == 200
        assert service.get("/v1/runs").status_code == 200


def test_concurrent_requests_are_all_counted_before_any_is_answered() -> None:
    """Even if answers never wait, so that each could end before the next request is looked at."""

    async def answer_at_once(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def ask(gate: Gate, statuses: list[int]) -> None:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        await gate({"type": "http", "method": "GET", "path": "/v1/runs", "headers": []}, receive, send)

    async def statuses_of(n: int) -> list[int]:
        settings = ServiceSettings(max_concurrent=4, access_log=False)
        gate, statuses = Gate(answer_at_once, settings, Traffic(), lambda *_: None), list[int]()
        await asyncio.gather(*(ask(gate, statuses) for _ in range(n)))
        assert gate.traffic == Traffic()
        return sorted(statuses)

    assert asyncio.run(statuses_of(4)) == [200] * 4
    assert asyncio.run(statuses_of(20)) == [200] * 4 + [503] * 16


ERRORS = [RuntimeError("the secret reason"), ValueError("the secret reason"), "\ud800"]


@pytest.mark.parametrize("error", ERRORS, ids=["other", "value", "text"])
def test_an_internal_error_is_logged_and_not_shown(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception | str
) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        if isinstance(error, Exception):
            raise error
        return error.encode()

    monkeypatch.setattr(Loaded, "find", fail)
    answer = client(run).get("/v1/items?q=a")
    assert (answer.status_code, answer.json()["error"]["rule"]) == (500, "the service failed")
    assert "secret reason" not in answer.text
    assert "surrogates" not in answer.text
    assert ("secret reason" if isinstance(error, Exception) else "surrogates") in caplog.text


def test_a_stopping_service_is_alive_but_not_ready(run: Path) -> None:
    service = client(run, retry_after_seconds=2)
    service.app.state.traffic.stopping = True  # type: ignore[attr-defined]
    answer = service.get("/v1/recommend/1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["connection"] == "close"
    assert service.get("/readyz").status_code == 503
    assert service.get("/healthz").status_code == 200


def test_only_allowed_host_names_are_answered(run: Path) -> None:
    service = client(run)
    allowed = ("localhost", "localhost:80", "127.0.0.1:8000", "[::1]:80", "shop.example:8000")
    refused = ("evil.example", "127.0.0.1.evil.example", "localhost.evil", "[evil", "10.0.0.1")
    assert service.get("/v1/runs", headers={"Host": "evil.example"}).status_code == 200, "who mounts it decides"
    service.app.state.traffic.hosts = Hosts(("Shop.example",))  # type: ignore[attr-defined]
    for name in allowed:
        assert service.get("/v1/runs", headers={"Host": name}).status_code == 200, name
    for name in refused:
        answer = service.get("/v1/runs", headers={"Host": name})
        assert answer.status_code == 403, name
        assert answer.json()["error"]["value"] == name
        assert "--hosts" in answer.json()["error"]["remedy"]


def test_metrics_count_requests_histories_and_unknown_ids(run: Path) -> None:
    service = client(run)
    service.get("/v1/recommend/1")
    service.get("/v1/recommend/nobody")
    service.post("/v1/recommend", json={"history": [1, "nothing", "none"]})
    service.get("/anything/at/all")
    text = service.get("/metrics").text
    for line in (
        'ltocf_requests_total{method="GET",path="/v1/recommend/{user:id}",status="200"} 1.0',
        'ltocf_requests_total{method="GET",path="/v1/recommend/{user:id}",status="404"} 1.0',
        'ltocf_requests_total{method="GET",path="other",status="404"} 1.0',
        'ltocf_request_seconds_count{path="/v1/recommend"} 1.0',
        "ltocf_fold_ins_total 1.0",
        'ltocf_unknown_ids_total{kind="user"} 1.0',
        'ltocf_unknown_ids_total{kind="item"} 2.0',
        'ltocf_generation{run="shop"} 1.0',
        'ltocf_refused_generations_total{run="shop"} 0.0',
    ):
        assert line in text.splitlines(), line


def test_the_page_of_the_api_has_its_paths_and_loads_nothing(run: Path) -> None:
    answer = client(run).get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in ("GET /v1/recommend/{user}", "POST /v1/recommend", "GET /v1/items", "GET /metrics"):
        assert f">{path}</h2>" in answer.text
    assert "exclude_seen" in answer.text
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text), "nothing comes from elsewhere"
    assert "<script" not in answer.text


def test_there_must_be_runs_and_of_different_names(run: Path) -> None:
    for runs, rule in (([run, run], "of different names"), ([], "a run to serve")):
        with pytest.raises(ValueError, match=rule):
            create_app(runs)

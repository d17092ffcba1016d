"""The bytes of bodies that a process holds are bounded, and large requests take turns."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ltocf.service.app import create_app
from ltocf.service.bodies import Body
from ltocf.service.loaded import Loaded
from ltocf.service.settings import ServiceSettings
from ltocf.service.traffic import Traffic
from service_samples import until

SMALL = ServiceSettings(max_body_bytes=1000, max_held_bytes=2500, body_seconds=20, watch_seconds=0)


class Sender:
    """A client that sends a body part by part."""

    def __init__(self, traffic: Traffic, settings: ServiceSettings = SMALL) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.body = Body(settings, traffic)
        self.answer: asyncio.Task[Any] = asyncio.create_task(self._read())

    async def _read(self) -> Any:
        with self.body as body:
            return await body.read(self.messages.get), bytes(body.content)

    async def send(self, part: bytes, *, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": part, "more_body": more})
        for _ in range(5):
            await asyncio.sleep(0)


def test_stalled_bodies_together_hold_a_bounded_number_of_bytes() -> None:
    async def scenario() -> None:
        traffic = Traffic()
        senders = [Sender(traffic) for _ in range(50)]
        for sender in senders:
            await sender.send(b"x" * 900)
        assert traffic.held_bytes == 1800, "two bodies fit"
        for sender in senders:
            await sender.send(b"y" * 100, more=False)
        answers = [await sender.answer for sender in senders]
        assert [refusal for refusal, _ in answers[:2]] == [None, None]
        assert {content for _, content in answers[:2]} == {b"x" * 900 + b"y" * 100}
        refused = answers[2][0]
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["connection"] == "close"
        assert b"at most 2500 bytes" in refused.body
        assert traffic.held_bytes == 0

    asyncio.run(scenario())


def test_a_single_body_may_be_larger_than_the_bound() -> None:
    async def scenario() -> None:
        traffic = Traffic()
        sender = Sender(traffic, ServiceSettings(max_body_bytes=1000, max_held_bytes=10))
        await sender.send(b"x" * 900, more=False)
        assert await sender.answer == (None, b"x" * 900)

    asyncio.run(scenario())


@pytest.mark.parametrize("ending", ["large", "gone", "late"])
def test_bodies_that_end_early_release_their_bytes(ending: str) -> None:
    async def scenario() -> None:
        traffic = Traffic()
        seconds = 0.01 if ending == "late" else 20
        sender = Sender(traffic, ServiceSettings(max_body_bytes=1000, body_seconds=seconds))
        await sender.send(b"x" * 900)
        if ending == "large":
            await sender.send(b"x" * 200)
            assert traffic.held_bytes == 0
            await sender.send(b"", more=False)
        elif ending == "gone":
            sender.messages.put_nowait({"type": "http.disconnect"})
        refusal, _ = await sender.answer
        assert (None if refusal is None else refusal.status_code) == {"large": 413, "gone": None, "late": 408}[ending]
        assert traffic.held_bytes == 0

    asyncio.run(scenario())


def test_a_body_counts_as_held_until_its_request_is_answered(run: Path) -> None:
    client = TestClient(create_app(run, SMALL))
    held: list[int] = []
    traffic = client.app.state.traffic  # type: ignore[attr-defined]
    client.app.state.metrics.fold_ins.inc = lambda: held.append(traffic.held_bytes)  # type: ignore[attr-defined]
    body = json.dumps({"history": [1, 2]})
    assert client.post("/v1/recommend", content=body, headers={"Content-Type": "application/json"}).status_code == 200
    assert (held, traffic.held_bytes) == ([len(body)], 0)


def test_the_number_of_items_in_all_lists_is_limited(run: Path) -> None:
    client = TestClient(create_app(run, ServiceSettings(max_rows=100, watch_seconds=0)))
    assert client.post("/v1/recommend", json={"users": list(range(10)), "k": 10}).status_code == 200
    answer = client.post("/v1/recommend", json={"users": list(range(11)), "k": 10})
    error = answer.json()["error"]
    assert (answer.status_code, error["rule"]) == (422, "`k` times the number of `users` must be in 1..100")
    assert error["value"] == "110"
    assert "--max-rows" in error["remedy"]
    assert ServiceSettings().max_rows == 20_000


def test_large_requests_take_turns(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_running, most_running, lock = 0, 0, threading.Lock()
    recommend = Loaded.recommend

    def counted(self: Loaded, *arguments: Any, **options: Any) -> Any:
        nonlocal n_running, most_running
        with lock:
            n_running += 1
            most_running = max(most_running, n_running)
        time.sleep(0.02)
        try:
            return recommend(self, *arguments, **options)
        finally:
            with lock:
                n_running -= 1

    monkeypatch.setattr(Loaded, "recommend", counted)
    with TestClient(create_app(run, ServiceSettings(watch_seconds=0))) as client, ThreadPoolExecutor(6) as pool:
        body = {"users": list(range(20)), "k": 3}
        answers = [pool.submit(client.post, "/v1/recommend", json=body) for _ in range(6)]
        assert [answer.result().status_code for answer in answers] == [200] * 6
    assert most_running == 1


def test_large_requests_leave_room_for_others(run: Path, held_lists: Any) -> None:
    body = {"users": list(range(20)), "k": 3}
    app = create_app(run, ServiceSettings(watch_seconds=0, max_large=2, retry_after_seconds=4))
    with TestClient(app) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, "/v1/recommend", json=body) for _ in range(2)]
        assert held_lists.reached.wait(20)
        until(lambda: app.state.traffic.large == 2)
        refused = client.post("/v1/recommend", json=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "4")
        assert refused.json()["error"]["rule"] == "too many requests for many users at a time"
        assert client.get("/v1/items?q=film").status_code == 200
        held_lists.release.set()
        assert [answer.result().status_code for answer in waiting] == [200, 200]
        assert app.state.traffic.large == 0
        assert client.post("/v1/recommend", json=body).status_code == 200

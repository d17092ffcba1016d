"""How many bytes of bodies a process holds, whoever sends them, and how large requests take turns."""

from __future__ import annotations

import asyncio
import json
import threading
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
    """A client that sends when it is told to."""

    def __init__(self, traffic: Traffic, settings: ServiceSettings = SMALL) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.body = Body(settings, traffic)
        self.answer: asyncio.Task[Any] = asyncio.create_task(self._whole())

    async def _whole(self) -> Any:
        with self.body as body:
            return await body.read(self.messages.get), bytes(body.content)

    async def send(self, part: bytes, *, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": part, "more_body": more})
        for _ in range(5):
            await asyncio.sleep(0)


def test_bodies_that_stall_are_bounded_together() -> None:
    async def tried() -> None:
        traffic = Traffic()
        senders = [Sender(traffic) for _ in range(50)]
        for sender in senders:
            await sender.send(b"x" * 900)
        assert traffic.held_bytes == 1800, "two of them have a place"
        for sender in senders:
            await sender.send(b"y" * 100, more=False)
        found = [await sender.answer for sender in senders]
        assert [refusal for refusal, _ in found[:2]] == [None, None]
        assert {content for _, content in found[:2]} == {b"x" * 900 + b"y" * 100}
        refused = found[2][0]
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["connection"] == "close"
        assert b"at most 2500 bytes" in refused.body
        assert traffic.held_bytes == 0

    asyncio.run(tried())


def test_a_body_alone_has_its_place() -> None:
    async def tried() -> None:
        traffic = Traffic()
        sender = Sender(traffic, ServiceSettings(max_body_bytes=1000, max_held_bytes=10))
        await sender.send(b"x" * 900, more=False)
        assert await sender.answer == (None, b"x" * 900)

    asyncio.run(tried())


@pytest.mark.parametrize("how", ["large", "gone", "late"])
def test_bodies_that_end_early_free_their_place(how: str) -> None:
    async def tried() -> None:
        traffic = Traffic()
        seconds = 0.01 if how == "late" else 20
        sender = Sender(traffic, ServiceSettings(max_body_bytes=1000, body_seconds=seconds))
        await sender.send(b"x" * 900)
        if how == "large":
            await sender.send(b"x" * 200)
            assert traffic.held_bytes == 0
            await sender.send(b"", more=False)
        elif how == "gone":
            sender.messages.put_nowait({"type": "http.disconnect"})
        refusal, _ = await sender.answer
        assert (None if refusal is None else refusal.status_code) == {"large": 413, "gone": None, "late": 408}[how]
        assert traffic.held_bytes == 0

    asyncio.run(tried())


def test_bodies_count_until_their_answer(run: Path) -> None:
    client = TestClient(create_app(run, SMALL))
    held: list[int] = []
    traffic = client.app.state.traffic  # type: ignore[attr-defined]
    client.app.state.metrics.fold_ins.inc = lambda: held.append(traffic.held_bytes)  # type: ignore[attr-defined]
    body = json.dumps({"history": [1, 2]})
    assert client.post("/v1/recommend", content=body, headers={"Content-Type": "application/json"}).status_code == 200
    assert (held, traffic.held_bytes) == ([len(body)], 0)


def test_items_in_all_lists(run: Path) -> None:
    client = TestClient(create_app(run, ServiceSettings(max_rows=100, watch_seconds=0)))
    assert client.post("/v1/recommend", json={"users": list(range(10)), "k": 10}).status_code == 200
    answer = client.post("/v1/recommend", json={"users": list(range(11)), "k": 10})
    error = answer.json()["error"]
    assert (answer.status_code, error["rule"]) == (422, "`k` times the number of `users` must be in 1..100")
    assert error["value"] == "110"
    assert "--max-rows" in error["remedy"]
    assert ServiceSettings().max_rows == 20_000


def test_large_requests_take_turns(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, highest, count = 0, 0, threading.Lock()
    answer = Loaded.recommend

    def counted(self: Loaded, *arguments: Any, **choice: Any) -> Any:
        nonlocal at_once, highest
        with count:
            at_once += 1
            highest = max(highest, at_once)
        turn.wait(0.02)
        try:
            return answer(self, *arguments, **choice)
        finally:
            with count:
                at_once -= 1

    turn = threading.Event()
    monkeypatch.setattr(Loaded, "recommend", counted)
    with TestClient(create_app(run, ServiceSettings(watch_seconds=0))) as client, ThreadPoolExecutor(6) as pool:
        body = {"users": list(range(20)), "k": 3}
        found = [pool.submit(client.post, "/v1/recommend", json=body) for _ in range(6)]
        assert [one.result().status_code for one in found] == [200] * 6
    assert highest == 1


def test_large_requests_leave_room_for_others(run: Path, held: Any) -> None:
    body = {"users": list(range(20)), "k": 3}
    app = create_app(run, ServiceSettings(watch_seconds=0, max_large=2, retry_after_seconds=4))
    with TestClient(app) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, "/v1/recommend", json=body) for _ in range(2)]
        assert held.inside.wait(20)
        until(lambda: app.state.traffic.large == 2)
        refused = client.post("/v1/recommend", json=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "4")
        assert refused.json()["error"]["rule"] == "too many requests for many users at a time"
        assert client.get("/v1/items?q=film").status_code == 200
        held.go_on.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
        assert app.state.traffic.large == 0
        assert client.post("/v1/recommend", json=body).status_code == 200

"""Requests of one moment are answered together, each as if it were alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from ltocf.service.app import create_app
from ltocf.service.batches import LARGEST_BATCH, Batches
from ltocf.service.loaded import Loaded
from ltocf.service.settings import ServiceSettings


def asked_together(batches: Batches, answer: Any, given: list[Any]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        asks = (batches.ask("kind", answer, one) for one in given)
        return await asyncio.gather(*asks, return_exceptions=True)

    return asyncio.run(all_of_them())


def test_batches_are_bounded() -> None:
    sizes: list[int] = []

    def answer(many: list[int]) -> list[int]:
        sizes.append(len(many))
        return [2 * one for one in many]

    given = list(range(2 * LARGEST_BATCH + 3))
    assert asked_together(Batches(), answer, given) == [2 * one for one in given]
    assert sizes == [LARGEST_BATCH, LARGEST_BATCH, 3]


def test_only_the_guilty_fail() -> None:
    def answer(many: list[int]) -> list[float]:
        return [1 / one for one in many]

    first, guilty, last = asked_together(Batches(), answer, [1, 0, 2])
    assert (first, last) == (1, 0.5)
    assert isinstance(guilty, ZeroDivisionError)


def test_clients_that_went_away() -> None:
    async def cancelled() -> int:
        batches = Batches()
        gone = asyncio.ensure_future(batches.ask("kind", lambda many: many, 1))
        stays = asyncio.ensure_future(batches.ask("kind", lambda many: many, 2))
        await asyncio.sleep(0)
        gone.cancel()
        return int(await stays)

    assert asyncio.run(cancelled()) == 2


def test_answers_are_those_of_requests_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    together = Loaded.recommend_each

    def counted(self: Loaded, users: Any, k: int, **choice: Any) -> Any:
        sizes.append(len(users))
        return together(self, users, k, **choice)

    monkeypatch.setattr(Loaded, "recommend_each", counted)
    app = create_app(run, ServiceSettings(watch_seconds=0, access_log=False))
    users: list[int | str] = [3, "nobody", *range(10)]
    histories = [[1, 2, 3], ["nothing"], [4, "nothing", 5]]

    async def ask(*, at_once: bool) -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            asks = [client.get(f"/v1/recommend/{user}?k=4") for user in users]
            asks += [client.get("/v1/recommend/nobody?k=4&unknown=popular"), client.get("/v1/recommend/3?k=2")]
            asks += [client.post("/v1/recommend", json={"history": history, "k": 4}) for history in histories]
            return await asyncio.gather(*asks) if at_once else [await one for one in asks]

    alone = asyncio.run(ask(at_once=False))
    assert set(sizes) == {1}
    at_once = asyncio.run(ask(at_once=True))
    assert max(sizes) > len(users) - 2
    assert [answer.status_code for answer in at_once] == [answer.status_code for answer in alone]
    assert {answer.status_code for answer in alone} == {200, 404}
    for one, other in zip(at_once, alone, strict=True):
        if one.status_code == 404:
            assert one.json() == other.json()
            continue
        found, expected = one.json(), other.json()
        assert [row["item"] for row in found["items"]] == [row["item"] for row in expected["items"]]
        scores = [row["score"] for row in expected["items"]]
        assert [row["score"] for row in found["items"]] == pytest.approx(scores, rel=1e-5)
        assert (found["by"], found.get("user"), found.get("ignored")) == (
            expected["by"],
            expected.get("user"),
            expected.get("ignored"),
        )

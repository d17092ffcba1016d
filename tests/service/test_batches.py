"""Requests that arrive together are answered in batches, each as if it were alone."""

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


def answers_to(requests: list[Any], batches: Batches, answer: Any) -> list[Any]:
    """The answers to requests that arrive together, or the errors."""

    async def gather() -> list[Any]:
        waiting = (batches.ask("kind", answer, request) for request in requests)
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(gather())


def test_batches_have_a_largest_size() -> None:
    sizes: list[int] = []

    def double(numbers: list[int]) -> list[int]:
        sizes.append(len(numbers))
        return [2 * number for number in numbers]

    requests = list(range(2 * LARGEST_BATCH + 3))
    assert answers_to(requests, Batches(), double) == [2 * request for request in requests]
    assert sizes == [LARGEST_BATCH, LARGEST_BATCH, 3]


def test_only_the_request_at_fault_fails() -> None:
    def invert(numbers: list[int]) -> list[float]:
        return [1 / number for number in numbers]

    first, failed, last = answers_to([1, 0, 2], Batches(), invert)
    assert (first, last) == (1, 0.5)
    assert isinstance(failed, ZeroDivisionError)


def test_a_cancelled_request_leaves_the_others_of_its_batch() -> None:
    async def cancel_one_of_two() -> int:
        batches = Batches()
        cancelled = asyncio.ensure_future(batches.ask("kind", lambda requests: requests, 1))
        kept = asyncio.ensure_future(batches.ask("kind", lambda requests: requests, 2))
        await asyncio.sleep(0)
        cancelled.cancel()
        return int(await kept)

    assert asyncio.run(cancel_one_of_two()) == 2


def test_answers_of_a_batch_equal_those_of_single_requests(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    recommend_each = Loaded.recommend_each

    def counted(self: Loaded, users: Any, k: int, **options: Any) -> Any:
        sizes.append(len(users))
        return recommend_each(self, users, k, **options)

    monkeypatch.setattr(Loaded, "recommend_each", counted)
    app = create_app(run, ServiceSettings(watch_seconds=0, access_log=False))
    users: list[int | str] = [3, "nobody", *range(10)]
    histories = [[1, 2, 3], ["nothing"], [4, "nothing", 5]]

    async def ask(*, at_once: bool) -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            requests = [client.get(f"/v1/recommend/{user}?k=4") for user in users]
            requests += [client.get("/v1/recommend/nobody?k=4&unknown=popular"), client.get("/v1/recommend/3?k=2")]
            requests += [client.post("/v1/recommend", json={"history": history, "k": 4}) for history in histories]
            return await asyncio.gather(*requests) if at_once else [await request for request in requests]

    alone = asyncio.run(ask(at_once=False))
    assert set(sizes) == {1}
    at_once = asyncio.run(ask(at_once=True))
    assert max(sizes) > len(users) - 2
    assert [answer.status_code for answer in at_once] == [answer.status_code for answer in alone]
    assert {answer.status_code for answer in alone} == {200, 404}
    for batched, single in zip(at_once, alone, strict=True):
        found, expected = batched.json(), single.json()
        if batched.status_code == 404:
            assert found == expected
            continue
        assert [row["item"] for row in found["items"]] == [row["item"] for row in expected["items"]]
        scores = [row["score"] for row in expected["items"]]
        assert [row["score"] for row in found["items"]] == pytest.approx(scores, rel=1e-5)
        assert (found["by"], found.get("user"), found.get("ignored")) == (
            expected["by"],
            expected.get("user"),
            expected.get("ignored"),
        )

"""At five times the load that it can answer, a service refuses the excess, answers the rest correctly, and recovers."""

from __future__ import annotations

import asyncio
import itertools
import platform
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ltocf
from load_maker import Answer, Asked, Client, at_a_pace, at_a_rate, clients, for_seconds
from ltocf.serving import Snapshot
from service_samples import Service

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="workers are forked on Linux only")

TIMES_CAPACITY = 5
WORKERS = 2
AT_ONCE = {True: 16, False: 2}
"""Requests that a worker accepts at a time, in full and in the sample: some hundredths of a second of work."""
N_CLIENTS = 640
N_HISTORY, K = 100, 100
N_ASKED = 50
PROBE_SECONDS = 0.02


def shop(folder: Path, *, full: bool) -> Path:
    """A run for which an answer to a history takes a few milliseconds."""
    n_users, n_items = (2000, 5000) if full else (300, 1000)
    draws = random.Random(0)
    pairs = [(user, item) for user in range(n_users) for item in draws.sample(range(n_items), 20)]
    ltocf.fit(pairs, folder / "shop", model="lightgcn", dim=32, epochs=1, show_progress=False, seed=1)
    return folder / "shop"


class Seen:
    """Counts of answers, compared with the lists of the model itself."""

    def __init__(self, run: Path) -> None:
        snapshot = Snapshot.open(run)
        items, draws = snapshot.names.item_ids.ids.to_list(), random.Random(1)
        self.right: dict[Asked, list[int]] = {}
        for _ in range(N_ASKED):
            history = draws.sample(items, N_HISTORY)
            found = snapshot.fold_in(history, k=K)["item"].to_list()
            self.right[Asked.post("/v1/recommend", {"history": history, "k": K})] = found
        self.clear()

    def clear(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.others: Counter[str] = Counter()
        self.wrong = self.without_retry_after = 0
        self.longest = 0.0

    def see(self, asked: Asked, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        if answer.status not in (200, 503):
            self.others[f"{answer.status} {answer.body.decode(errors='replace')[:200]}"] += 1
        if answer.status == 503:
            self.without_retry_after += not answer.headers.get("retry-after", "").isdecimal()
        if answer.status == 200:
            self.wrong += [each["item"] for each in answer.json()["items"]] != self.right[asked]
            self.longest = max(self.longest, answer.ended - answer.began)

    def asked(self) -> Iterator[Asked]:
        return itertools.cycle(self.right)


async def recovery(port: int, asked: Iterator[Asked], since: float) -> float:
    """Seconds from ``since`` until requests are answered again, at least ten in a row."""
    client, begun, good = Client(port), since, 0
    while good < 10:
        answer = await client.ask(next(asked))
        good = good + 1 if answer.status == 200 else 0
        if good == 1:
            begun = answer.ended
        await asyncio.sleep(PROBE_SECONDS)
    client.close()
    return begun - since


async def overloaded(service: Service, seen: Seen, seconds: float, at_once: int) -> dict[str, Any]:
    """Measure the capacity, send five times as much, and measure how long the service takes to recover."""
    async with clients(service.port, max(1, WORKERS * at_once // 4)) as made:
        await at_a_pace(made, seen.asked(), for_seconds(0.2), seen.see)  # warm
        seen.clear()
        await at_a_pace(made, seen.asked(), for_seconds(seconds / 2), seen.see)
    assert set(seen.statuses) == {200}
    capacity = seen.statuses[200] / (seconds / 2)
    usual = seen.longest
    seen.clear()
    async with clients(service.port, N_CLIENTS) as made:
        ends = time.perf_counter() + seconds
        n_unsent = await at_a_rate(made, seen.asked(), TIMES_CAPACITY * capacity, seconds, seen.see)
        recovered = await recovery(service.port, seen.asked(), ends)
    return {
        "capacity_per_second": round(capacity, 1),
        "asked_per_second": round((seen.statuses.total() + n_unsent) / seconds, 1),
        "seconds": seconds,
        "answered": seen.statuses[200],
        "refused_with_503": seen.statuses[503],
        "without_retry_after": seen.without_retry_after,
        "lost_or_other": seen.others.total(),
        "wrong_lists": seen.wrong,
        "not_sent_as_all_clients_waited": n_unsent,
        "longest_ms": round(1000 * seen.longest, 1),
        "longest_ms_without_overload": round(1000 * usual, 1),
        "recovered_seconds": round(recovered, 3),
        "workers": WORKERS,
        "max_concurrent": at_once,
    }


def test_a_service_at_five_times_its_capacity_refuses_the_excess_and_recovers(
    tmp_path: Path, full: bool, record: Any
) -> None:
    run = shop(tmp_path, full=full)
    seen = Seen(run)
    service = Service(run, "--workers", str(WORKERS), "--max-concurrent", str(AT_ONCE[full]), "--no-access-log")
    try:
        found = asyncio.run(overloaded(service, seen, 60 if full else 1, AT_ONCE[full]))
    finally:
        assert service.stop() == 0
    assert "Traceback" not in service.log()
    assert not seen.others
    assert (found["lost_or_other"], found["wrong_lists"], found["without_retry_after"]) == (0, 0, 0)
    assert found["answered"] > 0
    assert found["refused_with_503"] > 0
    assert found["recovered_seconds"] <= (1 if full else 10)
    record("overload", found)

"""A service under steady load whose model is exchanged all the while: no failed request, right lists, flat memory."""

from __future__ import annotations

import asyncio
import itertools
import platform
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import ltocf
from load_maker import Answer, Asked, at_a_pace, clients
from ltocf.files import replacing
from ltocf.serving import Snapshot
from process_sizes import open_files, own_mb, slope
from service_samples import Service, generation

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="workers are forked on Linux only")

K = 10
CEILING = 1.25
"""Memory may be so many times what it is after the first two exchanges."""


@dataclass
class Size:
    """How much of it: a sample, or all."""

    seconds: float
    exchange_seconds: float
    users: int
    items: int
    pairs_each: int
    n_clients: int = 8
    pause: float = 0.02
    sample_seconds: float = 0.25


SAMPLE = Size(seconds=3, exchange_seconds=0.6, users=60, items=40, pairs_each=8)
ALL = Size(1200, 30, users=5000, items=2000, pairs_each=20, sample_seconds=5)


@dataclass
class Seen:
    """What the clients were answered, against the lists of the two models that take turns."""

    expected: list[dict[int, list[int]]]
    statuses: Counter[int] = field(default_factory=Counter)
    made_by: dict[int, set[int]] = field(default_factory=dict)
    """Of each generation, those of the two models that all its lists are of."""
    wrong: int = 0
    slowest: float = 0.0

    def see(self, asked: Asked, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        self.slowest = max(self.slowest, answer.ended - answer.began)
        if answer.status != 200:
            return
        found = answer.json()
        items = [each["item"] for each in found["items"]]
        of = {model for model, lists in enumerate(self.expected) if lists[found["user"]] == items}
        left = self.made_by.setdefault(found["generation"], {0, 1})
        self.wrong += not left & of
        left &= of or left


def two_models(folder: Path, size: Size) -> tuple[Path, list[Path]]:
    """A run to serve, and the two model files that take turns in it; their lists differ."""
    draws = random.Random(0)
    pairs = [(user, item) for user in range(size.users) for item in draws.sample(range(size.items), size.pairs_each)]
    options: dict[str, Any] = {"model": "lightgcn", "dim": 16, "epochs": 1, "show_progress": False}
    files = []
    for seed in (1, 2):
        ltocf.fit(pairs, folder / f"made-{seed}", seed=seed, **options)
        files.append(folder / f"made-{seed}" / "model.safetensors")
    return Path(shutil.copytree(folder / "made-1", folder / "shop")), files


def lists(model: Path, users: int) -> dict[int, list[int]]:
    frame = Snapshot.open(model).recommend(list(range(users)), k=K)
    return {int(user[0]): group["item"].to_list() for user, group in frame.group_by("user", maintain_order=True)}


async def exchange(shop: Path, files: list[Path], every: float, seconds: float) -> int:
    """Put the other model in place again and again; how often."""
    n, end = 0, time.perf_counter() + seconds - every / 2  # the last one is served for a while
    while time.perf_counter() + every < end:
        await asyncio.sleep(every)
        n += 1
        with replacing(shop / "model.safetensors") as temporary:
            shutil.copy(files[n % 2], temporary)
    return n


async def watch(service: Service, size: Size) -> list[tuple[float, float, int]]:
    """Seconds, memory in MB and open handles, again and again."""
    found, begun = [], time.perf_counter()
    while (now := time.perf_counter() - begun) < size.seconds:
        found.append((now, own_mb(service.process.pid), open_files(service.process.pid)))
        await asyncio.sleep(size.sample_seconds)
    return found


async def loaded(service: Service, shop: Path, files: list[Path], size: Size, seen: Seen) -> tuple[int, list[Any]]:
    def asked() -> Iterator[Asked]:
        for user in itertools.cycle(range(size.users)):
            yield Asked.get(f"/v1/recommend/{user}?k={K}")

    async with clients(service.port, size.n_clients) as made:
        exchanged, sizes, _ = await asyncio.gather(
            exchange(shop, files, size.exchange_seconds, size.seconds),
            watch(service, size),
            at_a_pace(made, asked(), size.seconds, seen.see, size.pause),
        )
    return exchanged, sizes


def test_steady_load_with_exchanges(tmp_path: Path, full: bool, record: Any) -> None:
    size = ALL if full else SAMPLE
    shop, files = two_models(tmp_path, size)
    seen = Seen([lists(file, size.users) for file in files])
    assert seen.expected[0] != seen.expected[1]
    service = Service(shop, "--workers", "2", "--watch-seconds", "0.1", "--no-access-log")
    try:
        exchanged, sizes = asyncio.run(loaded(service, shop, files, size, seen))
        last = generation(service.url)
    finally:
        assert service.stop() == 0
    times, memory, handles = (list(column) for column in zip(*sizes, strict=True))
    settled = memory[min(range(len(times)), key=lambda place: abs(times[place] - 2.5 * size.exchange_seconds))]
    assert set(seen.statuses) == {200}
    assert seen.wrong == 0, "lists of neither model, or of both in one generation"
    assert last - 1 <= len(seen.made_by) <= last <= exchanged + 1, "the last one may come when nobody asks any more"
    assert set.union(*seen.made_by.values()) == {0, 1}
    if full:  # else an exchange may come while the one before is read
        assert last == exchanged + 1
    assert max(memory) <= CEILING * settled, "the ceiling of memory"
    assert max(handles[len(handles) // 2 :]) <= max(handles[: len(handles) // 2]) + size.n_clients, (
        "handles do not grow"
    )
    growth = slope(times, memory) * 3600
    if full:
        assert growth * size.seconds / 2 / 3600 < 0.05 * settled, f"memory grows by {growth} MB an hour"
    record(
        "steady-load",
        {
            "seconds": size.seconds,
            "requests": seen.statuses.total(),
            "failed_requests": seen.statuses.total() - seen.statuses[200],
            "wrong_lists": seen.wrong,
            "exchanges": exchanged,
            "workers": 2,
            "slowest_ms": round(1000 * seen.slowest, 1),
            "memory_mb_after_two_exchanges": round(settled, 1),
            "memory_mb_highest": round(max(memory), 1),
            "memory_mb_at_end": round(memory[-1], 1),
            "memory_mb_per_hour": round(growth, 2),
            "open_handles_highest": max(handles),
            "open_handles_at_end": handles[-1],
        },
    )

"""Steady load on a service whose model is replaced again and again: no failed request, correct lists, flat memory."""

from __future__ import annotations

import asyncio
import itertools
import platform
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import ltocf
from load_maker import Answer, Asked, Client, at_a_pace, clients
from ltocf.files import replacing
from ltocf.serving import Snapshot
from process_sizes import family, open_files, own_mb, slope
from service_samples import Service

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="workers are forked on Linux only")

K = 10
WORKERS = 2
CEILING, CEILING_WHILE_READING = 1.05, 2.5
"""How many times its maximum of the first half memory may reach: in the second half, and while a model is read."""


@dataclass
class Size:
    """The size of a test."""

    exchanges: int
    every_seconds: float
    users: int
    items: int
    pairs_each: int
    n_clients: int = 8
    pause: float = 0.02
    sample_seconds: float = 0.1


SAMPLE = Size(exchanges=3, every_seconds=0.4, users=60, items=40, pairs_each=8)
ALL = Size(39, 30, users=5000, items=2000, pairs_each=20, sample_seconds=5)
"""20 minutes, with the time before the first exchange."""


@dataclass
class Seen:
    """Counts of answers, compared with the lists of the two models that take turns."""

    expected: list[dict[int, list[int]]]
    statuses: Counter[int] = field(default_factory=Counter)
    made_by: dict[int, set[int]] = field(default_factory=dict)
    """For each generation, the models that all its lists so far could come from."""
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
    # Started from the spectrum, both seeds would give the same lists.
    options: dict[str, Any] = {"model": "lightgcn", "dim": 16, "epochs": 1, "init": "random", "show_progress": False}
    files = []
    for seed in (1, 2):
        ltocf.fit(pairs, folder / f"made-{seed}", seed=seed, **options)
        files.append(folder / f"made-{seed}" / "model.safetensors")
    return Path(shutil.copytree(folder / "made-1", folder / "shop")), files


def lists(model: Path, users: int) -> dict[int, list[int]]:
    frame = Snapshot.open(model).recommend(list(range(users)), k=K)
    return {int(user[0]): group["item"].to_list() for user, group in frame.group_by("user", maintain_order=True)}


async def exchange(service: Service, shop: Path, files: list[Path], size: Size) -> None:
    """Replace the model by the other one again and again, each time once the last one is served."""
    client = Client(service.port)
    for n in range(1, size.exchanges + 1):
        await asyncio.sleep(size.every_seconds)
        with replacing(shop / "model.safetensors") as temporary:
            shutil.copy(files[n % 2], temporary)
        while (await client.ask(Asked.get("/v1/runs"))).json()[0]["generation"] <= n:
            await asyncio.sleep(0.02)
    await asyncio.sleep(size.every_seconds)
    client.close()


@dataclass
class Held:
    """What the service holds at one moment; ``reading``: while a process of its own reads the next model."""

    seconds: float
    mb: float
    handles: int
    reading: bool


async def watch(service: Service, going: Callable[[], bool], every: float) -> list[Held]:
    """Sample what the service holds."""
    found, begun = list[Held](), time.perf_counter()
    while going():
        process, now = service.process.pid, time.perf_counter() - begun
        before = len(family(process))
        mb, handles = own_mb(process), open_files(process)
        found.append(Held(now, mb, handles, max(before, len(family(process))) > 1 + WORKERS))
        await asyncio.sleep(every)
    return found


async def loaded(service: Service, shop: Path, files: list[Path], size: Size, seen: Seen) -> list[Held]:
    """Send requests and exchange models; return the samples taken meanwhile."""
    exchanging = asyncio.create_task(exchange(service, shop, files, size))

    def going() -> bool:
        return not exchanging.done()

    def asked() -> Iterator[Asked]:
        for user in itertools.cycle(range(size.users)):
            yield Asked.get(f"/v1/recommend/{user}?k={K}")

    async with clients(service.port, size.n_clients) as made:
        sizes, _ = await asyncio.gather(
            watch(service, going, size.sample_seconds), at_a_pace(made, asked(), going, seen.see, size.pause)
        )
    await exchanging
    return sizes


def test_under_steady_load_models_are_exchanged_without_a_failed_request(
    tmp_path: Path, full: bool, record: Any
) -> None:
    size = ALL if full else SAMPLE
    shop, files = two_models(tmp_path, size)
    seen = Seen([lists(file, size.users) for file in files])
    assert seen.expected[0] != seen.expected[1]
    service = Service(shop, "--workers", str(WORKERS), "--watch-seconds", "0.1", "--no-access-log")
    try:
        held = asyncio.run(loaded(service, shop, files, size, seen))
    finally:
        assert service.stop() == 0
    quiet = [each for each in held if not each.reading]
    early, late = quiet[: len(quiet) // 2], quiet[len(quiet) // 2 :]
    first = max(each.mb for each in early)
    assert set(seen.statuses) == {200}
    assert seen.wrong == 0, "a list of neither model, or lists of both in one generation"
    assert seen.made_by == {number: {(number - 1) % 2} for number in range(1, size.exchanges + 2)}
    assert max(each.mb for each in late) <= CEILING * first, "memory grows"
    assert max(each.mb for each in held) <= CEILING_WHILE_READING * first
    assert late[-1].handles <= max(each.handles for each in early) + size.n_clients, "open handles grow"
    growth = slope([each.seconds for each in quiet], [each.mb for each in quiet]) * 3600
    record(
        "steady-load",
        {
            "seconds": round(held[-1].seconds),
            "requests": seen.statuses.total(),
            "failed_requests": seen.statuses.total() - seen.statuses[200],
            "wrong_lists": seen.wrong,
            "exchanges": size.exchanges,
            "workers": WORKERS,
            "slowest_ms": round(1000 * seen.slowest, 1),
            "memory_mb_first_half": round(first, 1),
            "memory_mb_second_half": round(max(each.mb for each in late), 1),
            "memory_mb_at_end": round(late[-1].mb, 1),
            "memory_mb_while_a_model_is_read": round(max(each.mb for each in held), 1),
            "memory_mb_per_hour": round(growth, 2),
            "open_handles_first": early[0].handles,
            "open_handles_at_end": late[-1].handles,
        },
    )

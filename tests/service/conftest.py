"""Small runs to serve, and real servers on free ports."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

import ltocf
from ltocf.service.loaded import Loaded
from ltocf.serving import Snapshot
from service_samples import SETTINGS, TITLES, VISITS, Service


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose users and items are integers; read-only."""
    folder = tmp_path_factory.mktemp("service") / "shop"
    items = pl.DataFrame({"item": range(30), "title": TITLES})
    ltocf.fit(VISITS, folder, items=items, **SETTINGS)
    return folder


@pytest.fixture(scope="session")
def newer(run: Path) -> Path:
    """The next generation of `run`, with a user 99 that the run does not have; read-only."""
    folder = run.parent / "other" / "shop-2"
    ltocf.update(run, [(99, 1), (99, 2), (99, 5)], folder, show_progress=False)
    return folder


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A copy of `run` to change."""
    return Path(shutil.copytree(run, tmp_path / "shop"))


@pytest.fixture(scope="session")
def snapshot(run: Path) -> Snapshot:
    return Snapshot.open(run)


class HeldLists(NamedTuple):
    """Lists that wait: ``reached`` is set once the first of them waits, ``release`` by the test to let all continue."""

    reached: threading.Event
    release: threading.Event


@pytest.fixture
def held_lists(monkeypatch: pytest.MonkeyPatch) -> HeldLists:
    """Makes every list wait until the test releases it."""
    events, recommend = HeldLists(threading.Event(), threading.Event()), Loaded.recommend

    def wait_and_recommend(self: Loaded, *arguments: Any, **options: Any) -> Any:
        events.reached.set()
        assert events.release.wait(20)
        return recommend(self, *arguments, **options)

    monkeypatch.setattr(Loaded, "recommend", wait_and_recommend)
    return events


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Starts servers, and stops them after the test."""
    started: list[Service] = []

    def start_service(*arguments: str | Path, threaded: bool = False) -> Service:
        started.append(Service(*arguments, threaded=threaded))
        return started[-1]

    yield start_service
    for service in started:
        service.stop()

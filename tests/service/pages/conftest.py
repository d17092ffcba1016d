"""Small trained runs, a server in a thread and a headless browser, each made once."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import ltocf
from samples import random_interactions

ROOT = Path(__file__).resolve().parents[3]
AXE = ROOT / ".npm" / "node_modules" / "axe-core" / "axe.min.js"
QUIET: dict[str, Any] = {"show_progress": False, "epochs": 3, "seed": 1}
LTOCF: dict[str, Any] = {"model": "ltocf", "dim": 4, "n_negatives": 8, "n_times": 2}
FILMS = [*(f"Film {place}" for place in range(20)), "Alpha Café", "Beta", "Gamma Ray", "Film Alpha"]
HOSTILE = (
    "<script>document.title = 'broken'</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "\u202eשלום עולם\u202e",
    "x" * 500,
    "",
    "   \n\t ",
    "`k` & 'quotes' \"double\" </b>",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") + " naïve façade",
)


@dataclass
class Served:
    """A server in this process: its address, its engines, and how to stop."""

    address: str
    engines: dict[str, Any]
    stop: Any = field(repr=False)


def visits() -> list[tuple[int, int]]:
    """Users 0..29 and items 100..123."""
    log = random_interactions(30, 24, 0.3)
    return [(int(user), 100 + int(item)) for user, item in zip(log.users, log.items, strict=True)]


def items(titles: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"item": list(range(100, 100 + len(titles))), "title": titles})


def trained(folder: Path, **settings: Any) -> Path:
    ltocf.train(visits(), folder, items=items(FILMS), **QUIET, **settings)
    return folder


def titled(run: Path, file: Path, titles: tuple[str, ...] | None) -> Path:
    """The model of a run with other titles, or none, as a file."""
    model = ltocf.load(run)
    replace(model, names=replace(model.names, titles=titles)).save(file)
    return file


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind: with titles, without any, not to be explained, without folding in, hostile."""
    folder = tmp_path_factory.mktemp("runs")
    hostile = (*HOSTILE, *(f"Plain {place}" for place in range(24 - len(HOSTILE))))
    films = trained(folder / "films", **LTOCF)
    return {
        "films": films,
        "again": trained(folder / "again", **(LTOCF | {"dim": 3})),
        "neumf": trained(folder / "neumf", model="neumf", dim=4),
        "mult-vae": trained(folder / "mult-vae", model="mult-vae"),
        "mf": trained(folder / "mf", model="mf", dim=4, n_negatives=8),
        "ids": titled(films, folder / "ids.safetensors", None),
        "hostile": titled(films, folder / "hostile.safetensors", hostile),
    }


@contextmanager
def serving(*folders: Path) -> Iterator[Served]:
    """The application on a free port of loopback for as long as the block lasts."""
    import uvicorn

    from ltocf.service.app import create_app

    app = create_app(list(folders))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.engines, server)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture(scope="session")
def served(runs: dict[str, Path]) -> Iterator[Served]:
    """All runs; the first two are those with titles."""
    pytest.importorskip("fastapi", reason="needs the `serve` extra")
    with serving(*runs.values()) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless chromium: Playwright's own, or the system's."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    found = os.environ.get("LTOCF_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with playwright.sync_playwright() as started:
        try:
            chromium = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"needs chromium (LTOCF_CHROMIUM names one): {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Any, **options: Any) -> Iterator[Any]:
    """A page of its own; whatever the browser complains about fails the test."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
        assert [text for text in complaints if not text.startswith("Failed to load resource")] == []
    finally:
        context.close()


def history_has(page: Any, n_items: int) -> None:
    """Wait until the history on the page has so many items; its policy forbids Playwright's own waiting for that."""
    deadline = time.monotonic() + 10
    while (found := page.text_content("#history .count")) != str(n_items):
        assert time.monotonic() < deadline, f"the history has {found} items, not {n_items}"
        page.wait_for_timeout(10)


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with opened(browser) as one:
        yield one

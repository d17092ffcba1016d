"""For the tests of the web page: trained runs, a server in a thread, and browser pages."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

import ltocf
from samples import random_interactions

ROOT = Path(__file__).resolve().parents[1]
AXE = ROOT / ".npm" / "node_modules" / "axe-core" / "axe.min.js"
QUIET: dict[str, Any] = {"show_progress": False, "epochs": 2, "seed": 1}
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
    "\U0001f600 naïve façade",
)


@dataclass
class Served:
    """A server in this process: its address and its engines."""

    address: str
    engines: dict[str, Any]


def visits() -> list[tuple[int, int]]:
    """Random pairs of users 0 to 29 and items 100 to 123."""
    log = random_interactions(30, 24, 0.3)
    return [(int(user), 100 + int(item)) for user, item in zip(log.users, log.items, strict=True)]


def items(titles: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"item": list(range(100, 100 + len(titles))), "title": titles})


def trained(folder: Path, **settings: Any) -> Path:
    ltocf.train(visits(), folder, items=items(FILMS), **QUIET, **settings)
    return folder


def titled(run: Path, file: Path, titles: tuple[str, ...] | None) -> Path:
    """Save the model of a run with other titles, or with none, to a file."""
    model = ltocf.load(run)
    replace(model, names=replace(model.names, titles=titles)).save(file)
    return file


@contextmanager
def answering(app: Any) -> Iterator[str]:
    """Serve an application on a free local port during the block; gives its address."""
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@contextmanager
def serving(*folders: Path) -> Iterator[Served]:
    """Serve these runs during the block."""
    from ltocf.service.app import create_app

    app = create_app(list(folders))
    with answering(app) as address:
        yield Served(address, app.state.engines)


@contextmanager
def opened(browser: Any, **options: Any) -> Iterator[Any]:
    """A new page; any warning or error of the browser, except a failed request, fails the test."""
    page = browser.new_page(**({"viewport": {"width": 1280, "height": 800}} | options))
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
        assert [text for text in complaints if not text.startswith("Failed to load resource")] == []
    finally:
        page.close()


def wait_for_history(page: Any, n_items: int) -> None:
    """Wait until the history on the page has this many items; the page's policy forbids Playwright's own waiting."""
    deadline = time.monotonic() + 10
    while (found := page.text_content("#history .count")) != str(n_items):
        assert time.monotonic() < deadline, f"the history has {found} items, not {n_items}"
        page.wait_for_timeout(10)

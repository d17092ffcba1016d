"""Small trained runs, a server in a thread and a headless browser, each made once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from page_samples import HOSTILE, LTOCF, Served, opened, serving, titled, trained


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs by name: with titles, without, without explanations, without folding in, with hostile titles."""
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


@pytest.fixture(scope="session")
def served(runs: dict[str, Path]) -> Iterator[Served]:
    """All runs; the first two are those with titles."""
    pytest.importorskip("fastapi", reason="needs the `serve` extra")
    with serving(*runs.values()) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless chromium: the system's, or Playwright's own.

    For a module, not for the session: while Playwright runs, no other test can have an event loop.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    executable = os.environ.get("LTOCF_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with playwright.sync_playwright() as started:
        try:
            chromium = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"needs chromium (LTOCF_CHROMIUM names one): {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with opened(browser) as new_page:
        yield new_page

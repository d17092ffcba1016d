"""Take the pictures of the page: ``python docs/draw_page.py runs/movies [runs/other]``, by default of a new run.

Needs the extras `serve` and `test`, and chromium: LTOCF_CHROMIUM names it where it is not found. The run is that of
``ltocf train movielens-small --set preset=fast --set dim=64``.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import ltocf
from ltocf.service.app import create_app

IMAGES = Path(__file__).parent / "images"
HISTORY = "/?item=1196&item=2571&item=541"
PICTURES: dict[str, dict[str, Any]] = {
    "page-history": {"address": HISTORY, "width": 1280, "height": 860, "scheme": "light", "point_at": "#card-1"},
    "page-model": {"address": "/model", "width": 1280, "height": 860, "scheme": "light"},
    "page-phone-dark": {"address": HISTORY, "width": 390, "height": 844, "scheme": "dark", "open": "#why-1"},
}


@contextmanager
def served(runs: list[Path]) -> Iterator[str]:
    """Serve these runs during the block, at the address that it is given."""
    server = uvicorn.Server(uvicorn.Config(create_app(runs), port=8299, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield "http://127.0.0.1:8299"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def draw(browser: Browser, address: str, name: str, view: dict[str, Any]) -> Path:
    """Take one picture as WebP."""
    size = {"width": view["width"], "height": view["height"]}
    scale = 2 if view["width"] < 600 else 1
    context = browser.new_context(viewport=size, color_scheme=view["scheme"], device_scale_factor=scale)
    page = context.new_page()
    page.goto(address + view["address"])
    if "point_at" in view:
        page.hover(view["point_at"])
    if "open" in view:
        page.click(f"{view['open']} summary")
        page.evaluate("document.querySelector('.list-head').scrollIntoView(); scrollBy(0, -16)")
    page.wait_for_timeout(300)
    path = IMAGES / f"{name}.webp"
    with tempfile.TemporaryDirectory() as folder:
        shot = page.screenshot(path=Path(folder) / "page.png", animations="disabled")
        assert shot
        Image.open(Path(folder) / "page.png").convert("RGB").save(path, "webp", quality=88, method=6)
    context.close()
    return path


def main() -> None:
    """Serve the runs named, or a new one, and take every picture."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(run) for run in sys.argv[1:]]
        if not runs:
            runs = [Path(folder) / "movies"]
            ltocf.train("movielens-small", runs[0], model="ltocf", preset="fast", dim=64)
        chromium = os.environ.get("LTOCF_CHROMIUM") or shutil.which("chromium")
        with served(runs) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, view in PICTURES.items():
                draw(browser, address, name, view)
            browser.close()


if __name__ == "__main__":
    main()

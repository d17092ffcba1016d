"""Check the accessibility of a built site with axe-core in chromium: ``python docs/check_site.py site``.

Every page is opened in light and dark, on a phone and on a desk. Needs the extra `test`, chromium (LTOCF_CHROMIUM names
it if it is not found) and `make .npm/.axe`.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

AXE = Path(__file__).resolve().parents[1] / ".npm" / "node_modules" / "axe-core" / "axe.min.js"
WAYS = tuple(product(("light", "dark"), (390, 1280)))
"""Colour scheme and width of the window."""
SERIOUS = ("serious", "critical")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log no requests."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve this folder during the block, at the address that it is given."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def check(browser: Any, site: Path, views: Iterable[tuple[str, str, int]]) -> list[str]:
    """The serious and critical violations, a line each.

    Args:
        browser: a browser of Playwright.
        site: the built site.
        views: page, colour scheme and width of each view.
    """
    found = []
    with served(site) as address:
        for name, scheme, width in views:
            context = browser.new_context(
                color_scheme=scheme,
                viewport={"width": width, "height": 800},
                bypass_csp=True,
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.goto(f"{address}/{name}")
            page.add_script_tag(path=str(AXE))
            found += [
                f"{name}, {scheme}, {width} px: {violation['id']}: {node['html']}"
                for violation in page.evaluate("axe.run().then(result => result.violations)")
                if violation["impact"] in SERIOUS
                for node in violation["nodes"]
            ]
            context.close()
    return found


def main(site: Path) -> None:
    """Check every page in every way."""
    from playwright.sync_api import sync_playwright

    names = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    with sync_playwright() as playwright:
        chromium = os.environ.get("LTOCF_CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = check(browser, site, ((name, *way) for name in names for way in WAYS))
        browser.close()
    sys.stdout.write("\n".join([*found, f"{len(names)} pages in {len(WAYS)} ways, {len(found)} found"]) + "\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

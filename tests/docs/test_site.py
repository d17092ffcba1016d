"""The built site is accessible; `make site-check` checks every page in every way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("index.html", "results/index.html", "mathematics/index.html", "service/index.html")


def test_axe_finds_nothing_serious_on_four_pages(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="needs the `docs` extra")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    script = load_script(ROOT / "docs" / "check_site.py")
    chromium = os.environ.get("LTOCF_CHROMIUM") or shutil.which("chromium")
    if not script.AXE.exists() or chromium is None:
        pytest.skip("needs axe-core, `make .npm/.axe`, and chromium")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, ROOT / "docs" / "render_formulas.py", tmp_path / "site"], check=True)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        pages_and_ways = [(name, *way) for name, way in zip(PAGES, script.WAYS, strict=True)]
        found = script.check(browser, tmp_path / "site", pages_and_ways)
        browser.close()
    assert found == []

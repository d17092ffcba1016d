"""Pages show what is true now: printed outputs, the picture of the packages, files that they name."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from docs.test_documentation import DOCS, ROOT, blocks
from ltocf.cli import main
from scripts import load_script

PYTHON_AND_OUTPUT = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "tutorial.md"], ids=lambda page: page.name)
def test_a_page_shows_what_its_python_prints(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    n_shown = 0
    for code, output in PYTHON_AND_OUTPUT.findall(page.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page.name, "exec"), namespace)
        if output:
            n_shown += 1
            assert printed.getvalue() == output
    assert n_shown


def test_the_tutorial_gives_the_same_lists_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    for _, code in blocks(DOCS / "tutorial.md", "python"):
        exec(code, namespace)
    for _, block in blocks(DOCS / "tutorial.md", "sh"):
        for command in block.splitlines():
            main(shlex.split(command)[1:])
    in_python, in_shell = (pl.read_parquet(name).drop("score") for name in ("lists.parquet", "lists-2.parquet"))
    assert in_python.equals(in_shell)


def test_the_picture_of_the_packages_is_that_of_the_script() -> None:
    script = load_script(DOCS / "draw_rooms.py")
    for name, look in script.LOOKS.items():
        assert (script.IMAGES / name).read_text(encoding="utf-8") == script.picture(look)


def test_files_that_the_tour_names_exist() -> None:
    named = re.findall(r"`((?:src|tests)/[^`]*|CONTRIBUTING.md)`", (DOCS / "architecture.md").read_text("utf-8"))
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists()] == []

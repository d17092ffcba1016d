"""The reference has every public name with its docstring."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from docs.test_documentation import DOCS
from scripts import load_script

SCRIPT = load_script(DOCS / "write_api.py")


@pytest.mark.parametrize("module", SCRIPT.MODULES)
def test_the_reference_is_that_of_the_docstrings(module: str) -> None:
    name = f"{module.removeprefix('ltocf.')}.md"
    expected = SCRIPT.page(module)
    assert (DOCS / "api" / name).read_text(encoding="utf-8") == expected, "run python docs/write_api.py"
    assert re.findall(r"^## (\w+)$", expected, re.MULTILINE) == import_module(module).__all__


def test_every_public_name_has_a_docstring() -> None:
    for module in SCRIPT.MODULES:
        entries = re.split(r"^## ", SCRIPT.page(module), flags=re.MULTILINE)[1:]
        without_docstring = [
            entry.split()[0]
            for entry in entries
            if not re.sub(r"```text.*?```", "", entry, flags=re.DOTALL).split()[1:]
        ]
        assert not without_docstring, f"{module}: no docstring for {', '.join(without_docstring)}"


def test_links_of_the_reference_lead_to_its_entries() -> None:
    pages = {f"{module.removeprefix('ltocf.')}.md": SCRIPT.page(module) for module in SCRIPT.MODULES}
    for text in pages.values():
        for file, anchor in re.findall(r"\]\((\w+\.md)#(\w+)\)", text):
            assert re.search(rf"^## {anchor}$", pages[file], re.MULTILINE | re.IGNORECASE), anchor

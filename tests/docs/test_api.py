"""The reference has every public name, in the words of its docstring."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from docs.test_documentation import DOCS
from scripts import load_script

SCRIPT = load_script(DOCS / "write_api.py")


@pytest.mark.parametrize("module", SCRIPT.MODULES)
def test_reference_is_what_the_docstrings_say(module: str) -> None:
    name = f"{module.removeprefix('ltocf.')}.md"
    made = SCRIPT.page(module)
    assert (DOCS / "api" / name).read_text(encoding="utf-8") == made, "run python docs/write_api.py"
    assert re.findall(r"^## (\w+)$", made, re.MULTILINE) == import_module(module).__all__


def test_every_public_name_says_what_it_is() -> None:
    for module in SCRIPT.MODULES:
        entries = re.split(r"^## ", SCRIPT.page(module), flags=re.MULTILINE)[1:]
        silent = [
            entry.split()[0]
            for entry in entries
            if not re.sub(r"```text.*?```", "", entry, flags=re.DOTALL).split()[1:]
        ]
        assert not silent, f"{module}: no docstring for {', '.join(silent)}"


def test_links_of_the_reference_lead_to_entries() -> None:
    pages = {f"{module.removeprefix('ltocf.')}.md": SCRIPT.page(module) for module in SCRIPT.MODULES}
    for text in pages.values():
        for file, anchor in re.findall(r"\]\((\w+\.md)#(\w+)\)", text):
            assert re.search(rf"^## {anchor}$", pages[file], re.MULTILINE | re.IGNORECASE), anchor

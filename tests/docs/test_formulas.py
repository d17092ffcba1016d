"""The formulas of the pages become MathML, all of them and without a rest of LaTeX."""

from __future__ import annotations

import html
import xml.etree.ElementTree as ET

import pytest

from docs.test_documentation import DOCS, PAGES, blocks
from scripts import load_script

pytest.importorskip("latex2mathml", reason="the extra `docs` draws formulas")

FORMULAS = [(page.name, line, latex) for page in PAGES for line, latex in blocks(page, "math")]


def test_there_are_formulas() -> None:
    assert {page for page, _, _ in FORMULAS} >= {"mathematics.md", "losses.md", "auto.md"}


@pytest.mark.parametrize(("page", "line", "latex"), FORMULAS, ids=lambda value: value if isinstance(value, int) else "")
def test_formula_becomes_mathml(page: str, line: int, latex: str) -> None:
    script = load_script(DOCS / "render_formulas.py")
    block = f'<p>before</p><pre class="formula"><code>{html.escape(latex, quote=False)}</code></pre>'
    made = script.rendered(block)
    drawn = "".join(ET.fromstring(f"<body>{made}</body>").itertext())
    assert made.startswith("<p>before</p>")
    assert "<math" in made
    assert not set("\\{}&") & set(drawn), f"{page}, line {line}: {drawn}"

"""All formulas of the pages become MathML, without any LaTeX left."""

from __future__ import annotations

import html
import xml.etree.ElementTree as ET

import pytest

from docs.test_documentation import DOCS, PAGES, blocks
from scripts import load_script

pytest.importorskip("latex2mathml", reason="the extra `docs` draws formulas")

FORMULAS = [(page.name, line, latex) for page in PAGES for line, latex in blocks(page, "math")]


def test_formulas_are_found() -> None:
    assert {page for page, _, _ in FORMULAS} >= {"mathematics.md", "losses.md", "auto.md"}


@pytest.mark.parametrize(("page", "line", "latex"), FORMULAS, ids=lambda value: value if isinstance(value, int) else "")
def test_a_formula_becomes_mathml(page: str, line: int, latex: str) -> None:
    script = load_script(DOCS / "render_formulas.py")
    block = f'<p>before</p><pre class="formula"><code>{html.escape(latex, quote=False)}</code></pre>'
    rendered = script.rendered(block)
    text = "".join(ET.fromstring(f"<body>{rendered}</body>").itertext())
    assert rendered.startswith("<p>before</p>")
    assert "<math" in rendered
    assert not set("\\{}&") & set(text), f"{page}, line {line}: {text}"

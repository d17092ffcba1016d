"""Turn the formulas of a built site into MathML, which browsers draw: ``python docs/render_formulas.py site``.

A formula is a fenced block with the language ``math``, in LaTeX; GitHub draws these too. Needs the extra `docs`.
"""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

from latex2mathml.converter import convert

BLOCK = re.compile(r'<pre class="formula"><code>(.*?)</code></pre>', re.DOTALL)
STYLE = "overflow: auto hidden; padding: 0.3em 0; margin: 0.7em 0; font-size: 1.1em"
WHOLE = "min-width: max-content"
"""A formula is not squeezed to the width of a phone: its columns would be drawn over each other."""
ALIGNED = {"right": "text-align: right; padding-right: 0", "left": "text-align: left; padding-left: 0"}
"""How columns are aligned: browsers read styles, not the attribute that LaTeX becomes."""


def mathml(latex: str) -> str:
    """A formula as MathML, with a scroll bar if it is too wide for the screen."""
    markup = convert(latex.strip(), display="block").replace("<math ", f'<math style="{WHOLE}" ', 1)
    for side, style in ALIGNED.items():
        markup = markup.replace(f'<mtd columnalign="{side}">', f'<mtd style="{style}" displaystyle="true">')
    return f'<div style="{STYLE}" tabindex="0" role="group" aria-label="formula">{markup}</div>'


def rendered(page: str) -> str:
    """A page of the site with its formulas as MathML."""
    return BLOCK.sub(lambda block: mathml(html.unescape(re.sub(r"<[^>]+>", "", block[1]))), page)


if __name__ == "__main__":
    for path in Path(sys.argv[1]).rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        if (changed := rendered(page)) != page:
            path.write_text(changed, encoding="utf-8")

"""The templates, read once, and the static files of the pages."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

FOLDER = Path(__file__).parent / "static"
STATIC = {file.name: file for file in sorted(FOLDER.iterdir())}
"""The files that are served, by name."""


def rendered(template: str, **values: object) -> str:
    """The HTML of a template; everything in ``values`` is shown as text."""
    return _environment().get_template(template).render(**values)


def static(name: str) -> str:
    """The address of a static file, which changes with its content, so that a browser may keep the file for ever."""
    return f"static/{name}?v={_digest(name)}"


@lru_cache
def _digest(name: str) -> str:
    return hashlib.sha256(STATIC[name].read_bytes()).hexdigest()[:12]


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ltocf.service.pages", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static
    environment.filters["number"] = _number
    environment.filters["with_code"] = _with_code
    return environment


def _number(value: float, places: int = 2) -> str:
    """A number with a true minus sign, and never "-0.00".

    Example:
        >>> _number(-0.0001), _number(-1.5), _number(1234.5, 1)
        ('0.00', '−1.50', '1,234.5')
    """
    return f"{round(value, places) + 0.0:,.{places}f}".replace("-", "−")


def _with_code(text: str) -> Markup:
    """A message of the package, with what stands between backticks as code; everything else is text.

    Example:
        >>> _with_code("`k` must be < 9")
        Markup('<code>k</code> must be &lt; 9')
    """
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # a backtick of the user's own
        return escape(text)
    coded = [
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    ]
    return Markup("").join(coded)

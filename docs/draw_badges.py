"""Draw the README's badges from pyproject.toml, so that they are true without a network: python docs/draw_badges.py"""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
HEIGHT, CHARACTER, MARGIN = 22, 6.6, 8
"""Pixels; a character of this font is about that wide."""
LABEL, VALUE = "#444b54", "#0b5cad"
"""Backgrounds of white text that stand out on a white page and on a black one."""


def badges() -> dict[str, tuple[str, str]]:
    """Label and value by name.

    Raises:
        ValueError: a badge would not be true of the project.
    """
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    prefix = "Programming Language :: Python :: 3."
    versions = [line.removeprefix(prefix) for line in project["classifiers"] if line.startswith(prefix)]
    if not settings["tool"]["mypy"]["strict"] or not (ROOT / "src" / "ltocf" / "py.typed").is_file():
        raise ValueError("the package must be checked by `mypy --strict` and have py.typed")
    return {
        "licence": ("licence", project["license"]),
        "python": ("Python", " | ".join(f"3.{version}" for version in versions)),
        "typed": ("typed", "mypy strict"),
    }


def badge(label: str, value: str) -> str:
    """A badge as SVG text."""
    left, right = (round(CHARACTER * len(text) + 2 * MARGIN) for text in (label, value))
    title = escape(f"{label}: {value}")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" '
            f'aria-label="{title}" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11">',
            f"<title>{title}</title>",
            f'<clipPath id="round"><rect width="{left + right}" height="{HEIGHT}" rx="4"/></clipPath>',
            '<g clip-path="url(#round)" text-anchor="middle">',
            *_half(0, left, LABEL, label),
            *_half(left, right, VALUE, value),
            "</g>",
            "</svg>\n",
        ]
    )


def _half(x: int, width: int, colour: str, text: str) -> list[str]:
    middle, length = x + width / 2, width - 2 * MARGIN
    return [
        f'<rect x="{x}" width="{width}" height="{HEIGHT}" fill="{colour}"/>',
        f'<text x="{middle}" y="15" fill="#fff" textLength="{length}">{escape(text)}</text>',
    ]


def main() -> None:
    for name, (label, value) in badges().items():
        (IMAGES / f"badge-{name}.svg").write_text(badge(label, value), encoding="utf-8")


if __name__ == "__main__":
    main()

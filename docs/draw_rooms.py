"""Draw the packages from top to bottom, as pyproject.toml orders them: ``python docs/draw_rooms.py``."""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT, GAP, LEFT = 860, 44, 8, 30
BANDS = ("people and programs", "answers and runs", "models", "foundations")
"""The groups of layers."""


class Look(NamedTuple):
    """Colours for one kind of page: those of the text, and one for each group of layers."""

    ink: str
    bands: dict[str, str]


LOOKS = {
    "rooms.svg": Look(
        "#1f2328",
        {
            "people and programs": "#dbe9f6",
            "answers and runs": "#e4f1e1",
            "models": "#fdf0d5",
            "foundations": "#ececec",
        },
    ),
    "rooms-dark.svg": Look(
        "#e6edf3",
        {
            "people and programs": "#1d3a57",
            "answers and runs": "#24432a",
            "models": "#4d3c12",
            "foundations": "#383c45",
        },
    ),
}
"""By picture: for light pages, and for dark ones."""
GROUPS = {
    "cli": "people and programs",
    "service": "people and programs",
    "bench": "people and programs",
    "reproduce": "people and programs",
    "report": "answers and runs",
    "tuning": "answers and runs",
    "runs": "answers and runs",
    "scale": "answers and runs",
    "serving": "answers and runs",
    "models": "models",
    "training": "models",
    "evaluation": "models",
    "losses": "models",
    "ode": "models",
}


def layers() -> list[list[str]]:
    """Names of the packages, from the one that imports all to those that import none."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return [
        [room.removeprefix("ltocf.") for room in layer.split(" | ")] for layer in contracts["contracts"][0]["layers"]
    ]


def purpose(room: str) -> str:
    """The purpose of a package: the first line of its docstring."""
    folder = ROOT / "src" / "ltocf" / room
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.splitlines()[0].rstrip(".").replace("`", "").replace("->", "→")


def picture(look: Look) -> str:
    """The picture as SVG text."""
    rows = [room for layer in layers() for room in layer]
    boxes, y = [], GAP
    for room in rows:
        boxes.append(_box(room, y, look))
        y += HEIGHT + GAP
    described = "; ".join(f"{room}: {purpose(room)}" for room in rows)
    arrow = f"M12 {GAP} V{y - GAP - 6} m-5 -8 l5 8 l5 -8"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" '
            'aria-labelledby="title description" font-family="system-ui, sans-serif">',
            '<title id="title">The packages of ltocf; imports point down</title>',
            f'<desc id="description">{escape(described)}</desc>',
            f'<path d="{arrow}" fill="none" stroke="#808080" stroke-width="2"/>',
            *boxes,
            "</svg>\n",
        ]
    )


def _box(room: str, y: int, look: Look) -> str:
    colour, middle = look.bands[GROUPS.get(room, "foundations")], y + HEIGHT // 2 + 5
    words = purpose(room).split()
    lines = [" ".join(words)]
    if len(lines[0]) > 92:
        half = next(place for place in range(len(words)) if len(" ".join(words[:place])) > len(lines[0]) // 2)
        lines = [" ".join(words[:half]), " ".join(words[half:])]
    top = middle - 8 * (len(lines) - 1)
    texts = [
        f'<text x="{LEFT + 120}" y="{top + 16 * place}" font-size="14" fill="{look.ink}">{escape(line)}</text>'
        for place, line in enumerate(lines)
    ]
    return "\n".join(
        [
            f'<rect x="{LEFT}" y="{y}" width="{WIDTH - LEFT}" height="{HEIGHT}" rx="4" fill="{colour}"/>',
            f'<text x="{LEFT + 12}" y="{middle}" font-size="15" font-weight="600" fill="{look.ink}">{room}</text>',
            *texts,
        ]
    )


if __name__ == "__main__":
    for name, look in LOOKS.items():
        (IMAGES / name).write_text(picture(look), encoding="utf-8")

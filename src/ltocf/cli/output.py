"""What commands print: tables of plain text, whatever the text holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(value: object) -> Text:
    """A value as text that a terminal only shows: no markup, no escape sequences.

    Example:
        >>> plain("[red]\\x1b[31m :smile:").plain
        '[red]�[31m :smile:'
    """
    return Text(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value)))


def say(text: str, *, error: bool = False) -> None:
    """A line that is not wrapped, on standard output or standard error."""
    Console(stderr=error, highlight=False).print(plain(text), soft_wrap=True)


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]], title: str = "", caption: str = "") -> Table:
    """A table of values; decimals with three places."""
    headers = (Column(plain(column)) for column in columns)
    drawn = Table(*headers, title=plain(title) if title else None, caption=plain(caption) if caption else None)
    for row in rows:
        drawn.add_row(*(plain(f"{value:.3f}" if isinstance(value, float) else value) for value in row))
    return drawn

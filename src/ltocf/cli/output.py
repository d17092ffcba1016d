"""What commands print: tables of plain text, whatever the text holds."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    import polars as pl

Format: TypeAlias = Literal["table", "json", "jsonl", "csv"]

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


def show(frames: Iterable[pl.DataFrame], format: Format) -> None:
    """Print frames of the same columns as one; lines of text as soon as they are there."""
    if format == "table":
        rows = list(frames)
        Console().print(table(rows[0].columns, (row for frame in rows for row in frame.iter_rows())))
    elif format == "json":
        found = [row for frame in frames for row in frame.to_dicts()]
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    else:
        for place, frame in enumerate(frames):
            text = frame.write_csv(include_header=place == 0) if format == "csv" else frame.write_ndjson()
            sys.stdout.write(text)


def save(frames: Iterable[pl.DataFrame], out: Path, n_users: int) -> None:
    """Write lists to a file, with a bar on a terminal."""
    from ltocf.progress import progress_bar
    from ltocf.serving.writing import write_frames

    with progress_bar() as bar:
        task = bar.add_task("recommending", total=n_users, note="")

        def watched() -> Iterator[pl.DataFrame]:
            for frame in frames:
                yield frame
                bar.advance(task, frame["user"].n_unique())

        n_rows = write_frames(watched(), out)
    say(f"wrote {n_rows:,} rows to {out}")

"""What commands print: tables of plain text, whatever the text holds."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ltocf.progress import harmless

if TYPE_CHECKING:
    import polars as pl

Format: TypeAlias = Literal["table", "json", "jsonl", "csv"]

_WIDE = Console(file=io.StringIO(), width=10_000).options


def plain(value: object) -> Text:
    """A value as text that a terminal shows literally: no markup, no escape sequences.

    Example:
        >>> plain("[red]\\x1b[31m :smile:").plain
        '[red]�[31m :smile:'
    """
    return Text(harmless(str(value)))


def say(text: str, *, error: bool = False) -> None:
    """A line that is not wrapped, on standard output or standard error."""
    Console(stderr=error, highlight=False).print(plain(text), soft_wrap=True)


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]], title: str = "", caption: str = "") -> Table:
    """A table of values; decimals with three places."""
    headers = (Column(plain(column), overflow="fold") for column in columns)
    drawn = Table(
        *headers,
        title=plain(title) if title else None,
        caption=plain(caption) if caption else None,
        title_justify="left",
        caption_justify="left",
    )
    for row in rows:
        drawn.add_row(*(plain(f"{value:.3f}" if isinstance(value, float) else value) for value in row))
    return drawn


def draw(*tables: Table) -> None:
    """Print tables; outside a terminal nothing in them is wrapped."""
    console = Console()
    for drawn in tables:
        if not console.is_terminal:
            console.width = max(console.width, console.measure(drawn, options=_WIDE).maximum)
        console.print(drawn)


def show_rows(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], format: Format, title: str = "", caption: str = ""
) -> None:
    """Print rows as a table, or as records for programs."""
    if format == "table":
        draw(table(columns, ([_in_words(value) for value in row] for row in rows), title, caption))
        return
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    if format == "json":
        print_json(records)
    elif format == "jsonl":
        sys.stdout.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    else:
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


def print_json(value: Any) -> None:
    """Print a value for programs, with times and paths as text."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def _in_words(value: Any) -> Any:
    """A value as a table shows it.

    Example:
        >>> [_in_words(value) for value in (True, None, 1234567, "a")]
        ['yes', '', '1,234,567', 'a']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else value


def show(frames: Iterable[pl.DataFrame], format: Format) -> None:
    """Print frames of the same columns as one; formats of lines are printed frame by frame."""
    from ltocf.serving.writing import without_formulas

    if format == "table":
        all_frames = list(frames)
        draw(table(all_frames[0].columns, (row for frame in all_frames for row in frame.iter_rows())))
    elif format == "json":
        print_json([row for frame in frames for row in frame.to_dicts()])
    else:
        for n_printed, frame in enumerate(frames):
            if format == "csv":
                sys.stdout.write(without_formulas(frame).write_csv(include_header=n_printed == 0))
            else:
                sys.stdout.write(frame.write_ndjson())


def save(frames: Iterable[pl.DataFrame], out: Path, n_users: int) -> None:
    """Write lists to a file, with a bar on a terminal."""
    from ltocf.progress import progress_bar
    from ltocf.serving.writing import write_frames

    with progress_bar() as bar:
        task = bar.add_task("recommending", total=n_users, note="")

        def advancing() -> Iterator[pl.DataFrame]:
            for frame in frames:
                yield frame
                bar.advance(task, frame["user"].n_unique())

        n_rows = write_frames(advancing(), out)
    say(f"wrote {n_rows:,} rows to {out}")

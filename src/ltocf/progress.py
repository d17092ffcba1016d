"""Progress for anything that takes longer than two seconds: one bar, silent where nobody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def progress_bar(*, enabled: bool = True) -> Iterator[Progress]:
    """A rich progress bar on standard error, shown only on a terminal and only if ``enabled``.

    Example:
        >>> with progress_bar(enabled=False) as bar:
        ...     task = bar.add_task("training", total=3, note="")
        ...     bar.advance(task)
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    hidden = not (enabled and console.is_terminal)
    with Progress(*columns, console=console, disable=hidden, transient=True) as bar:
        yield bar

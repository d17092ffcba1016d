"""Progress for anything that takes longer than two seconds: a bar on a terminal, lines in a log."""

from __future__ import annotations

import importlib.util
import logging
import re
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

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """Text with its control characters replaced, so that a terminal shows it and obeys nothing in it.

    Example:
        >>> harmless("a\x1b[31mb")
        'a�[31mb'
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


@contextmanager
def progress_bar(*, enabled: bool = True) -> Iterator[Progress]:
    """A rich progress bar on standard error, shown only on a terminal or in Jupyter and only if ``enabled``.

    Example:
        >>> with progress_bar(enabled=False) as bar:
        ...     task = bar.add_task("training", total=3, note="")
        ...     bar.advance(task)
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    hidden = not (enabled and _is_watched(console))
    with Progress(*columns, console=console, disable=hidden, transient=True) as bar:
        yield bar


@contextmanager
def logged_from(level: int, name: str = "ltocf") -> Iterator[None]:
    """Within the block, a logger drops records below a level.

    Example:
        >>> import logging
        >>> with logged_from(logging.ERROR, "ltocf.data"):
        ...     logging.getLogger("ltocf.data").isEnabledFor(logging.WARNING)
        False
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


def log_line(text: str, *, watched: bool = False) -> None:
    """Write a line to standard error where no bar can be drawn (log, pipe, batch job), or always if ``watched``."""
    console = Console(stderr=True, highlight=False, markup=False)
    if watched or not _is_watched(console):
        console.print(harmless(text), soft_wrap=True)


def readable_seconds(seconds: float) -> str:
    """A duration for people.

    Example:
        >>> [readable_seconds(s) for s in (0.42, 75.0, 8000.0)]
        ['0.4 s', '1 min 15 s', '2 h 13 min']
    """
    minutes, rest = divmod(seconds, 60)
    hours, full_minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {full_minutes} min"
    return f"{full_minutes} min {rest:.0f} s" if full_minutes else f"{rest:.1f} s"


def _is_watched(console: Console) -> bool:
    """Whether a bar can be drawn; in Jupyter rich needs ipywidgets for it."""
    return console.is_terminal or (console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)

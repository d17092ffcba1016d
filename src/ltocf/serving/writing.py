"""Lists are written to a file frame by frame: memory holds one frame, and the file is whole or not there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import polars as pl

from ltocf.files import making_file

Add: TypeAlias = Callable[[pl.DataFrame], None]

FORMULA = r"^[=+\-@\t\r]"
"""How a cell begins that spreadsheets take for a formula."""


def write_frames(frames: Iterable[pl.DataFrame], path: str | Path) -> int:
    """Write frames of the same columns one after the other to a .csv, .jsonl or .parquet file.

    Returns:
        Number of rows.

    Raises:
        ValueError: another ending, or no frame at all.
        OSError: the file cannot be written.
        BlockingIOError: another process is writing it.

    Example:
        >>> frame = pl.DataFrame({"user": ["ann"], "item": [3]})
        >>> path = Path(tempfile.mkdtemp()) / "lists.jsonl"
        >>> write_frames([frame, frame], path), path.read_text()
        (2, '{"user":"ann","item":3}\\n{"user":"ann","item":3}\\n')
    """
    path = Path(path)
    writer = writer_for(path)
    n_frames = n_rows = 0
    with making_file(path) as temporary, writer(temporary) as add:
        for frame in frames:
            add(frame)
            n_frames, n_rows = n_frames + 1, n_rows + len(frame)
        if not n_frames:
            raise ValueError("there must be a frame to write, got none")
    return n_rows


def writer_for(path: Path) -> Callable[[Path], AbstractContextManager[Add]]:
    """The writer for a file, by its ending. Raises ValueError for an ending without one."""
    if path.suffix not in WRITERS:
        raise ValueError(f"a file of lists must end in {', '.join(WRITERS)}, got {str(path)!r}")
    return WRITERS[path.suffix]


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """For CSV: an apostrophe before text that a spreadsheet would run as a formula. Ids stay as they are.

    Source: https://owasp.org/www-community/attacks/CSV_Injection

    Example:
        >>> without_formulas(pl.DataFrame({"item": ["=1"], "title": ["=1+1"]})).row(0)
        ('=1', "'=1+1")
    """
    text = [name for name, kind in frame.schema.items() if kind == pl.String and name not in ("user", "item")]
    return frame.with_columns(pl.col(text).str.replace(FORMULA, "'$0")) if text else frame


@contextmanager
def _csv(path: Path) -> Iterator[Add]:
    with path.open("wb") as file:
        yield lambda frame: without_formulas(frame).write_csv(file, include_header=file.tell() == 0)


@contextmanager
def _json_lines(path: Path) -> Iterator[Add]:
    with path.open("wb") as file:
        yield lambda frame: frame.write_ndjson(file)


@contextmanager
def _parquet(path: Path) -> Iterator[Add]:
    """Each frame as a file of its own, all of them joined at the end without being in memory together."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        parts: list[Path] = []

        def add(frame: pl.DataFrame) -> None:
            parts.append(Path(folder) / f"{len(parts):06}.parquet")
            frame.write_parquet(parts[-1])

        yield add
        if parts:
            pl.scan_parquet(parts).sink_parquet(path)


WRITERS = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}

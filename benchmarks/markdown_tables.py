"""Lines and cells of Markdown tables, for the modules that make the tables of the documentation; see tables.py."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev


def line(cells: Sequence[str]) -> str:
    """Cells as one line of a table."""
    return f"| {' | '.join(cells)} |"


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines of a table, the first as its heading."""
    return [line(cells) for cells in (rows[0], ["---"] * len(rows[0]), *rows[1:])]


def spread(values: Sequence[float]) -> str:
    """The mean, and the standard deviation if there are several values."""
    return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")

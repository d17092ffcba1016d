"""The content of a report, as plain values: tables, figures made of panels, and their origin."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Curve:
    """Points of one label; with ``spread`` an error bar of that half-length at each point."""

    label: str
    x: list[float | str]
    y: list[float]
    spread: list[float] | None = None

    def __post_init__(self) -> None:
        for name in ("y", "spread"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.x):
                raise ValueError(f"`{name}` must have one value per x, got {len(values)} for {len(self.x)}")


@dataclass(frozen=True)
class Panel:
    """One pair of axes. ``line`` and ``point`` panels have numbers along x; ``dot`` panels have words down the side.

    Args:
        title: the heading; may be empty.
        x_label: the name of ``x``; for dots, of the words.
        y_label: the name of ``y``; for dots, of the axis along which they lie.
        curves: the curves to draw.
        kind: lines, points, or dots with intervals.
        log: the axis of ``y`` is logarithmic.
    """

    title: str
    x_label: str
    y_label: str
    curves: list[Curve]
    kind: Literal["line", "dot", "point"] = "line"
    log: bool = False


@dataclass(frozen=True)
class Figure:
    """Panels side by side, as ``<name>.svg``, ``<name>-dark.svg`` and ``<name>.png``; ``name`` is a file's stem."""

    name: str
    title: str
    caption: str
    panels: list[Panel]


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading; the first column names the row."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    caption: str = ""


@dataclass(frozen=True)
class Report:
    """The result of one ``ltocf reproduce WHAT`` or ``ltocf compare``.

    Args:
        what: table3, figure6, compare ...
        title: the heading of the page.
        summary: paragraphs of plain text about the content; may be empty.
        tables: the tables, in order.
        figures: the figures, in order.
        settings: cell -> its settings, as `Config.to_toml` writes them.
        numbers: the numbers that the tables and figures were made from, ready for JSON.
        command: the command that made it.
        environment: processor, threads, versions, commit.
        cells: cell -> the digest of its split.
        name: the stem of its files; empty for ``what``.
    """

    what: str
    title: str
    summary: list[str]
    tables: list[Table]
    figures: list[Figure]
    settings: dict[str, str]
    numbers: dict[str, Any]
    command: str
    environment: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    name: str = ""

    @property
    def stem(self) -> str:
        """The name of its files without a suffix."""
        return self.name or self.what


def p_text(p_value: float) -> str:
    """The displayed text of a p-value.

    Example:
        >>> p_text(0.0004), p_text(0.0312), p_text(math.nan)
        ('< 0.001', '0.031', '–')
    """
    if math.isnan(p_value):
        return "–"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def finite(value: Any) -> Any:
    """The same values with None for numbers that are not finite, which JSON does not have.

    Example:
        >>> finite({"recall@20": [0.5, math.nan]})
        {'recall@20': [0.5, None]}
    """
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

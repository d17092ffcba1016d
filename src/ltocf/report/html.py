"""A report's files: its numbers as JSON, its figures, and one self-contained HTML page."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ltocf.files import write_text
from ltocf.report.charts import chart
from ltocf.report.content import Curve, Figure, Panel, Report, Table, finite
from ltocf.report.drawing import draw
from ltocf.report.style import plots_extra

BLANK = {"", "-", "–", "—", "nan", "n/a"}


def write_report(report: Report, folder: Path) -> Path:
    """Write ``<stem>.json``, the files of every figure, and ``<stem>.html``; the same report gives the same bytes.

    The page loads nothing: it contains scripts, pictures and data. Without scripts it shows static pictures.

    Returns:
        The path of the HTML file.

    Raises:
        ImportError: the ``plots`` extra is not installed.
        ValueError: two figures have the same name.
    """
    names = [figure.name for figure in report.figures]
    if len(set(names)) != len(names):
        raise ValueError(f"figures are files and need different names, got {names}")
    page = _page(report, [draw(figure, folder)[:2] for figure in report.figures])
    write_text(folder / f"{report.stem}.json", numbers_text(report))
    path = folder / f"{report.stem}.html"
    write_text(path, page)
    return path


def read_report(path: Path) -> Report:
    """Read a report from the JSON file that `write_report` wrote; the page can be made again from it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    tables = [Table(**table) for table in content.pop("tables")]
    figures = [_figure(figure) for figure in content.pop("figures")]
    return Report(**content, tables=tables, figures=figures, name=path.stem)


def _figure(content: dict[str, Any]) -> Figure:
    panels = [
        Panel(**panel | {"curves": [Curve(**_with_gaps(curve)) for curve in panel["curves"]]})
        for panel in content["panels"]
    ]
    return Figure(**content | {"panels": panels})


def _with_gaps(curve: dict[str, Any]) -> dict[str, Any]:
    """The curve with NaN where JSON has null, for numbers that were not finite."""
    return curve | {"y": [math.nan if value is None else value for value in curve["y"]]}


def numbers_text(report: Report) -> str:
    """The report as JSON; a number that is not finite becomes null."""
    content = {
        "what": report.what,
        "title": report.title,
        "summary": report.summary,
        "cells": report.cells,
        "numbers": report.numbers,
        "tables": [asdict(table) for table in report.tables],
        "figures": [asdict(figure) for figure in report.figures],
        "settings": report.settings,
        "environment": report.environment,
        "command": report.command,
    }
    return json.dumps(finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _page(report: Report, pictures: list[list[Path]]) -> str:
    with plots_extra():
        from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("ltocf.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    figures = [
        {"content": figure, "chart": chart(figure), "pictures": [_data_uri(picture) for picture in pair]}
        for figure, pair in zip(report.figures, pictures, strict=True)
    ]
    return templates.get_template("report.html.jinja").render(
        report=report,
        tables=[{"content": table, "numeric": _numeric_columns(table)} for table in report.tables],
        figures=figures,
        environment=_flat(report.environment),
        # A megabyte, which only charts need.
        scripts=_scripts() if figures else "",
    )


def _scripts() -> str:
    """Vega, Vega-Lite and vega-embed in one script, in the version that altair writes for."""
    with plots_extra():
        import altair
        import vl_convert

    version = altair.SCHEMA_VERSION.rpartition(".")[0]
    bundle = vl_convert.javascript_bundle(snippet="window.vegaEmbed = vegaEmbed;", vl_version=version)
    # In a string of the script these escapes mean the same, but cannot end or comment out the script element.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _data_uri(picture: Path) -> str:
    # As an image, not as elements: matplotlib's identifiers would clash between the figures of one page.
    return "data:image/svg+xml;base64," + base64.b64encode(picture.read_bytes()).decode()


def _numeric_columns(table: Table) -> set[int]:
    """Columns after the first that hold only numbers and blanks, and at least one number."""
    numeric = set()
    for column in range(1, max(map(len, [table.columns, *table.rows]))):
        cells = [row[column].strip() for row in table.rows if column < len(row)]
        filled = [cell for cell in cells if cell.lower() not in BLANK]
        if filled and all(_is_number(cell) for cell in filled):
            numeric.add(column)
    return numeric


def _is_number(cell: str) -> bool:
    """Whether a cell starts with a number, as ``0.18 ± 0.01``, ``−1.5%``, ``< 0.001``, ``3.2×`` and ``12 s`` do."""
    word = cell.lstrip("<>≈ ").replace("−", "-").replace(",", "").partition(" ")[0].rstrip("%×*†")
    try:
        float(word)
    except ValueError:
        return False
    return True


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested names joined by dots, each with its value as text."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{name}"] = ", ".join(map(str, value))
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat

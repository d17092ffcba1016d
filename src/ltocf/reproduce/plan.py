"""The cells of a table or figure by its name, and the report on finished cells."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltocf.data import CATALOG
from ltocf.report.content import Figure, Report, Table
from ltocf.report.html import write_report
from ltocf.report.names import data_name
from ltocf.reproduce.cells import (
    METHODS,
    VARIANTS,
    Cell,
    Places,
    dataset_name,
    find_source,
    make_cells,
    variant_names,
)
from ltocf.reproduce.figures import TITLES, ablation, connections, curves_of_training, seconds
from ltocf.reproduce.table3 import figure, numbers, table

logger = logging.getLogger(__name__)

PAIR = ("lightgcn", "ltocf")
TABLE1 = (
    "Every solver is linear in its start, so it is described by one function h of an eigenvalue λ of the normalised "
    "adjacency. These are the functions before any training."
)
PROTOCOL = (
    "Ranking is over all items, those of the user's training history left out. Unless a row says test, the epoch is "
    "selected on a validation set, the model is then trained on the whole training set, and the test set is read once."
)
WHAT = ("table1", "table3", *(f"figure{number}" for number in range(6, 13)))
"""The tables and figures that are made of cells; ``search`` makes configurations instead."""


def datasets(requested: Sequence[str], places: Places) -> list[str]:
    """Sources of the requested data sets, else of every folder of configurations whose data are found.

    A catalogue name that is requested is downloaded when it is read; without a request nothing is downloaded.

    Raises:
        FileNotFoundError: a requested data set cannot be found, or none at all.
    """
    names = list(requested) or sorted(path.name for path in places.configs.glob("*") if path.is_dir())
    by_name = {
        name: name if name in requested and name in CATALOG else find_source(name, places.data_dir) for name in names
    }
    missing = [name for name, source in by_name.items() if source is None]
    sources = [source for source in by_name.values() if source is not None]
    if (missing and requested) or not sources:
        raise FileNotFoundError(
            f"no data found for {', '.join(missing) or places.configs}; give a folder with train.txt and test.txt or a "
            "table file, or name where the folders of data sets are with `data_dir` or LTOCF_DATA"
        )
    for name in missing:
        logger.info("%s: left out, its data was not found", name)
    return sources


def plan(
    what: str, source: str, models: Sequence[str], seeds: Sequence[int], places: Places, values: dict[str, Any]
) -> list[Cell]:
    """The cells of a table or figure for one data set, whose data are not read yet.

    Raises:
        ValueError: an unknown table, figure or model.
    """
    if what not in WHAT:
        raise ValueError(f"there is no {what!r}; there are {', '.join(WHAT)} and search")
    if what == "table1":
        return []
    if what in VARIANTS:
        names: Sequence[str] = list(dict.fromkeys(variant_names(what, source, places).values()))
    elif what in ("table3", "figure12"):
        names = models or [*METHODS, *_more_methods(source, places)]
    else:
        names = models or PAIR
    return make_cells(source, names, seeds, places, values)


def report(
    what: str, cells: Sequence[Cell], missing: Sequence[str], places: Places, command: str, environment: dict[str, Any]
) -> Report:
    """The report on the finished cells of one data set; Table 1 has no cells.

    Args:
        what: the table or figure.
        cells: cells that have a result.
        missing: labels of the cells that have none.
        places: the folders.
        command: the command that makes the report again.
        environment: the environment of this process; the hardware of the cells is added to it.
    """
    title = TITLES.get(what, "Every method")
    if what == "table1":
        table1_figure, table1, values = connections()
        return Report(what, title, [TABLE1], [table1], [table1_figure], {}, values, command, environment)
    content = CONTENT[what](what, list(cells), places)
    figures = [item for item in content if isinstance(item, Figure)]
    tables = [item for item in content if isinstance(item, Table)]
    values = next(item for item in content if isinstance(item, dict))
    hardware = {cell.hardware() for cell in cells}
    return Report(
        what=what,
        title=f"{title}: {data_name(cells[0].dataset)}",
        summary=[PROTOCOL, *([f"Results still missing: {', '.join(missing)}."] if missing else [])],
        tables=tables,
        figures=figures,
        settings={f"{cell.dataset}/{cell.name}": cell.text for cell in cells},
        numbers={cells[0].dataset: values},
        command=command,
        environment=environment | {"hardware of the cells": ", ".join(sorted(hardware))},
        cells={cell.label: cell.metrics()["split"]["digest"] for cell in cells},
        name=f"{what}-{cells[0].dataset}",
    )


def keep_report(made: Report, folder: Path) -> Path:
    """Write a report, but never over one that has more cells; returns the path of its page.

    A report replaces an older one if it has all cells of that, on the same splits. Otherwise the older one stays, and
    the new one gets eight digits of its own after its name.
    """
    name, existing = made.stem, folder / f"{made.stem}.json"
    if existing.exists():
        before: dict[str, str] = json.loads(existing.read_text(encoding="utf-8")).get("cells", {})
        if not before.items() <= made.cells.items():
            digits = hashlib.sha256(json.dumps(made.cells, sort_keys=True).encode()).hexdigest()[:8]
            logger.info("%s has other cells and stays", existing)
            name = f"{name}-{digits}"
    figures = [replace(figure, name=name) for figure in made.figures]
    return write_report(replace(made, name=name, figures=figures), folder)


def _table3(_: str, cells: list[Cell], __: Places) -> list[Any]:
    values = numbers(cells)
    return [table(cells, values), figure(cells, values), values]


def _curves(what: str, cells: list[Cell], _: Places) -> list[Any]:
    return [curves_of_training(what, cells), {cell.name: cell.history() for cell in cells}]


def _ablation(what: str, cells: list[Cell], places: Places) -> list[Any]:
    return list(ablation(what, variant_names(what, cells[0].config.data.source, places), cells))


CONTENT: dict[str, Callable[[str, list[Cell], Places], list[Any]]] = {
    "table3": _table3,
    **dict.fromkeys(("figure6", "figure7", "figure8"), _curves),
    **dict.fromkeys(VARIANTS, _ablation),
    "figure12": lambda _what, cells, _places: list(seconds(cells)),
}


def _more_methods(source: str, places: Places) -> list[str]:
    """Configurations of the data set that are not rows of the paper's table: methods and recipes added later."""
    stems = sorted(path.stem for path in (places.configs / dataset_name(source)).glob("*.toml"))
    return [stem for stem in stems if stem not in METHODS]

"""From the name of a table or figure to its cells, and from finished cells to its report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ltocf.models import MODELS
from ltocf.report.content import Figure, Report, Table
from ltocf.reproduce.cells import METHODS, VARIANTS, Cell, Places, find_source, make_cells, variant_names
from ltocf.reproduce.figures import TITLES, ablation, connections, curves_of_training, seconds
from ltocf.reproduce.run import Progress
from ltocf.reproduce.table3 import figure, numbers, table

logger = logging.getLogger(__name__)

PAIR = ("lightgcn", "ltocf")
WHAT = ("table1", "table3", *(f"figure{number}" for number in range(6, 13)))
"""What `reproduce` makes of cells; ``search`` makes the configurations."""


def datasets(asked: Sequence[str], places: Places) -> list[str]:
    """Sources of the data sets asked for, else of every folder of configurations whose data is found.

    Raises:
        FileNotFoundError: a data set that was asked for, or all of them, cannot be found.
    """
    names = list(asked) or sorted(path.name for path in places.configs.glob("*") if path.is_dir())
    found = {name: find_source(name, places.data_dir) for name in names}
    missing = [name for name, source in found.items() if source is None]
    sources = [source for source in found.values() if source is not None]
    if (missing and asked) or not sources:
        raise FileNotFoundError(
            f"no data found for {', '.join(missing) or places.configs}; give a folder with train.txt and test.txt or a "
            "table file, or name where the folders of data sets are with --data-dir or LTOCF_DATA"
        )
    for name in missing:
        logger.info("%s: left out, its data is not here", name)
    return sources


def plan(
    what: str, source: str, models: Sequence[str], seeds: Sequence[int], places: Places, values: dict[str, Any]
) -> list[Cell]:
    """The cells of a table or figure for one data set.

    Raises:
        ValueError: no such table or figure, or no such model.
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
    for name in names:
        if (
            name not in MODELS
            and not (places.configs / Path(source).stem / f"{name}.toml").exists()
            and "/" not in name
        ):
            raise ValueError(f"{name!r} is no model and has no configuration; models are {', '.join(MODELS)}")
    return make_cells(source, names, seeds, places, values)


def report(what: str, progress: Progress, places: Places, command: str, environment: dict[str, Any]) -> Report:
    """What the finished cells of a plan say."""
    by_dataset: dict[str, list[Cell]] = {}
    for cell in progress.done:
        by_dataset.setdefault(cell.dataset, []).append(cell)
    tables: list[Table] = []
    figures: list[Figure] = []
    values: dict[str, Any] = {}
    if what == "table1":
        drawn, listed, values = connections()
        tables, figures = [listed], [drawn]
    for dataset, cells in by_dataset.items():
        made = CONTENT[what](what, cells, places)
        figures += [item for item in made if isinstance(item, Figure)]
        tables += [item for item in made if isinstance(item, Table)]
        values[dataset] = next(item for item in made if isinstance(item, dict))
    settings = {f"{cell.dataset}/{cell.name}": cell.file_text() for cell in progress.done}
    if progress.done:
        hardware = {cell.hardware() for cell in progress.done}
        environment = environment | {"hardware of the cells": ", ".join(sorted(hardware))}
    title = TITLES.get(what, "Every method on every data set")
    return Report(what, title, _summary(what, progress), tables, figures, settings, values, command, environment)


def _table3(_: str, cells: list[Cell], __: Places) -> list[Any]:
    return [table(cells), figure(cells), numbers(cells)]


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
    """Configurations of the data set that are no row of the paper's: methods and recipes that somebody added."""
    stems = sorted(path.stem for path in (places.configs / Path(source).stem).glob("*.toml"))
    return [stem for stem in stems if stem not in METHODS]


def _summary(what: str, progress: Progress) -> list[str]:
    paragraphs = []
    if what == "table1":
        paragraphs.append(
            "Every solver is linear in the start, so all that it does is one function h of an eigenvalue λ of the "
            "normalised adjacency. These are the functions before any training."
        )
    else:
        paragraphs.append(
            "Ranking is over all items, training items left out. Unless a row says test, the epoch is selected on a "
            "validation part of train, the model is trained again on all of train, and test is read once."
        )
    if progress.left or progress.failed:
        missing = [cell.label for cell in progress.left] + list(progress.failed)
        paragraphs.append(f"Not there yet: {', '.join(missing)}.")
    return paragraphs

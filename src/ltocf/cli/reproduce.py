"""``ltocf reproduce``: run what is missing, then write the table or figure."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from cyclopts import Parameter
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable

from ltocf.report.content import Report, Table
from ltocf.report.html import write_report
from ltocf.reproduce.cells import METHODS, Places, make_cells
from ltocf.reproduce.plan import datasets, plan, report
from ltocf.reproduce.run import run_cells
from ltocf.training import environment
from ltocf.tuning.settings_search import paper_space, search_settings

logger = logging.getLogger(__name__)

What = Literal[
    "table1", "table3", "figure6", "figure7", "figure8", "figure9", "figure10", "figure11", "figure12", "search"
]
Names = Annotated[str, Parameter(negative="")]


def reproduce(
    what: What,
    /,
    *,
    dataset: Names = "",
    models: Names = "",
    seeds: Names = "0",
    budget: float = 0.0,
    processes: int = 1,
    threads: int | None = None,
    device: str | None = None,
    sampler: Literal["grid", "tpe"] = "grid",
    trials: int = 30,
    grid: Annotated[list[str] | None, Parameter(negative="")] = None,
    data_dir: Path | None = None,
    configs: Path = Path("configs"),
    results: Path = Path("results"),
    runs: Path = Path("runs/reproduce"),
) -> None:
    """Make a table or figure of the paper: run the cells that have no result yet, then write numbers, pictures, a page.

    A cell is a file configs/DATASET/NAME.toml and a seed; what is in results/ already is not run again, and what was
    interrupted goes on. A file that is missing is written with the paper's settings.

    Parameters
    ----------
    what
        table3: every method. figure6-8: loss, recall, NDCG by epoch. figure9-11: solvers, times, horizons. figure12:
        seconds. table1: what each solver connects. search: choose settings on the validation part.
    dataset
        Names, folders or table files, separated by commas; default: all of configs/ whose data is found.
    models
        Configurations, separated by commas; default: those of the table or figure.
    seeds
        Separated by commas.
    budget
        Most minutes of this call; the next goes on. 0: no limit. A cell has its own limit in `max_minutes`.
    processes
        Cells or trials at a time.
    threads
        CPU threads of each.
    device
        auto, cpu or cuda.
    sampler
        Of search: the whole grid, or Optuna's TPE over the same space.
    trials
        Of the sampler tpe.
    grid
        Of search: setting=value,value; may be repeated; default: the paper's grid.
    data_dir
        Where named data sets are; default: LTOCF_DATA.
    configs
        Folder of the configurations.
    results
        Folder of the results.
    runs
        Folder of what is running.
    """
    places = Places(configs, results, runs, "" if data_dir is None else str(data_dir))
    values = {name: value for name, value in (("threads", threads), ("device", device)) if value is not None}
    names, asked = _split(models), _split(dataset)
    if what == "search":
        _search(datasets(asked, places), names, places, values, grid, sampler, trials, processes, budget)
        return
    sources = [] if what == "table1" else datasets(asked, places)
    seed_numbers = [_number(seed) for seed in _split(seeds)]
    cells = [cell for source in sources for cell in plan(what, source, names, seed_numbers, places, values)]
    progress = run_cells(cells, processes=processes, max_minutes=budget, show_progress=True)
    written = report(what, progress, places, _command(what, asked, names, seeds), environment(torch.device("cpu")))
    page = write_report(written, results / "reports")
    console = Console()
    _show(written, console)
    console.print(f"report: {page}", soft_wrap=True)
    if progress.left:
        console.print(f"{len(progress.left)} of {len(cells)} cells are left: the same command goes on", soft_wrap=True)
    if progress.failed:
        raise ValueError("\n".join(f"{label} failed:\n{error}" for label, error in progress.failed.items()))


def _search(
    sources: Sequence[str],
    names: Sequence[str],
    places: Places,
    values: dict[str, Any],
    grid: Sequence[str] | None,
    sampler: Literal["grid", "tpe"],
    trials: int,
    processes: int,
    budget: float,
) -> None:
    console = Console()
    for source in sources:
        for cell in make_cells(source, names or METHODS, [0], places, values):
            space = _space(grid, cell.config.model)
            limits: dict[str, Any] = {"processes": processes, "max_minutes": budget}
            found = search_settings(cell, space, sampler=sampler, n_trials=trials, show_progress=True, **limits)
            if "best" in found:
                console.print(f"{cell.dataset}/{cell.name}: {found['best']}", soft_wrap=True)


def _space(grid: Sequence[str] | None, model: str) -> dict[str, list[Any]]:
    """What ``--grid`` says, else the paper's space."""
    if not grid:
        return {name: list(values) for name, values in paper_space(model).items()}
    space: dict[str, list[Any]] = {}
    for text in grid:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise ValueError(f"`--grid` takes setting=value,value, got {text!r}")
        space[name] = [_value(value) for value in values.split(",")]
    return space


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"`--seeds` takes whole numbers >= 0 separated by commas, like 0,1,2; got {text!r}")
    return int(text)


def _command(what: str, asked: Sequence[str], names: Sequence[str], seeds: str) -> str:
    """The command in its shortest form; of a path only the name."""
    parts = ["ltocf", "reproduce", what]
    parts += ["--dataset", ",".join(Path(name).name for name in asked)] if asked else []
    parts += ["--models", ",".join(names)] if names else []
    parts += ["--seeds", seeds] if seeds != "0" else []
    return shlex.join(parts)


def _show(report: Report, console: Console) -> None:
    for content in report.tables:
        n_shown = _fitting_columns(content, console.width)
        table = RichTable(*content.columns[:n_shown], title=content.title)
        for row in content.rows:
            table.add_row(*row[:n_shown])
        console.print(table)
        if n_hidden := len(content.columns) - n_shown:
            console.print(f"{n_hidden} more columns are in the report: {', '.join(content.columns[n_shown:])}")


def _fitting_columns(table: Table, width: int) -> int:
    """How many columns fit whole, at least two: squeezed into a narrow terminal all of them would be unreadable."""
    widths = [max(map(cell_len, column)) + 3 for column in zip(table.columns, *table.rows, strict=True)]
    fitting = [total <= width - 1 for total in accumulate(widths)]
    return max(2, sum(fitting))

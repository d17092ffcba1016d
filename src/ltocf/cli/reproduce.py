"""``ltocf reproduce``: run what is missing, then write the table or figure."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import torch
from cyclopts import Parameter
from rich.cells import cell_len
from rich.console import Console

from ltocf.cli.output import draw, print_json, say, table
from ltocf.report.content import Report, Table
from ltocf.report.html import numbers_text
from ltocf.reproduce.cells import METHODS, Cell, Places, make_cells, with_splits
from ltocf.reproduce.cost import LONG_MINUTES, Plan
from ltocf.reproduce.plan import datasets, keep_report, plan, report
from ltocf.reproduce.run import Progress, run_cells
from ltocf.training import environment
from ltocf.training.runtime import keep_freed_memory
from ltocf.tuning.settings_search import search_settings
from ltocf.tuning.space import paper_space, read_space, write_best

logger = logging.getLogger(__name__)

What = Literal[
    "table1", "table3", "figure6", "figure7", "figure8", "figure9", "figure10", "figure11", "figure12", "search"
]
Command = Callable[[str], str]
"""Gives, for a source, the command that makes its report again."""
Written: TypeAlias = tuple[Report, Path]
"""A report and its page."""
Names = Annotated[str, Parameter(negative="")]


def reproduce(
    what: What,
    /,
    *,
    dataset: Annotated[Names, Parameter(show_default=False)] = "",
    models: Annotated[Names, Parameter(show_default=False)] = "",
    seeds: Names = "0",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    run_long: Annotated[bool, Parameter(negative="")] = False,
    report_only: Annotated[bool, Parameter(negative="")] = False,
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
    format: Literal["table", "json"] = "table",
) -> None:
    """Make a table or figure of the paper: run the cells that have no result yet, then write numbers, pictures, a page.

    A cell is a file configs/DATASET/NAME.toml, a seed and the data. A cell whose result is in results/ with the same
    settings and data is not run again, and one that was interrupted continues. A missing file is written with the
    paper's settings. The plan and its cost are printed first. If the missing cells would take more than 5 minutes
    together, or the time of one is not known, they are run only with --run-long.

    Parameters
    ----------
    what
        table3: every method. figure6-8: loss, recall, NDCG by epoch. figure9-11: solvers, times, horizons. figure12:
        seconds. table1: what each solver connects. search: choose settings on the validation set.
    dataset
        Names, folders or table files, separated by commas; default: all data sets of configs/ that are found.
    models
        Configurations, separated by commas; default: those of the table or figure.
    seeds
        Seeds, separated by commas.
    dry_run
        Print the plan and its cost, and stop.
    run_long
        Run what is missing however long it takes.
    report_only
        Run nothing: write numbers, pictures and page from the results that exist.
    budget
        Time limit of this call in minutes; the next call continues. 0: no limit. `max_minutes` is the limit of a cell.
    processes
        Number of cells or trials that may run at the same time.
    threads
        CPU threads of each cell or trial.
    device
        auto, cpu or cuda.
    sampler
        For search: the whole grid, or Optuna's TPE over the same space.
    trials
        Number of trials of --sampler tpe.
    grid
        For search: setting=value,value, with numbers, words, true or false; may be repeated; default: the paper's grid.
    data_dir
        Folder of the data sets that have a name; default: LTOCF_DATA.
    configs
        Folder of the configurations.
    results
        Folder of the results.
    runs
        Folder of the runs.
    format
        table, or json for programs: a list of the reports, with the plan on standard error.
    """
    keep_freed_memory()
    places = Places(configs, results, runs, "" if data_dir is None else str(data_dir))
    values = {name: value for name, value in (("threads", threads), ("device", device)) if value is not None}
    names, dataset_names = _split(models), _split(dataset)
    if what == "search":
        if dry_run:
            raise ValueError("`--dry-run` is for tables and figures, got search: it prints each trial as it goes")
        _search(datasets(dataset_names, places), names, places, values, grid, sampler, trials, processes, budget)
        return
    command = partial(_command, what, names, seeds)
    if what == "table1":
        _show([_write(what, [], [], places, command)], format)
        return
    seed_numbers = [_number(seed) for seed in _split(seeds)]
    sources = datasets(dataset_names, places)
    cells = with_splits(
        [cell for source in sources for cell in plan(what, source, names, seed_numbers, places, values)]
    )
    work = Plan.of(cells, processes)
    for line in work.lines():
        say(line, error=format == "json")
    if dry_run:
        return
    if report_only:
        progress = Progress(work.done, {}, [cell for cell, _ in work.missing])
    elif work.is_long and not run_long:
        limit = f"{LONG_MINUTES:g} minutes"
        say(f"nothing is run, as it may take more than {limit}; add --run-long to run it", error=format == "json")
        progress = Progress(work.done, {}, [cell for cell, _ in work.missing])
    else:
        progress = run_cells(cells, processes=processes, max_minutes=budget, show_progress=True)
    _show(_write_all(what, progress, places, command), format)
    _refuse_unfinished(what, progress, format)


def _write_all(what: str, progress: Progress, places: Places, command: Command) -> list[Written]:
    """Write the report of every data set that has a result."""
    written = []
    for source, dataset in dict.fromkeys((cell.config.data.source, cell.dataset) for cell in progress.done):
        labels = [*(cell.label for cell in progress.left), *progress.failed]
        missing = [label for label in labels if label.startswith(f"{dataset}/")]
        cells = [cell for cell in progress.done if cell.config.data.source == source]
        written.append(_write(what, cells, missing, places, command))
    return written


def _refuse_unfinished(what: str, progress: Progress, format: str) -> None:
    """Print how many cells are left; raise a ValueError if a cell failed or none has a result."""
    if progress.left and progress.done:
        say(f"{len(progress.left)} cells are left", error=format == "json")
    if progress.failed:
        raise ValueError("\n".join(f"{label} failed:\n{error}" for label, error in progress.failed.items()))
    if not progress.done:
        raise ValueError(f"no cell of {what} has a result, so nothing is written: {len(progress.left)} are left to run")


def _write(what: str, cells: Sequence[Cell], missing: Sequence[str], places: Places, command: Command) -> Written:
    source = Path(cells[0].config.data.source).name if cells else ""
    made = report(what, cells, missing, places, command(source), environment(torch.device("cpu")))
    return made, keep_report(made, places.results / "reports")


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
            space = read_space(grid) if grid else paper_space(cell.config.model)
            limits: dict[str, Any] = {"processes": processes, "max_minutes": budget, "show_progress": True}
            run_folder, result_folder = (root / cell.dataset / "search" for root in (places.runs, places.results))
            cell.write_configuration()
            found = search_settings(
                cell.config,
                space,
                run_folder / cell.name,
                result_folder / f"{cell.name}.json",
                sampler=sampler,
                n_trials=trials,
                **limits,
            )
            if "best" in found:
                write_best(cell.configuration_file, found["best"]["values"])
                console.print(f"{cell.dataset}/{cell.name}: {found['best']}", soft_wrap=True)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"`--seeds` takes whole numbers >= 0 separated by commas, like 0,1,2; got {text!r}")
    return int(text)


def _command(what: str, names: Sequence[str], seeds: str, source: str) -> str:
    """The command in its shortest form; ``source`` is the name of the data without its folder."""
    parts = ["ltocf", "reproduce", what]
    parts += ["--dataset", source] if source else []
    parts += ["--models", ",".join(names)] if names else []
    parts += ["--seeds", seeds] if seeds != "0" else []
    return shlex.join(parts)


def _show(written: Sequence[Written], format: str) -> None:
    if format == "json":
        print_json([json.loads(numbers_text(made)) for made, _ in written])
        return
    console = Console()
    for made, page in written:
        for content in made.tables:
            n_shown = _fitting_columns(content, console.width) if console.is_terminal else len(content.columns)
            draw(table(content.columns[:n_shown], (row[:n_shown] for row in content.rows), content.title))
            if n_hidden := len(content.columns) - n_shown:
                say(f"{n_hidden} more columns are in the report: {', '.join(content.columns[n_shown:])}")
        say(f"report: {page}")


def _fitting_columns(content: Table, width: int) -> int:
    """How many columns fit unwrapped, at least two: a narrow terminal would squeeze more until nobody can read them."""
    widths = [max(map(cell_len, column)) + 3 for column in zip(content.columns, *content.rows, strict=True)]
    fitting = [total <= width - 1 for total in accumulate(widths)]
    return max(2, sum(fitting))

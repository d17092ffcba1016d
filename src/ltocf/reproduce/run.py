"""Run the cells of a plan that have no result yet, and write their results."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from safetensors.numpy import save_file

from ltocf.files import locked_name, read_arrays, remove_leftovers, replacing, save_arrays, write_text
from ltocf.progress import progress_bar
from ltocf.reproduce.cells import Cell, with_splits
from ltocf.runs import experiment
from ltocf.runs.folder import RunFolder
from ltocf.runs.leftovers import remove_run
from ltocf.training.processes import run_all
from ltocf.tuning.identity import described, differences, recorded

logger = logging.getLogger(__name__)

METRICS = ("recall@20", "ndcg@20")


@dataclass(frozen=True)
class Progress:
    """The progress of a plan: cells with a result, errors by label of cells that failed, and cells left to run."""

    done: list[Cell]
    failed: dict[str, str]
    left: list[Cell]


def run_cells(
    cells: Sequence[Cell], *, processes: int = 1, max_minutes: float = 0.0, show_progress: bool = False
) -> Progress:
    """Run every cell without a result; an interrupted cell continues from its last checkpoint.

    With one process and no limit they run in this process, see `run_all`.

    Args:
        cells: the cells of the plan; a cell that occurs twice is run once.
        processes: the number of cells that may run at the same time.
        max_minutes: the limit in minutes for this call, 0 for none; unfinished cells continue in the next.
        show_progress: show a bar over the whole plan.

    Returns:
        The cells by their outcome. An error of one cell does not stop the others.
    """
    # Two sources may have the same name, and then their cells have the same labels.
    plan = list({(cell.label, cell.key): cell for cell in with_splits(cells)}.values())
    waiting = [cell for cell in plan if not cell.is_done]
    for cell in plan:
        if cell in waiting:
            cell.write_configuration()
        elif cell.run_folder.exists():  # a process was killed after it had written the result
            with suppress(BlockingIOError), locked_name(cell.run_folder):
                shutil.rmtree(cell.run_folder)
    failed: dict[str, str] = {}
    ended: set[str] = set()
    with progress_bar(enabled=show_progress) as bar:
        task = bar.add_task("cells", total=len(plan), completed=len(plan) - len(waiting), note="")
        limit = max_minutes * 60 or float("inf")
        for outcome in run_all(iter(waiting), run_cell, processes=processes, max_seconds=limit):
            if outcome.error is None:
                logger.info("%s: %s", outcome.task.label, outcome.value)
            else:
                failed[outcome.task.label] = outcome.error.explanation()
                ended.add(outcome.task.key)
                logger.error("%s failed: %s", outcome.task.label, outcome.error.explanation().strip().splitlines()[-1])
            bar.update(task, advance=1, note=outcome.task.label)
    return Progress(
        [cell for cell in plan if cell.is_done],
        failed,
        [cell for cell in plan if not cell.is_done and cell.key not in ended],
    )


def run_cell(cell: Cell) -> str:
    """Train, measure and write the result of one cell; returns a summary.

    Raises:
        ValueError: its run folder was started with other settings, or the data have changed since they were first read.
        BlockingIOError: another process runs it.
    """
    (cell,) = with_splits([cell])
    with locked_name(cell.run_folder):
        if not cell.is_done:  # another process may have finished it meanwhile
            remove_leftovers(cell.file(".json").parent, f"{cell.name}-seed{cell.seed}*")
            _run(cell)
        metrics = cell.metrics()
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in METRICS)


def _run(cell: Cell) -> None:
    assert cell.split is not None
    folder = cell.run_folder
    if (folder / "config.toml").exists():
        if other := differences(recorded(RunFolder(folder).config()), cell.recorded):
            raise ValueError(f"{folder} was started with {described(other)}; remove it")
        metrics = experiment.resume(folder, show_progress=False)
    else:
        metrics = experiment.train_config(cell.config, folder, show_progress=False)
    if metrics["split"]["digest"] != cell.split["digest"]:
        raise ValueError(
            f"the data of {cell.label} has changed since it was first read; remove {folder} and run it again"
        )
    run = RunFolder(folder)
    user_arrays, _ = read_arrays(run.test_users_file)
    files = {suffix: cell.file(suffix) for suffix in (".safetensors", ".jsonl", ".json")}
    with replacing(files[".safetensors"]) as temporary:
        save_arrays(save_file, {name: user_arrays[name] for name in ("users", *METRICS)}, temporary)
    write_text(files[".jsonl"], run.history_file.read_text(encoding="utf-8"))
    write_text(files[".json"], json.dumps(metrics | {"configuration": cell.recorded}, indent=2) + "\n")
    remove_run(folder)

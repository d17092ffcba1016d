"""Run the cells of a plan that have no result yet, and keep what each leaves."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from safetensors.numpy import save_file

from ltocf.files import read_arrays, replacing, write_text
from ltocf.progress import progress_bar
from ltocf.reproduce.cells import Cell
from ltocf.runs import experiment
from ltocf.runs.folder import RunFolder
from ltocf.tuning.processes import run_all

logger = logging.getLogger(__name__)

METRICS = ("recall@20", "ndcg@20")


@dataclass(frozen=True)
class Progress:
    """How far a plan is: cells with a result, cells whose process failed, and cells that are left for the next call."""

    done: list[Cell]
    failed: dict[str, str]
    left: list[Cell]


def run_cells(
    cells: Sequence[Cell], *, processes: int = 1, max_minutes: float = 0.0, show_progress: bool = False
) -> Progress:
    """Run every cell without a result; a cell that was interrupted goes on from its last checkpoint.

    Args:
        cells: the plan; a cell that occurs twice is run once.
        processes: cells at a time.
        max_minutes: of this call; what is not finished then goes on in the next. 0: no limit.
        show_progress: a bar over the whole plan.

    Returns:
        What has a result and what has none. An error of one cell does not stop the others.
    """
    plan = list({cell.label: cell for cell in cells}.values())
    for cell in plan:
        if cell.is_done and (changed := cell.changed_settings()):
            logger.warning(
                "%s was made with another %s; remove it to run it again", cell.file(".json"), ", ".join(changed)
            )
    waiting = [cell for cell in plan if not cell.is_done]
    failed: dict[str, str] = {}
    with progress_bar(enabled=show_progress) as bar:
        task = bar.add_task("cells", total=len(plan), completed=len(plan) - len(waiting), note="")
        limit = max_minutes * 60 or float("inf")
        for outcome in run_all(iter(waiting), run_cell, processes=processes, max_seconds=limit):
            if outcome.error is None:
                logger.info("%s: %s", outcome.task.label, outcome.value)
            else:
                failed[outcome.task.label] = str(outcome.error)
                logger.error("%s failed: %s", outcome.task.label, str(outcome.error).strip().splitlines()[-1])
            bar.update(task, advance=1, note=outcome.task.label)
    return Progress(
        [cell for cell in plan if cell.is_done],
        failed,
        [cell for cell in plan if not cell.is_done and cell.label not in failed],
    )


def run_cell(cell: Cell) -> str:
    """Train, measure and write the result of one cell; a summary of it.

    Raises:
        ValueError: its run folder was started with another configuration.
    """
    folder = cell.run_folder
    if (folder / "config.toml").exists():
        if RunFolder(folder).config() != cell.config:
            raise ValueError(f"{folder} was started with other settings than {cell.name}.toml now has; remove it")
        metrics = experiment.resume(folder)
    else:
        metrics = experiment.train_config(cell.config, folder)
    run = RunFolder(folder)
    of_users, _ = read_arrays(run.test_users_file)
    users = {name: of_users[name] for name in METRICS}
    with replacing(cell.file(".safetensors")) as temporary:
        save_file(users, temporary)
    write_text(cell.file(".jsonl"), run.history_file.read_text(encoding="utf-8"))
    write_text(cell.file(".json"), json.dumps(metrics, indent=2) + "\n")
    shutil.rmtree(folder)
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in METRICS)

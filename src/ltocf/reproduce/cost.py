"""What a plan will run and how long that takes, printed before it is run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from ltocf.reproduce.cells import Cell

LONG_MINUTES = 5.0
"""Missing cells that should take longer together, or whose time is not known, are run only on request."""


def expected_minutes(cell: Cell) -> float | None:
    """Minutes that a cell should take: the mean of measured times, at most ``max_minutes``; None if unknown.

    The measured times are those of results of the same configuration, else of the same model, on the same data set and
    kind of device.
    """
    on_gpu = cell.config.runtime().torch_device().type != "cpu"
    same_kind = [result for result in _results(cell) if (result["environment"]["device"] != "cpu") == on_gpu]
    of_model = [result for result in same_kind if result["model"] == cell.config.model]
    measured = [result for result in of_model if result["name"] == cell.name] or of_model
    known = (
        [mean(max(result["seconds"], result["seconds_of_this_process"]) for result in measured) / 60]
        if measured
        else []
    )
    limit = cell.config.training.max_minutes
    return min([*known, *([limit] if limit else [])], default=None)


@dataclass(frozen=True)
class Plan:
    """The cells that have a result, and those that have none, with the minutes that they should take.

    Args:
        done: cells with a result.
        missing: the other cells, each with the minutes that it should take; None: unknown.
        processes: the number of cells that run at the same time.
    """

    done: list[Cell]
    missing: list[tuple[Cell, float | None]]
    processes: int = 1

    @classmethod
    def of(cls, cells: Sequence[Cell], processes: int = 1) -> Plan:
        """The plan for cells that know their splits."""
        missing = [(cell, expected_minutes(cell)) for cell in cells if not cell.is_done]
        return cls([cell for cell in cells if cell.is_done], missing, processes)

    @property
    def is_long(self) -> bool:
        """Whether the missing cells should take more than `LONG_MINUTES` together, or the time of one is unknown."""
        minutes = _minutes_of_all(self.missing, self.processes)
        return any(known is None for _, known in self.missing) or minutes > LONG_MINUTES

    def lines(self) -> Iterator[str]:
        """The plan in words, a data set at a time."""
        for dataset in dict.fromkeys(cell.dataset for cell in [*self.done, *(cell for cell, _ in self.missing)]):
            n_done = sum(cell.dataset == dataset for cell in self.done)
            missing = [(cell, minutes) for cell, minutes in self.missing if cell.dataset == dataset]
            yield f"{dataset}: {n_done} done, {len(missing)} to run{_named(missing, self.processes)}"
        for cell, _ in self.missing:
            if (other := cell.other_result()) is not None:
                yield f"{other}; the new result will be {cell.file('.json').name}"


def _results(cell: Cell) -> Iterator[dict[str, Any]]:
    """Results of the data set, each with the name of its configuration."""
    folder = cell.places.results / cell.dataset
    for path in folder.rglob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(result, dict) and {"model", "seconds", "seconds_of_this_process", "environment"} <= result.keys():
            name = path.relative_to(folder).with_suffix("").as_posix().rpartition("-seed")[0]
            yield result | {"name": name}


def _minutes_of_all(cells: Sequence[tuple[Cell, float | None]], processes: int) -> float:
    """Minutes that all cells with a known time take when processes share them."""
    return sum(minutes for _, minutes in cells if minutes is not None) / max(1, min(processes, len(cells)))


def _named(cells: Sequence[tuple[Cell, float | None]], processes: int) -> str:
    """A colon and the names and cost of cells; empty without cells."""
    if not cells:
        return ""
    seeds = {cell.seed for cell, _ in cells}
    names = [cell.name if len(seeds) == 1 else f"{cell.name}-seed{cell.seed}" for cell, _ in cells]
    n_unknown = sum(minutes is None for _, minutes in cells)
    cost = [] if n_unknown == len(cells) else [f"about {max(1, round(_minutes_of_all(cells, processes)))} min"]
    if n_unknown:
        cost.append(f"{n_unknown} of unknown time" if cost else "time unknown")
    return f": {', '.join(names)}; {' and '.join(cost)}"

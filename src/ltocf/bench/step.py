"""One training step of LT-OCF and LightGCN, side by side with how others compute it.

Every contender has a process of its own; they take turns, one step each, and only one computes at any time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltocf.bench.contenders import CONTENDERS, FLOAT_BYTES, SLOW
from ltocf.bench.worker import Task, save_pairs, serve
from ltocf.data import Interactions
from ltocf.training import environment
from ltocf.training.memory import available_bytes, gigabytes

Record = dict[str, Any]
Say = Callable[[str], None]

RATIOS = {
    "time: solver_coo / filter": ("solver_coo", "filter", "median"),
    "time: lightgcn_torch_geometric / filter": ("lightgcn_torch_geometric", "filter", "median"),
    "time: lightgcn_coo / filter": ("lightgcn_coo", "filter", "median"),
    "time: lightgcn_coo / lightgcn": ("lightgcn_coo", "lightgcn", "median"),
    "time: lightgcn_torch_geometric / lightgcn": ("lightgcn_torch_geometric", "lightgcn", "median"),
    "time: filter_8_steps / filter": ("filter_8_steps", "filter", "median"),
    "time: filter_bfloat16 / filter": ("filter_bfloat16", "filter", "median"),
    "memory: filter / lightgcn": ("filter", "lightgcn", "step_bytes"),
    "memory: filter_8_steps / filter": ("filter_8_steps", "filter", "step_bytes"),
    "memory: solver_coo / filter": ("solver_coo", "filter", "step_bytes"),
}
SAME_RESULT = {"filter": "solver_coo", "lightgcn": "lightgcn_coo", "lightgcn_torch_geometric": "lightgcn_coo"}
CLOSE_RESULT = {"filter_bfloat16": "filter"}
"""Equal results up to rounding to 16 bits."""
SHARE_OF_MEMORY = 0.9
BYTES_OF_A_PAIR = 16
"""Two int64: every contender has its own copy of the pairs."""


@dataclass(frozen=True)
class Sizes:
    """What memory and time depend on."""

    n_users: int
    n_items: int
    n_pairs: int
    dim: int

    @property
    def n_nodes(self) -> int:
        return self.n_users + self.n_items

    def estimate(self, name: str) -> int:
        """Bytes of a contender with its copy of the pairs.

        Example:
            >>> Sizes(n_users=600, n_items=400, n_pairs=10_000, dim=64).estimate("filter")
            3864000
        """
        step = CONTENDERS[name].memory_estimate(self.n_nodes, self.n_pairs, self.dim)
        return step + self.n_pairs * BYTES_OF_A_PAIR

    def formula(self, name: str) -> str:
        contender = CONTENDERS[name]
        dense = f"{self.n_nodes:,} · {self.dim} · {FLOAT_BYTES} · {contender.dense_copies}"
        sparse = f"{self.n_pairs:,} · {contender.bytes_per_pair + BYTES_OF_A_PAIR}"
        return f"{dense} + {sparse} = {gigabytes(self.estimate(name))}"


@dataclass(frozen=True)
class Effort:
    """How often a step is taken: ``warm_ups``, then ``repeats``, or ``slow_repeats`` of the slowest contender."""

    warm_ups: int = 2
    repeats: int = 10
    slow_repeats: int = 10

    def turns(self, name: str) -> int:
        return self.warm_ups + (self.slow_repeats if name == SLOW else self.repeats)


def affordable(
    names: Sequence[str], sizes: Sizes, available: int, say: Say = lambda line: None
) -> tuple[list[str], dict[str, str]]:
    """The contenders that are installed and fit in memory, and why the others do not run.

    Example:
        >>> affordable(["filter", "solver_coo"], Sizes(600, 400, 10_000, 64), available=10_000_000)
        (['filter'], {'solver_coo': 'needs about 0.03 GB, 0.01 GB are available'})
    """
    say(f"memory estimate: nodes · dim · 4 bytes · dense copies + bytes per pair; {gigabytes(available)} available")
    kept: list[str] = []
    skipped: dict[str, str] = {}
    for name in names:
        needed = sizes.estimate(name)
        say(f"  {name:26} {sizes.formula(name)}")
        if not CONTENDERS[name].is_installed():
            skipped[name] = f"{CONTENDERS[name].module.partition('.')[0]} is not installed"
        elif needed > SHARE_OF_MEMORY * available:
            skipped[name] = f"needs about {gigabytes(needed)}, {gigabytes(available)} are available"
        else:
            kept.append(name)
    for name, reason in skipped.items():
        say(f"  {name} is skipped: {reason}")
    return kept, skipped


class Worker:
    """The parent's end of a contender's process."""

    def __init__(self, name: str, task: Task) -> None:
        context = get_context("spawn")
        self.name, self.seconds = name, list[float]()
        self.connection, child_end = context.Pipe()
        self.process = context.Process(target=serve, args=(child_end, name, task), daemon=True)
        self.process.start()
        child_end.close()
        self.record: Record = _answer(self.connection)

    def ask(self, method: str) -> Any:
        self.connection.send(method)
        return _answer(self.connection)

    def stop(self) -> None:
        self.connection.send(None)
        self.process.join()


def _answer(connection: Connection) -> Any:
    try:
        answer = connection.recv()
    except EOFError as error:
        raise RuntimeError("the contender's process ended without an answer; out of memory?") from error
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["result"]


def measure(names: Sequence[str], task: Task, effort: Effort, *, compare: bool, details: bool, say: Say) -> Record:
    """Build the contenders one after the other, then let them take turns."""
    workers = []
    for name in names:
        say(f"building {name}")
        workers.append(Worker(name, task))
        if compare:
            workers[-1].record |= workers[-1].ask("save_result")
        workers[-1].ask("forget_peak")
    for turn in range(max(effort.turns(name) for name in names)):
        for worker in workers:
            if turn < effort.turns(worker.name):
                seconds = worker.ask("step")
                worker.seconds += [seconds] * (turn >= effort.warm_ups)
    records = {}
    for worker in sorted(workers, key=lambda worker: worker.name == "filter"):
        record = worker.record | _statistics(worker.seconds) | worker.ask("memory")
        record["step_bytes"] = record["step_peak_bytes"] - record["base_bytes"]
        if details and worker.name == "filter":
            record |= worker.ask("details")  # the others have stopped
        worker.stop()
        records[worker.name] = record
    return {name: records[name] for name in names}


def _statistics(seconds: list[float]) -> Record:
    lower, middle, upper = (float(value) for value in np.quantile(seconds, [0.25, 0.5, 0.75]))
    return {"median": middle, "lower_quartile": lower, "upper_quartile": upper, "seconds": seconds}


def agreement(records: Mapping[str, Record], folder: Path) -> dict[str, dict[str, float]]:
    """Largest differences of what should be equal, relative to the largest value, before the first update."""
    found = {}
    for name, other in (SAME_RESULT | CLOSE_RESULT).items():
        if name not in records or other not in records:
            continue
        record, reference = records[name], records[other]
        differences = {"loss": abs(record["loss"] / reference["loss"] - 1)}
        for part in ("final", "gradient"):
            arrays = (np.load(folder / f"{which}-{part}.npy", mmap_mode="r") for which in (name, other))
            differences[part] = largest_difference(*arrays)
        if record["time_gradients"]:
            differences["time_gradients"] = largest_difference(record["time_gradients"], reference["time_gradients"])
        found[f"{name} = {other}"] = differences
    return found


def largest_difference(ours: Any, reference: Any) -> float:
    """max |ours - reference| / max |reference|.

    Example:
        >>> largest_difference([1.0, 4.5], [1.5, 5.0])
        0.1
    """
    ours, reference = np.asarray(ours), np.asarray(reference)
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def ratios(records: Mapping[str, Record]) -> dict[str, float]:
    """The ratios of time and memory in `RATIOS`, for the contenders that ran.

    Example:
        >>> ratios({"filter": {"median": 0.5, "step_bytes": 3}, "lightgcn": {"median": 0.2, "step_bytes": 4}})
        {'memory: filter / lightgcn': 0.75}
    """
    return {
        label: records[first][quantity] / records[second][quantity]
        for label, (first, second, quantity) in RATIOS.items()
        if first in records and second in records
    }


def bench_step(
    dataset: str,
    train: Interactions,
    names: Sequence[str],
    *,
    dim: int = 64,
    batch_size: int = 2048,
    threads: int = 0,
    device: torch.device,
    effort: Effort,
    compare: bool = True,
    details: bool = False,
    say: Say = lambda line: None,
) -> Record:
    """Everything about one step of each contender on a training set.

    Args:
        dataset: a name for the record.
        train: the pairs.
        names: keys of `CONTENDERS`.
        dim: length of an embedding.
        batch_size: triples in the batch.
        threads: CPU threads, 0 for what PyTorch chooses.
        device: where to compute.
        effort: how often a step is taken.
        compare: measure how far results differ that should be equal.
        details: measure the memory bandwidth and profile the filter's step.
        say: receives a line for every stage; the memory estimate comes before anything is allocated.
    """
    sizes = Sizes(train.n_users, train.n_items, len(train), dim)
    say(f"{dataset}: {sizes.n_users:,} users, {sizes.n_items:,} items, {sizes.n_pairs:,} pairs, dim {dim}")
    available = available_bytes(device)
    kept, skipped = affordable(names, sizes, available, say)
    alternating = sum(map(sizes.estimate, kept)) < SHARE_OF_MEMORY * available
    records: dict[str, Record] = {}
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(folder), dim, batch_size, threads, str(device))
        save_pairs(task.folder, train)
        for group in [kept] if alternating else [[name] for name in kept]:
            records |= measure(group, task, effort, compare=compare, details=details, say=say)
        differences = agreement(records, task.folder) if compare else {}
    return {
        "dataset": dataset,
        **vars(sizes),
        "batch_size": batch_size,
        "warm_ups": effort.warm_ups,
        "alternating": alternating,
        "ratios": ratios(records),
        "agreement": differences,
        "contenders": records,
        "skipped": skipped,
        "estimated_bytes": {name: sizes.estimate(name) for name in kept},
        "environment": environment(device),
    }

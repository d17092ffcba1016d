"""Lists for all users, in parts that workers write: processes on this machine, or actors of a Ray cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import polars as pl
import torch

from ltocf.files import LOCK, locked_folder, make_folder, remove_leftovers, replacing, write_text
from ltocf.installation import needs_extra
from ltocf.progress import log_line, progress_bar
from ltocf.serving import TrainedModel
from ltocf.serving.lists import as_list
from ltocf.training.processes import DiedError, run_all

Engine: TypeAlias = Literal["processes", "ray"]

USERS_PER_PART = 20_000
PARTS_AT_A_TIME = 16
"""Number of parts that a process makes before another takes its place: opening a model takes seconds."""
ROUNDS = 3
"""How often parts are tried if their worker dies."""
PLAN = "lists.json"


@dataclass(frozen=True)
class Job:
    """What every worker must know.

    Args:
        model: the model file.
        out: the folder of the parts.
        k: items per user.
        users_per_part: number of users in a part.
        size: size of the model file, in bytes.
        modified: when the model file was modified, in nanoseconds since 1970.
        choice: keywords of `Snapshot.recommend_all`.
    """

    model: str
    out: str
    k: int
    users_per_part: int
    size: int
    modified: int
    choice: dict[str, Any] = field(default_factory=dict)

    def file(self, part: int) -> Path:
        """The file of a part."""
        return Path(self.out) / f"part-{part:06}.parquet"


class Worker:
    """Opens the model once and writes the parts that it is given; the same in a process and in an actor.

    Args:
        job: what to write.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    @cached_property
    def trained(self) -> TrainedModel:
        """The model.

        Raises:
            ValueError: the file is no longer the one that the job names.
        """
        trained = TrainedModel.load(self.job.model)
        if _stamp(Path(self.job.model)) != (self.job.size, self.job.modified):
            raise ValueError(f"{self.job.model} must not change while lists are made, got another model; call again")
        return trained

    def write(self, part: int) -> int:
        """Write one part, whole or not at all; the number of its users.

        Columns: ``user``; ``items`` and ``scores``, a list each; ``by``: ``model`` or ``popular``.

        Raises:
            FileNotFoundError: the folder of the lists does not exist, or not on this machine.
        """
        if not (Path(self.job.out) / PLAN).exists():
            raise FileNotFoundError(f"{self.job.out} must be a folder that stays, and that all workers see; got none")
        job, ids = self.job, self.trained.user_ids.ids
        users = ids[part * job.users_per_part : (part + 1) * job.users_per_part]
        frames = self.trained.snapshot.recommend_all(job.k, users=users, **job.choice)
        rows = pl.concat(list(frames), how="diagonal")
        if "by" not in rows.columns:  # nobody may get the popular list: all lists are the model's
            rows = rows.with_columns(by=pl.lit("model"))
        by_user = rows.group_by("user", maintain_order=True)
        lists = by_user.agg(pl.col("item").alias("items"), pl.col("score").alias("scores"), pl.col("by").first())
        # A user without any item left has an empty list, not no row.
        everybody = pl.DataFrame({"user": users}).join(lists, on="user", how="left", maintain_order="left")
        everybody = everybody.with_columns(pl.col("items", "scores").fill_null([]))
        with replacing(job.file(part)) as temporary:
            everybody.write_parquet(temporary)
        return len(users)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """`write`, as Ray Data calls it."""
        return {"part": batch["part"], "users": [self.write(int(part)) for part in batch["part"]]}


def recommend_all(
    model: str | Path,
    out: str | Path,
    k: int = 10,
    *,
    engine: Engine = "processes",
    workers: int = 0,
    users_per_part: int = USERS_PER_PART,
    show_progress: bool = True,
    **choice: Any,
) -> int:
    """Write the lists of all users to Parquet files, one row for each user.

    Finished parts stay: after an interruption the same call continues, and a part whose worker died is made again.
    ``pl.scan_parquet(f"{out}/part-*.parquet")`` reads them as one table.

    Args:
        model: a model file.
        out: the folder; with Ray a folder that all machines see under this name, as they must see ``model``.
        k: items per user.
        engine: ``processes`` on this machine, or ``ray``: the cluster that ``RAY_ADDRESS`` names, else one on this
            machine.
        workers: number of processes or actors, each with one thread and the model; 0: one for each core.
        users_per_part: number of users in a file.
        show_progress: show a progress bar, or lines without a terminal.
        choice: ``only``, ``exclude``, ``where``, ``exclude_seen`` and ``unknown`` of `Snapshot.recommend_all`.

    Returns:
        The number of users.

    Raises:
        FileExistsError: ``out`` has the lists of another model, or lists that were made with other arguments.
        BlockingIOError: another process writes lists there.
        ValueError: an option out of range, or what `Snapshot.recommend_all` raises.
        OSError: a disk that is full, or the like.
        RuntimeError: a worker raised, or died three times over the same parts.
        ImportError: Ray is not installed (extra ``scale``).
    """
    if engine not in ("processes", "ray"):
        raise ValueError(f"`engine` must be processes or ray, got {engine!r}")
    for name, value, least in (("workers", workers, 0), ("users_per_part", users_per_part, 1)):
        if value < least:
            raise ValueError(f"`{name}` must be >= {least}, got {value}")
    # Iterators and sets become lists: all workers, and the next call, must see the same.
    choice |= {
        name: sorted(as_list(choice[name]), key=str) for name in ("only", "exclude") if choice.get(name) is not None
    }
    job = Job(str(Path(model).resolve()), str(Path(out).resolve()), k, users_per_part, *_stamp(Path(model)), choice)
    worker = Worker(job)
    # An error in the arguments is an error for every user: raise it before a process is started.
    worker.trained.snapshot.recommend_all(k, users=worker.trained.user_ids.ids[:1], **choice)
    n_users = len(worker.trained.user_ids)
    parts = range((n_users + users_per_part - 1) // users_per_part)
    _refuse_foreign(job)
    make_folder(Path(out))
    with locked_folder(Path(out)):
        remove_leftovers(Path(out), PLAN, "part-*.parquet")
        _check_plan(job)
        _write_parts(worker, parts, workers, engine, show_progress)
    return n_users


def _write_parts(worker: Worker, parts: range, workers: int, engine: Engine, show_progress: bool) -> None:
    """Write the parts that are missing."""
    job, n_users = worker.job, len(worker.trained.user_ids)
    missing = [part for part in parts if not job.file(part).exists()]
    workers = min(workers or os.cpu_count() or 1, max(1, len(missing)))
    write = _by_ray if engine == "ray" else _by_processes
    with progress_bar(enabled=show_progress) as bar:
        n_before = min(n_users, (len(parts) - len(missing)) * job.users_per_part)
        task = bar.add_task("users", total=n_users, completed=n_before)
        for n_done in write(worker, missing, workers):
            bar.advance(task, n_done)
            if show_progress:
                log_line(f"recommend-all: {n_done:,} users more")
    if missing := [part for part in parts if not job.file(part).exists()]:
        raise RuntimeError(f"{len(missing)} of {len(parts)} parts are missing in {job.out}; call again to make them")


def _stamp(model: Path) -> tuple[int, int]:
    status = model.stat()
    return status.st_size, status.st_mtime_ns


def _check_plan(job: Job) -> None:
    """Refuse a folder with the lists of another model or other arguments, which its plan names."""
    _refuse_foreign(job)
    out, file = Path(job.out), Path(job.out) / PLAN
    plan = json.loads(json.dumps(asdict(job), default=str))
    if file.exists():
        earlier = json.loads(file.read_text(encoding="utf-8"))
        if earlier != plan:
            changed = ", ".join(name for name in plan if earlier.get(name) != plan[name])
            raise FileExistsError(
                f"{out} has lists that were made with other arguments ({changed}); give another folder"
            )
    else:
        write_text(file, json.dumps(plan, indent=1) + "\n")


def _refuse_foreign(job: Job) -> None:
    """Refuse a folder with other content than a lock and what a killed process has left of the plan."""
    out = Path(job.out)
    if not out.exists() or (out / PLAN).exists():
        return
    if any(not file.name.startswith((LOCK, f".{PLAN}.")) for file in out.iterdir()):
        raise FileExistsError(f"{out} exists and is not empty; give a new folder")


def _by_processes(worker: Worker, parts: list[int], n: int) -> Iterator[int]:
    """Write parts; the number of users of each finished share. Parts of a process that died are given to others."""
    if n == 1:
        yield from map(worker.write, parts)
        return
    job, left = worker.job, parts
    for _ in range(ROUNDS):
        died = None
        n_shares = max(n, -(-len(left) // PARTS_AT_A_TIME))
        shares = [(job, tuple(left[first::n_shares])) for first in range(n_shares) if left[first::n_shares]]
        for outcome in run_all(iter(shares), write_share, processes=n):
            if outcome.error is not None and not isinstance(outcome.error, DiedError):
                failure = outcome.error.failure
                raise OSError(failure.reason) if failure.is_of_system else outcome.error
            died = outcome.error or died
            yield sum(_n_users(job, part) for part in outcome.task[1] if job.file(part).exists())
        left = [part for part in left if not job.file(part).exists()]
        if not left:
            return
    raise DiedError(f"a worker died {ROUNDS} times over the same {len(left)} parts: {died}; is there enough memory?")


def write_share(share: tuple[Job, tuple[int, ...]]) -> int:
    """Write the parts of one process; the number of its users."""
    job, parts = share
    worker = Worker(job)
    torch.set_num_threads(1)
    return sum(worker.write(part) for part in parts)


def _n_users(job: Job, part: int) -> int:
    return int(pl.scan_parquet(job.file(part), glob=False).select(pl.len()).collect().item())


def _by_ray(worker: Worker, parts: list[int], n: int) -> Iterator[int]:
    """Write parts; the number of users of each. Ray restarts an actor that died, and gives it its part once more."""
    if not parts:
        return
    try:
        import ray
    except ImportError as error:
        raise needs_extra('`engine="ray"` needs', "scale") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    numbers = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=len(parts))
    written = numbers.map_batches(Worker, fn_constructor_args=(worker.job,), batch_size=1, concurrency=n)
    for batch in written.iter_batches(batch_size=1):
        yield int(sum(batch["users"]))

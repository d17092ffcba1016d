"""Several tasks at once, each in a process of its own that can be ended without loss."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar, cast

TaskType = TypeVar("TaskType")
SECONDS_TO_STOP = 10.0


class FailedError(RuntimeError):
    """A task raised; the message has its traceback."""


@dataclass(frozen=True)
class Outcome(Generic[TaskType]):
    """What came of one task: a value, or the error of its process."""

    task: TaskType
    value: Any = None
    error: FailedError | None = None


def run_all(
    tasks: Iterator[TaskType],
    work: Callable[[TaskType], Any],
    *,
    processes: int = 1,
    max_seconds: float = float("inf"),
) -> Iterator[Outcome[TaskType]]:
    """Outcomes in the order in which they come, at most ``processes`` at a time.

    A task is taken from ``tasks`` when a process is free, so it may depend on outcomes before it. At ``max_seconds``,
    and when the caller stops or is interrupted, running processes get an interrupt like Ctrl-C, and then an end; their
    tasks have no outcome.

    Args:
        tasks: what to do; pickled.
        work: a function of a module, which does one.
        processes: most at a time, >= 1.
        max_seconds: of all together.

    Raises:
        ValueError: ``processes`` < 1.
    """
    if processes < 1:
        raise ValueError(f"`processes` must be >= 1, got {processes}")
    ends = time.monotonic() + max_seconds
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[TaskType, BaseProcess]] = {}
    try:
        while True:
            while len(running) < processes and time.monotonic() < ends:
                task = next(tasks, None)
                if task is None:
                    break
                ours, theirs = context.Pipe(duplex=False)
                started = context.Process(target=_do, args=(work, task, theirs))
                started.start()
                theirs.close()
                running[ours] = (task, started)
            left = ends - time.monotonic()
            if not running or left <= 0:
                return
            for ready in wait(list(running), None if left == float("inf") else left):
                task, process = running.pop(cast(Connection, ready))
                yield _outcome(task, process, cast(Connection, ready))
    finally:
        _stop([process for _, process in running.values()])


def _do(work: Callable[[Any], Any], task: Any, connection: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        connection.send((work(task), None))
    except KeyboardInterrupt:
        pass
    except Exception as error:
        connection.send((None, "".join(traceback.format_exception(error))))
    finally:
        connection.close()


def _end_with_parent() -> None:
    """A parent that was killed could not stop its processes, and the next call would write where they still do."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(SECONDS_TO_STOP)
    os._exit(1)


def _outcome(task: TaskType, process: BaseProcess, connection: Connection) -> Outcome[TaskType]:
    try:
        value, error = connection.recv()
    except EOFError:
        process.join()
        value, error = None, f"the process ended with exit code {process.exitcode} and without a word"
    process.join()
    connection.close()
    return Outcome(task, value, None if error is None else FailedError(error))


def _stop(processes: list[BaseProcess]) -> None:
    for process in processes:
        if process.pid is not None:
            # As Ctrl-C: a run closes its files.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)
    for process in processes:
        process.join(SECONDS_TO_STOP)
        if process.is_alive():
            process.kill()
            process.join()

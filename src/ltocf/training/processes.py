"""Run several tasks at once, each in a process that can be ended at any point; or one after the other in this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, NamedTuple, TypeVar, cast

from ltocf.training.runtime import keep_freed_memory

TaskType = TypeVar("TaskType")
SECONDS_TO_STOP = 10.0

PLAIN = (ValueError, OSError, ArithmeticError, ImportError, MemoryError)
"""What the package raises with a message that tells the user what to do."""
BEGUN = "begun"
"""The first message that a process sends."""
UNGUARDED = (
    "a process ended before its task. Each process runs the script that started it again, except for what is under "
    '`if __name__ == "__main__":`, so calls that start processes must be there; put them under that line'
)


class Failure(NamedTuple):
    """An error that a task raised, in a form that can be sent to another process.

    Args:
        traceback: its traceback, as text.
        reason: its message.
        is_plain: whether the message suffices without the traceback, see `PLAIN`.
        is_of_system: whether the cause is the system, a full disk for example, and not the task.
    """

    traceback: str
    reason: str
    is_plain: bool = False
    is_of_system: bool = False

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The failure of an error that was caught."""
        text = "".join(traceback.format_exception(error))
        return cls(text, str(error), isinstance(error, PLAIN), isinstance(error, OSError))


class FailedError(RuntimeError):
    """A task raised; the message has its traceback."""

    def __init__(self, failure: Failure | str) -> None:
        self.failure = Failure(failure, failure) if isinstance(failure, str) else failure
        super().__init__(self.failure.traceback)

    def explanation(self) -> str:
        """The text to show to the user: the message if that suffices, else the traceback."""
        return self.failure.reason if self.failure.is_plain else self.failure.traceback


class DiedError(FailedError):
    """The process of a task ended before the task did."""


@dataclass(frozen=True)
class Outcome(Generic[TaskType]):
    """The outcome of one task: a value, or the error of its process."""

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
    """Run tasks, at most ``processes`` at a time, and yield their outcomes in the order in which they end.

    A task is taken from ``tasks`` when a process is free, so it may depend on the outcomes before it. After
    ``max_seconds``, and when the caller stops or is interrupted, running processes are interrupted as by Ctrl-C, then
    killed; their tasks have no outcome. A process is also killed when its parent ends.

    With one process and no limit, tasks run in this process, which saves the imports of another one. With a limit they
    do not: it must be possible to end a task at any point, which takes a process that can be killed.

    Args:
        tasks: the tasks; must be picklable if processes are started.
        work: a function at the top level of a module, which does one task.
        processes: the number of tasks that may run at the same time, >= 1.
        max_seconds: the limit in seconds for all tasks together.

    Raises:
        ValueError: ``processes`` < 1.
        RuntimeError: the script that called has no ``if __name__ == "__main__":``.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit(1)  # A started process runs the script again before its task; its parent tells the user what to do.
    if processes < 1:
        raise ValueError(f"`processes` must be >= 1, got {processes}")
    if processes == 1 and max_seconds == float("inf"):
        yield from (_run_here(work, task) for task in tasks)
        return
    deadline = time.monotonic() + max_seconds
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[TaskType, BaseProcess]] = {}
    silent: set[Connection] = set()
    try:
        while True:
            while len(running) < processes and time.monotonic() < deadline:
                task = next(tasks, None)
                if task is None:
                    break
                receiver, sender = context.Pipe(duplex=False)
                started = context.Process(target=_run_in_process, args=(work, task, sender))
                started.start()
                sender.close()
                running[receiver] = (task, started)
                silent.add(receiver)
            left = deadline - time.monotonic()
            if not running or left <= 0:
                return
            for ready in cast(list[Connection], wait(list(running), None if left == float("inf") else left)):
                if ready in silent and _has_begun(ready, running[ready][1]):
                    silent.remove(ready)
                    continue
                task, process = running.pop(ready)
                yield _outcome(task, process, ready)
    finally:
        _stop({receiver: process for receiver, (_, process) in running.items()}, silent)


def _run_here(work: Callable[[TaskType], Any], task: TaskType) -> Outcome[TaskType]:
    try:
        return Outcome(task, work(task))
    except Exception as error:
        return Outcome(task, error=FailedError(Failure.of(error)))


def _run_in_process(work: Callable[[Any], Any], task: Any, connection: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # A shell starts background jobs with Ctrl-C ignored, and child processes inherit this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    keep_freed_memory()
    try:
        connection.send(BEGUN)
        connection.send((work(task), None))
    except KeyboardInterrupt:
        pass
    except Exception as error:
        connection.send((None, Failure.of(error)))
    finally:
        connection.close()


def _end_with_parent() -> None:
    """End with the parent: a killed parent cannot stop its processes, and the next call writes the same files."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    # At once, without cleaning up: a run's files are whole at any moment, and the next call continues from them.
    os._exit(1)


def _has_begun(connection: Connection, process: BaseProcess) -> bool:
    """Whether a process has reached its task, rather than ended before it.

    Raises:
        RuntimeError: it ended because it ran an unguarded script again, see `UNGUARDED`.
    """
    try:
        connection.recv()
    except EOFError:
        process.join()
        if process.exitcode == 1:
            raise RuntimeError(UNGUARDED) from None
        return False
    return True


def _outcome(task: TaskType, process: BaseProcess, connection: Connection) -> Outcome[TaskType]:
    try:
        value, failure = connection.recv()
        error = None if failure is None else FailedError(failure)
    except EOFError:
        process.join()
        reason = f"the process ended with exit code {process.exitcode} and without an error message"
        value, error = None, DiedError(reason)
    process.join()
    connection.close()
    return Outcome(task, value, error)


def _stop(running: dict[Connection, BaseProcess], silent: set[Connection]) -> None:
    for receiver, process in running.items():
        if receiver in silent and not receiver.poll():
            # It is still importing, has nothing to close, and would answer an interrupt with a traceback.
            process.kill()
        elif process.pid is not None:
            # Like Ctrl-C, so that a run closes its files.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)
    for process in running.values():
        process.join(SECONDS_TO_STOP)
        if process.is_alive():
            process.kill()
            process.join()

"""Tasks in processes: errors, deaths, limits, and a parent that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ltocf.training.processes import DiedError, run_all


def process_id(_: int) -> int:
    return os.getpid()


def fail_on_one(task: int) -> int:
    if task == 1:
        raise ValueError("one is wrong")
    return task


def test_one_process_without_a_limit_is_the_current_one() -> None:
    assert [outcome.value for outcome in run_all(iter([0, 1]), process_id)] == [os.getpid()] * 2


def test_an_error_in_this_process_is_an_outcome_and_the_next_task_is_done() -> None:
    first, second, third = run_all(iter([0, 1, 2]), fail_on_one)
    assert (first.value, second.value, third.value) == (0, None, 2)
    assert "ValueError: one is wrong" in str(second.error)
    assert second.error is not None
    assert (second.error.explanation(), second.error.failure.is_of_system) == ("one is wrong", False)
    assert not isinstance(second.error, DiedError)


def test_an_interrupt_in_this_process_reaches_the_caller() -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_all(iter([0]), interrupted))


def test_a_limit_ends_a_task_at_any_point_and_starts_no_other() -> None:
    """The second task would be done at once; the first would last ten minutes."""
    assert list(run_all(iter([600.0, 0.0]), time.sleep, max_seconds=0.5)) == []


def test_a_worker_that_dies_is_reported() -> None:
    outcomes = list(run_all(iter([0, 7]), os._exit, processes=2))
    assert all(isinstance(outcome.error, DiedError) for outcome in outcomes)
    assert sorted(str(outcome.error) for outcome in outcomes) == [
        "the process ended with exit code 0 and without an error message",
        "the process ended with exit code 7 and without an error message",
    ]
    with pytest.raises(ValueError, match="`processes` must be >= 1, got 0"):
        list(run_all(iter([]), os._exit, processes=0))


TASK = """
import time

def work(seconds):
    print("started", flush=True)
    try:
        time.sleep(seconds)
    finally:
        print("continued", flush=True)
"""
PARENT = """
from ltocf.training.processes import run_all
from task import work
list(run_all(iter([600.0]), work, processes=2))
"""


def test_a_worker_ends_with_its_killed_parent_and_does_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(TASK)
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    # The parent ignores Ctrl-C, as in the background of a script.
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"started\n"
    parent.kill()
    # The worker has the same standard output, so this ends when the worker does.
    output, _ = parent.communicate(timeout=60)
    assert output == b""


UNGUARDED = """
from ltocf.training.processes import run_all

print("the script is run")
for outcome in run_all(iter([4, 9]), float, processes=2):
    print(outcome.value)
"""


def test_a_script_without_a_main_guard_gets_an_error_that_names_it(tmp_path: Path) -> None:
    """Its processes would start processes of their own: they end silently, and the first process explains it."""
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    *_, message = done.stderr.strip().splitlines()
    assert message.startswith("RuntimeError: a process ended before its task.")
    assert message.endswith(
        '`if __name__ == "__main__":`, so calls that start processes must be there; put them under that line'
    )
    assert done.stderr.count("Traceback") == 1

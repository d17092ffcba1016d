"""Ctrl-C is not lost, even if the exception that it raises is swallowed or replaced."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ltocf.cli.interrupts import SECONDS_UNTIL_AGAIN, ended_by_interrupts


def interrupt(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0)


class Interrupted:
    """An object whose destructor gets Ctrl-C; Python ignores exceptions of destructors."""

    def __del__(self) -> None:
        interrupt()


def ignored_in_a_destructor() -> None:
    doomed = Interrupted()
    del doomed
    for _ in range(1000):
        time.sleep(SECONDS_UNTIL_AGAIN)


def replaced_by_an_error() -> None:
    try:
        interrupt()
    except KeyboardInterrupt as error:
        raise ImportError("a library could not be imported") from error


def replaced_by_an_exit() -> None:
    try:
        interrupt()
    except KeyboardInterrupt:
        sys.exit(2)


@pytest.mark.parametrize("work", [interrupt, ignored_in_a_destructor, replaced_by_an_error, replaced_by_an_exit])
def test_an_interrupt_is_always_raised(work: Callable[[], None]) -> None:
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt), ended_by_interrupts():
            work()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert sys.unraisablehook is hook


def test_an_exit_with_status_zero_after_an_interrupt_is_kept() -> None:
    handler = signal.getsignal(signal.SIGINT)

    def exit_in_order() -> None:
        try:
            interrupt()
        except KeyboardInterrupt:
            sys.exit(0)

    try:
        with pytest.raises(SystemExit) as error, ended_by_interrupts():
            exit_in_order()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert not error.value.code


def test_other_ignored_exceptions_are_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: reported.append(error.exc_type))

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    with ended_by_interrupts():
        doomed = Broken()
        del doomed
    assert reported == [ValueError]


def test_handlers_of_a_background_job_and_in_a_thread_are_unchanged() -> None:
    previous_handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_by_interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous_handler)
    handlers: list[object] = []

    def record_handler() -> None:
        with ended_by_interrupts():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=record_handler)
    thread.start()
    thread.join()
    assert handlers == [previous_handler]

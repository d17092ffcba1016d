"""Ctrl-C is not lost, whatever becomes of the exception that it raises."""

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
    """An object in whose destructor Ctrl-C comes: Python drops what a destructor raises."""

    def __del__(self) -> None:
        interrupt()


def dropped() -> None:
    found = Interrupted()
    del found
    for _ in range(1000):
        time.sleep(SECONDS_UNTIL_AGAIN)


def taken_for_an_error() -> None:
    try:
        interrupt()
    except KeyboardInterrupt as error:
        raise ImportError("a library could not be imported") from error


def taken_for_an_exit() -> None:
    try:
        interrupt()
    except KeyboardInterrupt:
        sys.exit(2)


@pytest.mark.parametrize("what", [interrupt, dropped, taken_for_an_error, taken_for_an_exit])
def test_it_is_raised(what: Callable[[], None]) -> None:
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt), ended_by_interrupts():
            what()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert sys.unraisablehook is hook


def test_who_has_ended_in_order_meanwhile_keeps_the_exit_status() -> None:
    handler = signal.getsignal(signal.SIGINT)

    def ends() -> None:
        try:
            interrupt()
        except KeyboardInterrupt:
            sys.exit(0)

    try:
        with pytest.raises(SystemExit) as error, ended_by_interrupts():
            ends()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert not error.value.code


def test_other_things_that_python_drops_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: told.append(error.exc_type))

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    with ended_by_interrupts():
        found = Broken()
        del found
    assert told == [ValueError]


def test_a_background_job_and_a_thread_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_by_interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    seen: list[object] = []

    def inside() -> None:
        with ended_by_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]

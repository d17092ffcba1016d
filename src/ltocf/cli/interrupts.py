"""Ctrl-C: the first ends a command in order, the second at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""
SECONDS_UNTIL_AGAIN = 0.02
"""How long after Python has dropped an interrupt it is raised again."""


@contextmanager
def ended_by_interrupts() -> Iterator[None]:
    """The first Ctrl-C closes files and ends other processes, which may take seconds; the second does not wait.

    Raises:
        KeyboardInterrupt: Ctrl-C, also if a library turned it into an error of its own, or Python dropped it.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    # In a background job of a shell Ctrl-C is ignored, and stays so.
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    was_interrupted, timers, previous_hook = False, list[threading.Timer](), sys.unraisablehook

    def on_interrupt(*_: object) -> None:
        nonlocal was_interrupted
        was_interrupted = True
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
        raise KeyboardInterrupt

    def on_unraisable(error: UnraisableHookArgs) -> None:
        """Python drops what is raised in a destructor: an interrupt is raised again a moment later."""
        if error.exc_type is not KeyboardInterrupt:
            previous_hook(error)
            return
        signal.signal(signal.SIGINT, on_interrupt)
        timers.append(threading.Timer(SECONDS_UNTIL_AGAIN, os.kill, (os.getpid(), signal.SIGINT)))
        timers[-1].start()

    signal.signal(signal.SIGINT, on_interrupt)
    sys.unraisablehook = on_unraisable
    try:
        yield
    except (Exception, SystemExit) as error:
        if was_interrupted and not (isinstance(error, SystemExit) and not error.code):
            raise KeyboardInterrupt from error
        raise
    finally:
        for timer in timers:
            timer.cancel()
        sys.unraisablehook = previous_hook
        if signal.getsignal(signal.SIGINT) is on_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)

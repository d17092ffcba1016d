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


@contextmanager
def ended_by_interrupts() -> Iterator[None]:
    """The first Ctrl-C closes files and ends other processes, which may take seconds; the second does not wait.

    Raises:
        KeyboardInterrupt: Ctrl-C, also when a library has made an error of its own of it, or Python has dropped it.
    """
    first = threading.current_thread() is threading.main_thread()
    # A background job of a shell ignores it.
    if not first or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    told, again, hook = False, list[threading.Timer](), sys.unraisablehook

    def interrupted(*_: object) -> None:
        nonlocal told
        told = True
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
        raise KeyboardInterrupt

    def dropped(error: UnraisableHookArgs) -> None:
        """Python drops what is raised in a destructor and the like: then it is raised again a moment later."""
        if error.exc_type is not KeyboardInterrupt:
            hook(error)
            return
        signal.signal(signal.SIGINT, interrupted)
        again.append(threading.Timer(SECONDS_UNTIL_AGAIN, os.kill, (os.getpid(), signal.SIGINT)))
        again[-1].start()

    signal.signal(signal.SIGINT, interrupted)
    sys.unraisablehook = dropped
    try:
        yield
    except (Exception, SystemExit) as error:
        if told and not (isinstance(error, SystemExit) and not error.code):
            raise KeyboardInterrupt from error
        raise
    finally:
        for timer in again:
            timer.cancel()
        sys.unraisablehook = hook
        if signal.getsignal(signal.SIGINT) is interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)

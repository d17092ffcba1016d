"""Worker processes that share one model in memory, and their parent, which has newer models read."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ltocf.installation import needs_extra
from ltocf.service.metrics_folder import FOLDER
from ltocf.service.owned_folder import owned_folder
from ltocf.service.server import log_address, run_server
from ltocf.service.settings import ServiceSettings
from ltocf.service.sources import FolderSource, Mark

logger = logging.getLogger("ltocf.service")

TICK_SECONDS = 0.1
SHORT_TICK_SECONDS = 0.01
STOPS = (signal.SIGINT, signal.SIGTERM)
PR_SET_PDEATHSIG = 1
"""The option of Linux's prctl that sets the signal a process gets when its parent ends."""
REST_SECONDS = 1.0
"""Least time between two starts of a worker: one that always dies at once must not keep the machine busy."""


@dataclass
class Shared:
    """One run as the parent sees it: where its model is, and which child reads it now."""

    run: Path
    source: FolderSource
    file: Path
    mark: Mark | None = None
    generation: int = 0
    reader: int = 0


class Workers:
    """A parent that forks: one child reads a model and writes it for all, the others map it and answer.

    The parent itself reads no model and starts no thread, so that what it forks begins clean.

    Args:
        runs: folders of runs, or model files.
        settings: limits and switches.
        listeners: a socket for each worker.
    """

    def __init__(self, runs: list[Path], settings: ServiceSettings, listeners: list[socket.socket]) -> None:
        self.runs, self.settings, self.listeners = runs, settings, listeners
        self.workers: dict[int, int] = {}
        """By process id, the index of the worker's listener."""
        self.started = [0.0] * len(listeners)
        self.shared: list[Shared] = []
        self.signals: list[int] = []
        """The signals that came, in order; `_pass_on` sends them to the workers."""
        self.n_passed_on = 0

    def run(self) -> None:
        """Serve until a signal to stop comes. Raises as `serve`."""
        with owned_folder() as folder, self._no_child_left():
            for number in STOPS:
                signal.signal(number, lambda number, frame: self.signals.append(number))
            metrics_folder = Path(os.environ.setdefault(FOLDER, str(folder / "metrics")))
            metrics_folder.mkdir(parents=True, exist_ok=True)
            self._import()
            follow = self.settings.follow
            self.shared = [
                Shared(run, FolderSource(run, follow), folder / f"{index}.shared")
                for index, run in enumerate(self.runs)
            ]
            self._read_first()
            if self.signals:
                return
            for index in range(len(self.listeners)):
                self._start(index)
            log_address(self.listeners[0], self.settings, [shared.run.name for shared in self.shared])
            self._watch()

    @contextmanager
    def _no_child_left(self) -> Iterator[None]:
        """Kill the children that are left at the end of the block, before their files are removed."""
        try:
            yield
        finally:
            children = [*self.workers, *(shared.reader for shared in self.shared if shared.reader)]
            for child in children:
                os.kill(child, signal.SIGKILL)
            for child in children:
                os.waitpid(child, 0)

    def _import(self) -> None:
        """Import what all children need, once, so that they share its memory."""
        try:
            import torch
            import uvicorn  # noqa: F401

            from ltocf.service import app, metrics, sharing  # noqa: F401
        except ImportError as error:
            raise needs_extra("a service needs", "serve") from error
        torch.set_num_threads(1)
        self.metrics = metrics.Metrics()
        # A full collection in a child would write into all objects from before the fork, and so copy their memory.
        gc.freeze()

    def _read_first(self) -> None:
        for shared in self.shared:
            self._read(shared)
            ended = status = 0
            while not ended:
                if self.signals:
                    return
                time.sleep(SHORT_TICK_SECONDS)
                ended, status = os.waitpid(shared.reader, os.WNOHANG)
            shared.reader = 0
            if status:
                raise ValueError(shared.file.with_suffix(".error").read_text(encoding="utf-8"))

    def _read(self, shared: Shared) -> None:
        """Begin to read the newest model of a run, in a child."""
        try:
            shared.mark = shared.source.mark()
        except OSError:
            shared.mark = None
        shared.generation += 1
        shared.reader = _forked(lambda: _write(shared), dies_with_parent=True)

    def _start(self, index: int) -> None:
        self.started[index] = time.monotonic()
        self.workers[_forked(lambda: self._answer(index))] = index

    def _answer(self, index: int) -> None:
        """Serve, in a worker."""
        from ltocf.service.app import application
        from ltocf.service.engine import Engine
        from ltocf.service.sharing import SharedSource

        parent = os.getppid()
        engines = [Engine(shared.run, self.settings, SharedSource(shared.file)) for shared in self.shared]
        app = application(engines, self.settings)
        run_server(app, self.settings, self.listeners[index], is_orphan=lambda: os.getppid() != parent)

    def _pass_on(self) -> None:
        """Send new signals to the workers."""
        for number in self.signals[self.n_passed_on :]:
            self.n_passed_on += 1
            for worker in self.workers:
                os.kill(worker, number)

    def _watch(self) -> None:
        """Until all workers have ended, restart those that died, and have newer models read."""
        last_look = time.monotonic()
        while self.workers or not self.signals:
            time.sleep(TICK_SECONDS)
            self._pass_on()
            self._reap()
            if self.signals:
                continue
            self._restart()
            if self.settings.watch_seconds and time.monotonic() - last_look >= self.settings.watch_seconds:
                last_look = time.monotonic()
                for shared in self.shared:
                    self._look(shared)

    def _reap(self) -> None:
        from prometheus_client.multiprocess import mark_process_dead

        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not ended:
                return
            mark_process_dead(ended)  # type: ignore[no-untyped-call]
            if ended in self.workers:
                self.workers.pop(ended)
                if not self.signals:
                    logger.error("worker %d ended with status %d", ended, os.waitstatus_to_exitcode(status))
            for shared in self.shared:
                if shared.reader == ended:
                    shared.reader = 0
                    if status:
                        self._refuse(shared)

    def _refuse(self, shared: Shared) -> None:
        shared.generation -= 1
        self.metrics.refused.labels(shared.run.name).inc()
        try:
            reason = shared.file.with_suffix(".error").read_text(encoding="utf-8")
        except OSError:
            reason = "its reader died"
        logger.error("run %s: refused a newer model, the old one stays: %s", shared.run.name, reason)

    def _restart(self) -> None:
        for index in set(range(len(self.listeners))) - set(self.workers.values()):
            if time.monotonic() - self.started[index] > REST_SECONDS:
                self._start(index)

    def _look(self, shared: Shared) -> None:
        try:
            newer = not shared.reader and shared.source.mark() != shared.mark
        except OSError:  # the folder is being replaced: the next look finds the new one
            return
        if newer:
            self._read(shared)


def _forked(work: Callable[[], None], *, dies_with_parent: bool = False) -> int:
    """Fork a child that does one thing and ends, and may be killed when its parent ends; the child's process id."""
    parent = os.getpid()
    # A signal between the fork and the child's next lines would go to the parent's handler, and be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        return child
    status = 1
    try:
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        if dies_with_parent:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                return 0
        work()
        status = 0
    except BaseException:
        logger.exception("a child failed")
    finally:
        os._exit(status)


def _write(shared: Shared) -> None:
    """Read the newest model of a run and write it for all workers; what is wrong with it is left in a file."""
    from ltocf.service.engine import warm
    from ltocf.service.sharing import write_shared

    try:
        snapshot = shared.source.open().snapshot
        warm(snapshot)
        write_shared(snapshot, shared.generation, shared.file)
    except Exception as error:  # whatever is wrong with the model, the parent reports it
        shared.file.with_suffix(".error").write_text(str(error) or repr(error), encoding="utf-8")
        os._exit(1)

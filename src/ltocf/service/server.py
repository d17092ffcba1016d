"""One process that serves: uvicorn, which finishes running requests before it stops."""

from __future__ import annotations

import logging
import math
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ltocf.installation import needs_extra
from ltocf.service.logs import write_logs
from ltocf.service.settings import DEFAULTS, ServiceSettings
from ltocf.service.traffic import Hosts, is_loopback

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger("ltocf.service")

BACKLOG = 2048
THREADED = {"polars"}
"""Modules with threads of their own, which a forked process would wait for but not have."""
ONE_SIGNAL_SECONDS = 1.0
"""Signals within this time count as one: a terminal sends Ctrl-C to all processes, and the parent passes it on."""
IDLE_SECONDS = 30
"""How long a connection without a request stays open."""


def serve(
    runs: Sequence[str | Path],
    settings: ServiceSettings = DEFAULTS,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
) -> None:
    """Serve finished runs until a signal to stop comes: SIGINT or SIGTERM.

    Args:
        runs: folders of runs, or model files.
        settings: limits and switches.
        host: the address to listen on.
        port: the port to listen on; 0 for any that is free.
        workers: processes that answer, which share the memory of the model. On Linux, in a process that has not
            imported polars, a single worker too is a process of its own, and another one reads a newer model.

    Raises:
        FileNotFoundError: no finished run.
        ValueError: a damaged model file, no run, two runs of one name, ``workers`` < 1, or a port out of range.
        OSError: there is no such host, or the address is in use or not this machine's.
        ImportError: the ``serve`` extra is not installed.
    """
    if workers < 1:
        raise ValueError(f"`workers` must be >= 1, got {workers}")
    can_fork = platform.system() == "Linux" and not THREADED.intersection(sys.modules)
    if workers > 1 and not can_fork:
        rule = "`workers` must be 1, except on Linux in a process that has not imported polars"
        raise ValueError(f"{rule}, got {workers}; for more, run `ltocf serve`")
    write_logs(as_json=settings.json_logs)
    _allow_many_connections()
    # A request is too short to divide among threads, and a thread that waits takes a core from another worker.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    sockets = listening_sockets(host, port, workers)
    try:
        if not can_fork:
            _serve_alone(runs, settings, sockets[0])
        else:
            from ltocf.service.workers import Workers

            Workers(list(map(Path, runs)), settings, sockets).run()
    finally:
        for listener in sockets:
            listener.close()


def _serve_alone(runs: Sequence[str | Path], settings: ServiceSettings, listener: socket.socket) -> None:
    try:
        import torch

        from ltocf.service.app import create_app
    except ImportError as error:
        raise needs_extra("a service needs", "serve") from error
    torch.set_num_threads(1)
    app = create_app(runs, settings)
    run_server(app, settings, listener, lambda: log_address(listener, settings, list(app.state.engines)))


def run_server(
    app: FastAPI,
    settings: ServiceSettings,
    listener: socket.socket,
    ready: Callable[[], None] = lambda: None,
    is_orphan: Callable[[], bool] = lambda: False,
) -> None:
    """Answer until a signal to stop comes.

    Args:
        app: an application of `create_app`.
        settings: how long running requests may take to end.
        listener: where to listen.
        ready: called when it answers.
        is_orphan: called now and then; if it is true, the server stops without a signal.
    """
    import uvicorn

    class Server(uvicorn.Server):
        """Finishes running requests before it stops listening; new ones get 503 meanwhile."""

        deadline = math.inf

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            first_signal = self.deadline - settings.grace_seconds
            if first_signal + ONE_SIGNAL_SECONDS < time.monotonic():  # the second signal stops it at once
                super().handle_exit(sig, frame)
            self.begin_to_stop()

        def begin_to_stop(self) -> None:
            traffic.stopping = True
            self.deadline = min(self.deadline, time.monotonic() + settings.grace_seconds)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        async def on_tick(self, counter: int) -> bool:
            has_ended = await super().on_tick(counter)
            if is_orphan():
                self.begin_to_stop()
            may_end = traffic.stopping and (not traffic.inside or time.monotonic() > self.deadline)
            return has_ended or may_end

    traffic = app.state.traffic
    traffic.hosts = allowed_hosts(listener, settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=max(1, math.ceil(settings.grace_seconds)),
    )
    Server(config).run(sockets=[listener])
    logger.info("stopped")


def allowed_hosts(listener: socket.socket, settings: ServiceSettings) -> Hosts | None:
    """The names by which requests may call a service on this address; None for any: it has a token or is not local."""
    address = listener.getsockname()[0]
    if settings.token is not None or "*" in settings.hosts or not is_loopback(address):
        return None
    return Hosts(settings.hosts)


def listening_sockets(host: str, port: int, n: int = 1) -> list[socket.socket]:
    """``n`` sockets on one address; the system distributes connections among them.

    Raises:
        ValueError: a port out of range.
        OSError: there is no such host, or the address is in use or not this machine's.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"`port` must be in 0..65535, got {port}; 0 is any that is free")
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        remedy = "127.0.0.1 is reached from this machine only, 0.0.0.0 from others too"
        raise OSError(f"`host` must be a name or an address of this machine, got {host!r}; {remedy}") from error
    first = _bound(kind, address, shared=False)
    if n == 1:
        return [first]
    # Bound alone first: a shared address could be shared with another service by mistake.
    address = first.getsockname()
    first.close()
    return [_bound(kind, address, shared=True) for _ in range(n)]


def _bound(kind: int, address: object, *, shared: bool) -> socket.socket:
    listener = socket.socket(kind, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)  # type: ignore[arg-type]
    except OSError as error:
        listener.close()
        where = ":".join(map(str, address[:2])) if isinstance(address, tuple) else address
        rule, remedy = "`host` and `port` must be free and this machine's", "`--port 0` takes any port that is free"
        raise OSError(f"{rule}, got {where}: {error.strerror}; {remedy}") from error
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def log_address(listener: socket.socket, settings: ServiceSettings, names: list[str]) -> None:
    """Log which runs are served at which address."""
    host, port = listener.getsockname()[:2]
    logger.info("serving %s at http://%s:%d", ", ".join(names), f"[{host}]" if ":" in host else host, port)
    if settings.token is None and not is_loopback(host):
        logger.warning("anybody who reaches this machine can use the service: `--token` makes it require a token")


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as this process may, at most to 65536."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        limit = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))

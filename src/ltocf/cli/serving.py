"""``ltocf serve``: finished runs as an HTTP service."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ltocf.service.server import serve as serve_runs
from ltocf.service.settings import ServiceSettings

DEFAULT_SETTINGS = ServiceSettings()


def serve(
    *runs: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    stdio: bool = False,
    settings: Annotated[ServiceSettings, Parameter(name="*")] = DEFAULT_SETTINGS,
) -> None:
    """Serve finished runs over HTTP; the first one answers unless a request names another.

    The token may come from the environment variable LTOCF_TOKEN, where other users of this machine do not see it.

    Parameters
    ----------
    runs
        Finished runs, or model files.
    host
        The address to listen on; the default can be reached from this machine only.
    port
        The port to listen on; 0 for any that is free.
    workers
        Number of processes that answer; they share the memory of the model.
    stdio
        Open no port: answer the agent that started this program on standard input and output, as --mcp does over HTTP.
    """
    token = settings.token or os.environ.get("LTOCF_TOKEN") or None
    settings = replace(settings, token=token)
    if stdio:
        # Not above: with several workers, prometheus_client must be imported after its environment variable is set.
        from ltocf.service.app import import_tools

        import_tools().serve_stdio(runs, settings)
        return
    serve_runs(runs, settings, host=host, port=port, workers=workers)

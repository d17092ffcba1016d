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
    settings: Annotated[ServiceSettings, Parameter(name="*")] = DEFAULT_SETTINGS,
) -> None:
    """Serve finished runs over HTTP; the first one answers unless a request names another.

    The token may come from the environment variable LTOCF_TOKEN, where other users of this machine do not see it.

    Parameters
    ----------
    runs
        Finished runs, or model files.
    host
        The address to listen on; the default is reached from this machine only.
    port
        The port to listen on; 0 for any that is free.
    workers
        Processes that answer; more than one share the memory of the model.
    """
    token = settings.token or os.environ.get("LTOCF_TOKEN") or None
    settings = replace(settings, token=token)
    serve_runs(runs, settings, host=host, port=port, workers=workers)

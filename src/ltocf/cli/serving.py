"""``ltocf serve``: a finished run as an HTTP service."""

from __future__ import annotations

from pathlib import Path


def serve(*runs: Path, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve finished runs over HTTP; the first one answers unless a request names another.

    Parameters
    ----------
    runs
        Finished runs, or model files.
    host
        The address to listen on; the default is reached from this machine only.
    port
        The port to listen on.
    """
    import uvicorn

    from ltocf.service.app import create_app

    uvicorn.run(create_app(runs), host=host, port=port)

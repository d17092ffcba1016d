"""``ltocf serve``: a finished run as an HTTP service."""

from __future__ import annotations

from pathlib import Path


def serve(*runs: Path, host: str = "127.0.0.1", port: int = 8000, mcp: bool = False) -> None:
    """Serve finished runs over HTTP; the first one answers unless a request names another.

    Parameters
    ----------
    runs
        Finished runs, or model files.
    host
        The address to listen on; the default is reached from this machine only.
    port
        The port to listen on.
    mcp
        Answer one agent as tools on standard input and output (MCP), and open no port.
    """
    if mcp:
        from ltocf.service.app import import_tools
        from ltocf.service.engine import Engine
        from ltocf.service.settings import DEFAULTS

        import_tools().serve_stdio([Engine(run) for run in runs], DEFAULTS)
        return
    import uvicorn

    from ltocf.service.app import create_app

    uvicorn.run(create_app(runs), host=host, port=port)

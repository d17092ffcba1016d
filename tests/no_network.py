"""Run commands of the package in this process; report and refuse every access to a network.

    python tests/no_network.py FOLDER SOURCE

Prints the attempts as JSON. Addresses of this machine are allowed: `ltocf serve` listens on one.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

TRIED: list[str] = []
EVENTS = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "socket.sendmsg",
    "urllib.Request",
)
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def close(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a connection: an audit hook, which sees all Python code of this process and cannot be removed."""
    if event not in EVENTS:
        return
    address = arguments[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else arguments[0]
    host = address[0] if isinstance(address, tuple) else address
    if event != "urllib.Request" and (host in THIS_MACHINE or isinstance(host, (bytes, type(None)))):
        return
    TRIED.append(f"{event} {address}")
    raise OSError("there is no network")


def import_all_modules() -> int:
    """Import every module of the package and count them; those whose extra is not installed are skipped."""
    import ltocf

    n = 0
    for module in pkgutil.walk_packages(ltocf.__path__, "ltocf."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
            n += 1
        except ImportError as error:
            if "extra" not in str(error):
                raise
    return n


def commands(folder: str, source: str) -> list[list[str]]:
    run = f"{folder}/run"
    quick = ["--epochs", "1", "--set", "dim=8"]
    return [
        ["data", "list"],
        ["data", "stats", source],
        ["inspect", source],
        ["models"],
        ["settings", "ltocf"],
        ["train", source, "--out", run, *quick],
        ["train", source, "--out", f"{folder}/other", "--model", "ease"],
        ["fit", source, "--out", f"{folder}/whole", "--model", "spectral"],
        ["evaluate", run],
        ["recommend", run, "--user", "1", "--k", "3"],
        ["similar", run, "--item", "1", "--k", "3"],
        ["explain", f"{folder}/whole", "--user", "1", "--item", "3"],
        ["popular", run],
        ["compare", run, f"{folder}/other", "--out", f"{folder}/report.html"],
        ["plot", run, "--out", f"{folder}/history.svg"],
        ["update", run, source, "--out", f"{folder}/run-2"],
        ["export", run, "--to", "parquet", "--out", f"{folder}/vectors"],
    ]


def main() -> None:
    sys.addaudithook(close)
    n_modules, failed = import_all_modules(), {}
    from ltocf.cli import main as ltocf_main
    from ltocf.service.app import create_app

    to_run = commands(*sys.argv[1:])
    for command in to_run:
        output = StringIO()
        try:
            with redirect_stdout(output), redirect_stderr(output):
                ltocf_main(command)
        except SystemExit as error:
            if error.code:
                failed[" ".join(command)] = output.getvalue()[-500:]
    create_app(f"{sys.argv[1]}/run")
    report = {"modules": n_modules, "commands": len(to_run), "failed": failed, "tried": TRIED}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()

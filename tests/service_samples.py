"""The data of a small shop, and servers in processes of their own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from ltocf.files import replacing

VISITS = [(user, item) for user in range(40) for item in range(30) if (user * 7 + item * 3) % 4]
HOSTILE = ["<script>alert(1)</script>", "\u202etitle", "x" * 500, ""]
TITLES = [HOSTILE[item] if item < len(HOSTILE) else f"Film {item} (19{60 + item})" for item in range(30)]
SETTINGS: dict[str, Any] = {"model": "lightgcn", "dim": 8, "epochs": 1, "show_progress": False, "seed": 1}


class Service:
    """A server in a process of its own; with ``threaded``, one that has imported polars and so cannot fork."""

    def __init__(self, *arguments: str | Path, threaded: bool = False) -> None:
        program = ["-c", "import polars, ltocf.cli; ltocf.cli.main()"] if threaded else ["-m", "ltocf"]
        command = [sys.executable, *program, "serve", "--port", "0", *map(str, arguments)]
        environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines: list[str] = []
        assert self.process.stderr is not None
        os.set_blocking(self.process.stderr.fileno(), False)
        try:
            found = self.wait_for(r"serving .* at (http://[\d.]+:(\d+))", seconds=60)
        except AssertionError:
            self.stop()
            raise
        self.url, self.port = found.group(1), int(found.group(2))

    def log(self) -> str:
        """The log so far."""
        assert self.process.stderr is not None
        if self.process.stderr.closed:
            return "".join(self.lines)
        while line := self.process.stderr.readline():
            self.lines.append(line)
        return "".join(self.lines)

    def wait_for(self, pattern: str, seconds: int = 20) -> re.Match[str]:
        """Wait for the pattern in the log; returns its first match."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := re.search(pattern, self.log()):
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in the log:\n{self.log()}")

    def stop(self) -> int:
        """Stop the server and wait for it; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.log()
            assert self.process.stderr is not None
            self.process.stderr.close()


def until(holds: Callable[[], bool], seconds: int = 20) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"still false after {seconds} seconds"
        time.sleep(0.02)


def generation(url: str) -> int:
    """The generation of the first run of a server."""
    number = httpx.get(f"{url}/v1/runs").json()[0]["generation"]
    assert isinstance(number, int)
    return number


def replace_model(run: Path, source: Path) -> None:
    """Put the model of another run in place, in one step."""
    with replacing(run / "model.safetensors") as temporary:
        shutil.copy(source / "model.safetensors", temporary)

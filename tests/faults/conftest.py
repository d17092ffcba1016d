"""Fault injection: a sample in `make test`, all of it in `make faults`, which writes figures for docs/promises.md."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fault_figures import current_environment, write_figures
from fault_scenarios import Scenes
from fault_server import FaultServer

Record = Callable[[str, dict[str, Any]], None]


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether to run everything, which takes more than an hour, or a sample, which takes seconds."""
    return os.environ.get("LTOCF_FAULTS") == "full"


@pytest.fixture(scope="session", autouse=True)
def machine(full: bool) -> dict[str, Any]:
    """The environment of a full run, read before it begins."""
    return current_environment() if full else {}


@pytest.fixture(scope="session")
def record(full: bool, machine: dict[str, Any]) -> Record:
    """Writes the figures of one promise to results/faults/NAME.json, in a full run only."""

    def write(name: str, figures: dict[str, Any]) -> None:
        if full:
            write_figures(name, {"figures": figures, "environment": machine})

    return write


@pytest.fixture(scope="session")
def server() -> Iterator[FaultServer]:
    """Starts commands and plants faults in them."""
    server = FaultServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def scenes(server: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """The folders that commands start from, and what each must end with."""
    return Scenes(server, tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest, record: Record) -> Iterator[Counter[str]]:
    """What the tests of one file count; written under its name after the last of them, unless one failed."""
    started, failed, counted = time.monotonic(), request.session.testsfailed, Counter[str]()
    yield counted
    if request.session.testsfailed == failed:
        record(request.path.stem.removeprefix("test_"), {**counted, "seconds": round(time.monotonic() - started)})

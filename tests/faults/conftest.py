"""Faults on purpose: short in `make test`, in full by `make faults`, which writes the figures of docs/promises.md."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ltocf.training import environment

FIGURES = Path(__file__).resolve().parents[2] / "results" / "faults"
Record = Callable[[str, dict[str, Any]], None]


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether all of it is wanted, for hours, and not a sample of it that takes seconds."""
    return os.environ.get("LTOCF_FAULTS") == "full"


@pytest.fixture(scope="session")
def record(full: bool) -> Record:
    """Keeps the figures of one promise as results/faults/NAME.json; a short run keeps nothing."""

    def write(name: str, figures: dict[str, Any]) -> None:
        if full:
            found = {"figures": figures, "environment": environment(torch.device("cpu"))}
            FIGURES.mkdir(parents=True, exist_ok=True)
            (FIGURES / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    return write

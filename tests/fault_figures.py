"""Where the figures of `make faults` are kept, and the environment that is kept with them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import torch

from ltocf.training import environment

FIGURES = Path(__file__).resolve().parents[1] / "results" / "faults"


def current_environment() -> dict[str, Any]:
    """The environment of a run; changed figures alone do not make its commit dirty."""
    found = environment(torch.device("cpu"))
    others = ["git", "-C", str(FIGURES), "status", "--porcelain", "-uno", "--", ":/", ":!."]
    if not subprocess.run(others, capture_output=True, check=False).stdout:
        found["commit"] = found["commit"].removesuffix("-dirty")
    return found


def write_figures(name: str, content: dict[str, Any]) -> None:
    """Write results/faults/NAME.json."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    (FIGURES / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

"""What the package promises: each promise, the tests of it, and the figures of its last full run (`make faults`)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "faults"
PROMISES: dict[str, list[dict[str, Any]]] = tomllib.loads((ROOT / "benchmarks" / "promises.toml").read_text("utf-8"))
"""By the section of docs/promises.md."""
HIGHEST = ("largest", "longest")
"""How the name begins of a figure whose highest value counts; other figures are summed."""


def figures(pattern: str) -> dict[str, Any]:
    """The figures of the last full run over its files, and their number `n`; empty if there was no full run."""
    found: dict[str, Any] = {}
    files = sorted(RESULTS.glob(f"{pattern}.json"))
    for file in files:
        for name, value in json.loads(file.read_text(encoding="utf-8"))["figures"].items():
            before = found.get(name, 0)
            found[name] = max(before, value) if name.startswith(HIGHEST) else before + value
    return found | {"n": len(files)} if found else {}


def measured(promise: dict[str, Any]) -> str:
    if "figures" not in promise:
        return ""
    found = figures(promise["figures"])
    return str(promise["measured"]).format(**found) if found else "not run in full yet"


def promises(section: str) -> str:
    """The promises of one section: a line each."""
    lines = ["| what we promise | tested by | measured |", "| --- | --- | --- |"]
    for promise in PROMISES[section]:
        tests = ", ".join(f"`{test}`" for test in promise["tests"])
        lines.append(f"| {promise['sentence']} | {tests} | {measured(promise)} |")
    return "\n".join(lines)


PROMISE_TABLES: dict[str, Callable[[], str]] = {
    f"promises-{section}": partial(promises, section) for section in PROMISES
}

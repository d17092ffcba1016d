"""What the package promises: each promise, the tests of it, and the figures of its last full run (`make faults`)."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, SUPPLY = ROOT / "results" / "faults", ROOT / "results" / "supply"
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


def locks() -> dict[str, int]:
    """The packages of the larger locked install, and the files of them that pip would take."""
    text = "".join((ROOT / "supply" / name).read_text("utf-8") for name in ("test.txt", "torch.txt"))
    return {"packages": len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)), "hashes": text.count("--hash=sha256:")}


def environments() -> dict[str, int]:
    """The tests that passed in each environment that is not `.venv`, and those that failed in any."""
    record = json.loads((SUPPLY / "versions.json").read_text("utf-8"))
    found = {name.replace(".", ""): tests["passed"] for name, tests in record.items()}
    return found | {"failed": sum(tests["failed"] + tests["errors"] for tests in record.values())}


def gpu_trainings() -> dict[str, float]:
    """How far the losses of two trainings with the same seed are apart, of which one records its steps."""
    rows = json.loads((ROOT / "results" / "speed" / "cuda-graphs-h200.json").read_text("utf-8"))["rows"]
    pairs = [
        (loss, other)
        for plain, recorded in zip(rows[::2], rows[1::2], strict=True)
        for loss, other in zip(plain["losses"], recorded["losses"], strict=True)
    ]
    differences = (abs(loss - other) / abs(loss) for loss, other in pairs)
    steps = rows[0]["steps_per_epoch"] * len(rows[0]["losses"])
    return {"models": len(rows) // 2, "steps": steps, "largest_difference": max(differences)}


ELSEWHERE: dict[str, Callable[[], dict[str, Any]]] = {
    "locks": locks,
    "environments": environments,
    "gpu-trainings": gpu_trainings,
}
"""Figures that `make faults` does not write."""


def figures_of(promise: dict[str, Any]) -> dict[str, Any]:
    return ELSEWHERE.get(promise["figures"], partial(figures, promise["figures"]))()


def measured(promise: dict[str, Any]) -> str:
    try:
        return str(promise["measured"]).format(**figures_of(promise))
    except KeyError:
        return "not run in full yet"


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

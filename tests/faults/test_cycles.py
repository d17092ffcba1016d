"""A process that trains, loads and recommends again and again holds no more than after its first cycles."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from process_sizes import slope

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="sizes are read from /proc")

SCRIPT = Path(__file__).resolve().parents[1] / "many_cycles.py"
N_MODELS = 5
MB_PER_CYCLE = 0.01
"""The allocator may keep 10 MB for itself over a thousand cycles."""


def held(folder: Path, n: int) -> list[dict[str, float]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(n)], stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_many_cycles_in_one_process_leave_nothing_behind(tmp_path: Path, full: bool, record: Any) -> None:
    n = 1000 if full else 2 * N_MODELS
    found = held(tmp_path, n)
    assert len(found) == n
    early, late = found[n // 4 : n // 2], found[n // 2 :]
    for kind in ("files", "threads", "tasks"):
        assert max(each[kind] for each in late) <= max(each[kind] for each in early), kind
    growth = slope(range(n), [each["mb"] for each in found])
    if full:
        assert growth <= MB_PER_CYCLE
    else:
        assert late[-1]["mb"] <= 1.25 * early[-1]["mb"]
    record(
        "cycles",
        {
            "cycles": n,
            "models": N_MODELS,
            "memory_mb_first": round(found[0]["mb"], 1),
            "memory_mb_half_way": round(found[n // 2]["mb"], 1),
            "memory_mb_last": round(found[-1]["mb"], 1),
            "memory_mb_per_1000_cycles": round(1000 * growth, 2),
            "open_files_first": found[0]["files"],
            "open_files_last": found[-1]["files"],
            "threads_first": found[0]["tasks"],
            "threads_last": found[-1]["tasks"],
        },
    )

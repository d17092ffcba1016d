"""What a process and its children hold: memory, open files, threads. From /proc, so on Linux."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def family(process: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *map(int, children)]


def proportional_mb(process: int) -> float:
    """Memory of a process and its children in MB; what several of them map counts once."""
    total = 0
    for each in family(process):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):  # a child that ended meanwhile
            continue
        found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1024


def open_files(process: int) -> int:
    """Open handles of a process and its children."""
    return sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in family(process))


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the straight line through the second half of a series, by least squares."""
    half = len(times) // 2
    return float(np.polyfit(times[half:], values[half:], 1)[0])

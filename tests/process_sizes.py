"""Memory and open files of a process and its children, from /proc (Linux only), and the slope of a series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def family(process: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *map(int, children)]


def own_mb(process: int) -> float:
    """Memory of a process and its children in MB; memory that they share is counted once.

    Program files are left out: each process's share of them depends on what else runs on the machine. The models that
    workers map are files of the service itself and count.
    """
    total = 0
    for member in family(process):
        counts = False
        try:
            lines = Path(f"/proc/{member}/smaps").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):  # a child that has ended in the meantime
            continue
        for line in lines:
            if not line[0].isupper():  # the start of the next mapping: its addresses, and its file at the end
                path = line.split(maxsplit=5)[5:]
                counts = not path or not path[0].startswith("/") or ".shared" in path[0]
            elif counts and line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def open_files(process: int) -> int:
    """Number of open file handles of a process and its children."""
    return sum(len(list(Path(f"/proc/{member}/fd").iterdir())) for member in family(process))


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the straight line through the second half of a series, by least squares."""
    half = len(times) // 2
    return float(np.polyfit(times[half:], values[half:], 1)[0])

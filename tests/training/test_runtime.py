"""Freed memory stays with a process that trains on a CPU, which only a process of its own can show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
PROGRAM = """
import sys, torch
from pathlib import Path
from ltocf.training.runtime import keep_freed_memory

def resident():
    found = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(found[0].split()[1]) / 1024

keep_freed_memory()
before = resident()
tensor = torch.ones(2**26)  # 256 MB
del tensor
print(resident() - before)
"""


def held_after_freeing(**environment: str) -> float:
    """Megabytes that stay with the process of the 256 that it freed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=plain | environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.skipif(not STATUS.exists() or sys.platform != "linux", reason="reads /proc")
def test_freed_memory_is_kept_unless_the_environment_tunes_malloc() -> None:
    assert held_after_freeing() > 200
    assert held_after_freeing(MALLOC_MMAP_MAX_="65536") < 50

"""What a process holds and has held, asked of the system: PyTorch does not count its memory on a CPU."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
"""Linux: a 5 written here sets the process's peak of resident memory back to what it holds now."""
INFORMATION = Path("/proc/meminfo")
WITHOUT_LIMIT = 1 << 62


def resident_bytes() -> int:
    """Resident memory now, after giving back to the system what the allocator holds unused."""
    _trim()
    return _from_status("VmRSS") or _highest_ever()


def peak_bytes(device: torch.device) -> int:
    """Allocated memory on a GPU. On Linux the process's own high-water mark: ``ru_maxrss`` starts at the parent's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _from_status("VmHWM") or _highest_ever()


def forget_peak(device: torch.device) -> None:
    """From here on the peak is that of what follows alone."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif RESET.exists():
        _trim()
        RESET.write_text("5")


def available_bytes(device: torch.device) -> int:
    """Free memory of the GPU, or of the machine where Linux says it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    for line in INFORMATION.read_text().splitlines() if INFORMATION.exists() else ():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return WITHOUT_LIMIT


def gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"


def _highest_ever() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _from_status(field: str) -> int:
    for line in STATUS.read_text().splitlines() if STATUS.exists() else ():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _trim() -> None:
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return  # not glibc

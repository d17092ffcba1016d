"""The present and the peak memory of a process, as the system counts it: PyTorch does not count memory on a CPU."""

from __future__ import annotations

import ctypes
import mmap
import resource
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
"""On Linux, a 5 written here resets the process's peak of resident memory to what it holds now."""
INFORMATION = Path("/proc/meminfo")
OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")
WITHOUT_LIMIT = 1 << 62
OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Where a control group, of version 2 and of version 1, states its limit, its use, and how much of that is cached."""


def resident_bytes() -> int:
    """Resident memory now, after the allocator has returned what it holds unused to the system."""
    return_unused_memory()
    return held_bytes()


def peak_bytes(device: torch.device) -> int:
    """The peak of the GPU's allocated memory, or of the process's resident memory.

    On Linux it is read from the process's status, because ``ru_maxrss`` starts at the parent's peak.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _from_status("VmHWM") or _highest_ever()


def forget_peak(device: torch.device) -> None:
    """Reset the peak, so that it counts only what follows."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif RESET.exists():
        return_unused_memory()
        RESET.write_text("5")


def available_bytes(device: torch.device) -> int:
    """Free memory of the GPU; or, on Linux, the lesser of what the machine and this process's control group have free.

    Without a known limit it is `WITHOUT_LIMIT`.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_machine_bytes(), _group_bytes())


def _machine_bytes() -> int:
    for line in INFORMATION.read_text().splitlines() if INFORMATION.exists() else ():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return WITHOUT_LIMIT


def _group_bytes() -> int:
    """The memory that the control group may still take; cached pages of files, which it can drop, count as free.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html and the page for version 1.
    """
    groups = [line.split(":", 2) for line in OWN_GROUPS.read_text().splitlines()] if OWN_GROUPS.exists() else []
    own = {path.strip("/") for _, controllers, path in groups if controllers in ("", "memory")} | {""}
    return min(
        (_left_in(root / path, *names) for root, *names in GROUPS for path in own),
        default=WITHOUT_LIMIT,
    )


def _left_in(folder: Path, limit: str, usage: str, cached: str) -> int:
    try:
        allowed, used = ((folder / name).read_text().strip() for name in (limit, usage))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return WITHOUT_LIMIT
    if allowed == "max" or int(allowed) >= WITHOUT_LIMIT:
        return WITHOUT_LIMIT
    return max(0, int(allowed) - int(used) + int(statistics.get(cached, 0)))


def held_bytes() -> int:
    """Resident memory now."""
    return _from_status("VmRSS") or _highest_ever()


def gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"


def _highest_ever() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _from_status(field: str) -> int:
    for line in STATUS.read_text().splitlines() if STATUS.exists() else ():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def return_unused_memory() -> None:
    """Return what the allocator holds unused to the system."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return  # not glibc
    prefer_huge_pages()


def prefer_huge_pages() -> None:
    """Let the memory that malloc takes from here on come in pages of 2 MB, as far as the system has them.

    A product with the graph reads rows of the embeddings in no order. With pages of 4 kB the processor looks up the
    place of almost every row in memory too; docs/speed.md has the cost. A block of all available memory is allocated,
    marked and freed, without being touched. If malloc keeps freed memory (`ltocf.training.runtime.keep_freed_memory`)
    it takes the following blocks from this range; otherwise it returns the range, and nothing has changed. Nor does
    anything under a limit on the address space, or on a system that counts reserved memory as used.

    Source: https://man7.org/linux/man-pages/man2/madvise.2.html, MADV_HUGEPAGE.
    """
    limits = {resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)}
    strict = OVERCOMMIT.exists() and OVERCOMMIT.read_text().strip() == "2"
    size = available_bytes(torch.device("cpu"))
    if strict or size >= WITHOUT_LIMIT or limits != {resource.RLIM_INFINITY}:
        return
    try:
        library = ctypes.CDLL("libc.so.6")
        malloc, madvise, free = library.malloc, library.madvise, library.free
    except (OSError, AttributeError):
        return  # not glibc
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    madvise.argtypes, free.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], [ctypes.c_void_p]
    block = malloc(size)
    if block:
        first_page = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
        madvise(first_page, block + size - first_page, mmap.MADV_HUGEPAGE)
        free(block)

"""Where a run computes, and a record of it."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

logger = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda")

MALLOPT_TRIM_THRESHOLD, MALLOPT_MMAP_MAX = -1, -4
"""Numbers of two parameters in glibc's malloc.h."""


@dataclass(frozen=True)
class Runtime:
    """Device and CPU threads of a run.

    Args:
        device: ``auto`` takes a CUDA GPU where there is one; ``cpu``; ``cuda``, also with a number, ``cuda:1``.
        threads: CPU threads, 0 for what PyTorch chooses; no more than there are cores are used.

    Raises:
        ValueError: an unknown device, CUDA asked for where there is none, or ``threads`` < 0.

    Example:
        >>> Runtime("cpu").torch_device()
        device(type='cpu')
    """

    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"`device` must be one of {', '.join(DEVICES)} (or cuda:1, ...), got {self.device!r}")
        if self.threads < 0:
            raise ValueError(f"`threads` must be >= 0 (0: PyTorch's choice), got {self.threads}")

    def torch_device(self) -> torch.device:
        """The device by its name.

        Raises:
            ValueError: a device that is not there.
        """
        has_cuda = torch.cuda.is_available()
        if self.device.startswith("cuda") and not has_cuda:
            raise ValueError(f"`device` is {self.device!r} but PyTorch finds no CUDA GPU; use `auto` or `cpu`")
        if ":" in self.device and int(self.device[5:]) >= torch.cuda.device_count():
            raise ValueError(f"`device` is {self.device!r} but there are {torch.cuda.device_count()} CUDA GPUs, from 0")
        if self.device == "auto":
            return torch.device("cuda" if has_cuda else "cpu")
        return torch.device(self.device)

    @contextmanager
    def active(self) -> Iterator[torch.device]:
        """The device, and inside the block the number of threads; the caller's own is back afterwards."""
        before, available = torch.get_num_threads(), os.cpu_count() or 1
        if self.threads > available:
            logger.warning("`threads` is %d and there are %d cores: %d are used", self.threads, available, available)
        if self.threads:
            torch.set_num_threads(min(self.threads, available))
        try:
            yield self.torch_device()
        finally:
            torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Tell malloc to keep freed memory for the next tensor, where that can be told.

    A step of training allocates what the step before it freed. glibc gives blocks beyond 32 MB back to the system at
    once, and gets each again as empty pages that the system must clear: docs/speed.md has what that costs. The process
    stays as large as it has been at its peak. A process whose environment tunes malloc already is left as it is, for
    example with ``MALLOC_MMAP_MAX_=65536``, glibc's own value.

    Source: https://sourceware.org/glibc/manual/latest/html_node/Malloc-Tunable-Parameters.html.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # not glibc
    mallopt(MALLOPT_TRIM_THRESHOLD, -1)
    mallopt(MALLOPT_MMAP_MAX, 0)


def environment(device: torch.device) -> dict[str, str | int]:
    """What a measured number needs beside it: versions, commit and hardware."""
    return {
        "ltocf": version("ltocf"),
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(terse=True),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
    }


def _commit() -> str:
    """The commit of the package's own source tree, with ``-dirty`` for uncommitted changes; empty when installed.

    An installed package may lie inside somebody's repository, in a virtual environment there: only a repository that
    keeps this very file is the package's own.
    """
    here = Path(__file__)
    if not _git(here.parent, "ls-files", "--error-unmatch", here.name):
        return ""
    return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=12", "--match=")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

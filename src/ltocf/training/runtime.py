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

from ltocf.training.memory import prefer_huge_pages

logger = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda")

MALLOPT_TRIM_THRESHOLD, MALLOPT_MMAP_MAX = -1, -4
"""The numbers of two parameters in glibc's malloc.h."""


@dataclass(frozen=True)
class Runtime:
    """Device and CPU threads of a run.

    Args:
        device: ``auto`` takes a CUDA GPU if there is one; ``cpu``; ``cuda``, also with a number, ``cuda:1``.
        threads: number of CPU threads, at most the number of cores; 0: PyTorch's choice.

    Raises:
        ValueError: an unknown device, CUDA without a CUDA GPU, or ``threads`` < 0.

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
        """The device of this name.

        Raises:
            ValueError: a device that does not exist.
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
        """The device; within the block PyTorch uses ``threads``, afterwards the caller's number again."""
        before, available = torch.get_num_threads(), os.cpu_count() or 1
        if self.threads > available:
            logger.warning(
                "`threads` is %d, but there are only %d cores: %d are used", self.threads, available, available
            )
        if self.threads:
            torch.set_num_threads(min(self.threads, available))
        try:
            yield self.torch_device()
        finally:
            torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Tell malloc to keep freed memory for the next tensor, if it is glibc's.

    A training step allocates what the step before it freed. glibc returns blocks of more than 32 MB to the system at
    once, and each one allocated again comes as empty pages that the system must clear: docs/speed.md has the cost. The
    process stays as large as at its peak. The memory comes in large pages, see `prefer_huge_pages`. Nothing is changed
    if the environment tunes malloc already, for example with ``MALLOC_MMAP_MAX_=65536``, glibc's own value.

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
    prefer_huge_pages()


def environment(device: torch.device) -> dict[str, str | int]:
    """What to record with a measured number: versions, commit and hardware."""
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

    An installed package may lie in a virtual environment inside some other repository: only a repository that tracks
    this very file is the package's own.
    """
    here = Path(__file__)
    if not _git(here.parent, "ls-files", "--error-unmatch", here.name):
        return ""
    return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=12", "--match=")


def _git(folder: Path, *arguments: str) -> str:
    try:
        completed = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return completed.stdout.strip()


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

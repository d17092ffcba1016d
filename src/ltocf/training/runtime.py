"""Where a run computes, and a record of it."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Runtime:
    """Device and CPU threads of a run.

    Args:
        device: ``auto`` takes a CUDA GPU where there is one; ``cpu``; ``cuda``, also with a number, ``cuda:1``.
        threads: CPU threads, 0 for what PyTorch chooses.

    Raises:
        ValueError: an unknown device, CUDA asked for where there is none, or ``threads`` < 0.

    Example:
        >>> Runtime("cpu").torch_device()
        device(type='cpu')
    """

    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        if self.device.split(":")[0] not in DEVICES:
            raise ValueError(f"`device` must be one of {', '.join(DEVICES)}, got {self.device!r}")
        if self.threads < 0:
            raise ValueError(f"`threads` must be >= 0 (0: PyTorch's choice), got {self.threads}")

    def torch_device(self) -> torch.device:
        has_cuda = torch.cuda.is_available()
        if self.device.startswith("cuda") and not has_cuda:
            raise ValueError(f"`device` is {self.device!r} but PyTorch finds no CUDA GPU; use `auto` or `cpu`")
        if self.device == "auto":
            return torch.device("cuda" if has_cuda else "cpu")
        return torch.device(self.device)

    def start(self) -> torch.device:
        """Set the number of threads and return the device."""
        if self.threads:
            torch.set_num_threads(self.threads)
        return self.torch_device()


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
    """The git commit of the package's source tree, with ``-dirty`` for uncommitted changes; empty when installed."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--match="]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Which of the processes of torchrun this one is, read from the environment without importing PyTorch."""

from __future__ import annotations

import os
from typing import NamedTuple


class Place(NamedTuple):
    """The number of this process, how many there are, and its number on this machine."""

    rank: int
    world: int
    local_rank: int


def place() -> Place:
    """That of a process that torchrun started, or of the only one.

    Source: https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables

    Example:
        >>> place()
        Place(rank=0, world=1, local_rank=0)
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Place(0, 1, 0)
    return Place(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))

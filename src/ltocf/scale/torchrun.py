"""Which of the processes of torchrun this one is, read from the environment without importing PyTorch."""

from __future__ import annotations

import os
from typing import NamedTuple

NODE_BLOCKS = "LTOCF_NODE_BLOCKS"


class Place(NamedTuple):
    """The number of this process, the number of processes, and its number on this machine."""

    rank: int
    world: int
    local_rank: int


def place() -> Place:
    """The place of a process that torchrun started, or that of the only process.

    Source: https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables

    Example:
        >>> place()
        Place(rank=0, world=1, local_rank=0)
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Place(0, 1, 0)
    return Place(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def node_blocks(world: int) -> int:
    """The number of blocks of nodes, from the environment variable ``LTOCF_NODE_BLOCKS``; by default 1.

    Args:
        world: number of processes.

    Raises:
        ValueError: not a number that divides ``world``.

    Example:
        >>> node_blocks(world=4)
        1
    """
    text = os.environ.get(NODE_BLOCKS, "1")
    if not text.isdecimal() or not int(text) or world % int(text):
        raise ValueError(f"`{NODE_BLOCKS}` must divide the number of processes, {world}, got {text!r}")
    return int(text)

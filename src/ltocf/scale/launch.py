"""The processes that torchrun started, connected: gloo on CPUs, NCCL on GPUs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

import torch
import torch.distributed as dist

from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.scale.blocks import Blocks
from ltocf.scale.columns import Columns
from ltocf.scale.torchrun import node_blocks, place

LONGEST_WAIT = timedelta(days=1)
"""The first process may read and split data for hours. One that has ended is noticed at once, by its connections."""

_current: list[Ranks] = []
"""The ranks of the block of `processes` that is running, if one is."""


class LostProcessError(ConnectionError):
    """Another of the processes has ended."""


@contextmanager
def processes() -> Iterator[Ranks]:
    """This process and the others that torchrun started; `ALONE` if it has not started several.

    Raises:
        LostProcessError: one of them ended before the block did.
        ValueError: there are more processes on this machine than it has GPUs.
    """
    _, world, local_rank = place()
    if world == 1 or connected():
        yield ALONE if world == 1 else _current[-1]
        return
    _take_a_gpu(local_rank)
    with _ended_by_torchrun(world):
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=LONGEST_WAIT)
        try:
            _current.append(_all_ranks())
            yield _current[-1]
        except RuntimeError as error:
            if not _is_of_the_network(error):
                raise
            raise lost(world) from error
        finally:
            _current.clear()
            dist.destroy_process_group()


def connected() -> bool:
    """Whether this process is inside a block of `processes`, and is one of several."""
    return place().world > 1 and dist.is_initialized()


def lost(world: int) -> LostProcessError:
    """The error for another process that has ended."""
    return LostProcessError(f"another of the {world} processes has ended; its error is above, if it printed one")


def _all_ranks() -> Ranks:
    """All processes, in as many blocks of nodes as the environment of the first of them says."""
    everyone = Columns.of_group()
    n_blocks = everyone.first(node_blocks(everyone.world))
    return everyone if n_blocks == 1 else Blocks.of_group(n_blocks, LONGEST_WAIT)


def _take_a_gpu(local_rank: int) -> None:
    if not torch.cuda.is_available():
        return
    if local_rank >= torch.cuda.device_count():
        raise ValueError(
            f"`--nproc-per-node` must be at most {torch.cuda.device_count()}, the number of GPUs, got more; "
            "hide the GPUs (CUDA_VISIBLE_DEVICES=) to train on CPUs"
        )
    torch.cuda.set_device(local_rank)  # "cuda" means this device from here on


def _is_of_the_network(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "Connection" in str(error)


@contextmanager
def _ended_by_torchrun(world: int) -> Iterator[None]:
    """When one process has ended, torchrun ends all others: raise an exception that explains it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise lost(world)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

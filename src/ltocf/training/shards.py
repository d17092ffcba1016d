"""Embeddings that processes share, in a checkpoint: each process writes its part, and any number of them read it.

A folder of safetensors files, written and read by `torch.distributed.checkpoint`, one tensor after the other.

Source: https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from warnings import catch_warnings, filterwarnings

from safetensors import SafetensorError
from torch import Tensor

from ltocf.evaluation.ranks import Ranks
from ltocf.files.disk import sync


def folder_of(path: Path, epoch: int) -> Path:
    """The folder that belongs to a checkpoint's file.

    Example:
        >>> folder_of(Path("run/checkpoint-selection.safetensors"), 3).name
        'checkpoint-selection-shards-3'
    """
    return path.with_name(f"{path.stem}-shards-{epoch}")


def save_shards(
    path: Path, epoch: int, shares: Mapping[str, Tensor], widths: Mapping[str, int], ranks: Ranks
) -> dict[str, list[int]]:
    """Write the share of this process of each tensor; returns the shapes when all processes have written theirs.

    Args:
        path: the checkpoint's file, in a folder that all processes see.
        epoch: the epoch of the checkpoint.
        shares: by name, the embeddings of this process.
        widths: by name, how many columns all processes have together.
        ranks: all processes; each must call this.

    Raises:
        OSError: a process cannot write its share; nothing is left of the others.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    folder, shapes = folder_of(path, epoch), dict[str, list[int]]()
    if not ranks.rank:
        shutil.rmtree(folder, ignore_errors=True)  # left by a killed run, perhaps of more processes
    ranks.first(None)  # the others wait until it is gone
    try:
        with _reasons_of(OSError, f"{path} cannot be written"):
            for place, (name, share) in enumerate(shares.items(), start=1):
                shard = ranks.as_shard(share, widths[name])
                writer = HuggingFaceStorageWriter(str(folder), {name: place}, save_distributed=True)
                save({name: shard}, storage_writer=writer)
                shapes[name] = [*shard.shape]
    except BaseException:
        if not ranks.rank:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if not ranks.rank:
        sync(folder)
    return shapes


def load_shards(
    path: Path, epoch: int, shapes: Mapping[str, Sequence[int]], ranks: Ranks
) -> Iterator[tuple[str, Tensor]]:
    """Read the share of this process of each tensor, whatever layout of processes has written it; on the CPU.

    Args:
        path: the checkpoint's file.
        epoch: the epoch of the checkpoint.
        shapes: what `save_shards` returned.
        ranks: all processes; each must read all tensors.

    Raises:
        ValueError: a tensor is missing, incomplete or damaged.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    damaged = f"{path} is damaged; remove it to train this phase again"
    reader = HuggingFaceStorageReader(str(folder_of(path, epoch)))
    with _reasons_of(ValueError, damaged):
        stored = reader.read_metadata().state_dict_metadata
        for name, shape in shapes.items():
            shard = ranks.empty_shard(*shape)
            chunks = getattr(stored.get(name), "chunks", [])
            n_stored = sum(chunk.sizes.numel() for chunk in chunks)
            if n_stored != shape[0] * shape[1]:  # what no file has, `load` leaves as it is
                raise ValueError(f"{damaged}: {n_stored:,} of {shape[0] * shape[1]:,} numbers of {name} are there")
            with catch_warnings():
                filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
                load({name: shard}, storage_reader=reader, no_dist=ranks.world == 1)
            yield name, ranks.of_shard(shard)


def remove_shards(path: Path, *, keep: Path | None = None) -> None:
    """Remove the folders of a checkpoint's file, except one."""
    for folder in path.parent.glob(f"{path.stem}-shards-*"):
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reasons_of(kind: type[Exception], message: str) -> Iterator[None]:
    """Turn what `torch.distributed.checkpoint` raises into an exception of ``kind``; interrupts stay what they are."""
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        yield
    except CheckpointException as error:
        for reason, _ in error.failures.values():
            if not isinstance(reason, Exception) or isinstance(reason, ConnectionError):
                raise reason from error
        reasons = "; ".join(f"process {rank}: {reason}" for rank, (reason, _) in sorted(error.failures.items()))
        raise kind(f"{message}: {reasons}") from error
    except ConnectionError:
        raise
    except (SafetensorError, OSError) as error:
        raise kind(f"{message}: {error}") from error

"""Embeddings of a training that processes share: each writes its part of the checkpoint, and any number can read it.

A folder of safetensors files, written and read by `torch.distributed.checkpoint`, so that no process ever holds what
all of them hold together.

Source: https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed as dist
from safetensors import SafetensorError
from torch import Tensor

from ltocf.evaluation.ranks import Ranks
from ltocf.files.disk import sync


def folder_of(path: Path, epoch: int) -> Path:
    """The folder for the embeddings of a checkpoint.

    Example:
        >>> folder_of(Path("run/checkpoint-selection.safetensors"), 3).name
        'checkpoint-selection-shards-3'
    """
    return path.with_name(f"{path.stem}-shards-{epoch}")


def save_shards(folder: Path, tensors: Mapping[str, Tensor], ranks: Ranks) -> None:
    """Write the part of this process of each tensor; returns when all processes have written theirs.

    Args:
        folder: a folder that all processes see.
        tensors: from `Ranks.as_shard`.
        ranks: all processes; each must call this.

    Raises:
        OSError: a process cannot write its part.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    if not ranks.rank:
        shutil.rmtree(folder, ignore_errors=True)  # left by a killed run, perhaps of more processes
    ranks.first(None)
    # A file for each tensor: a file is put together in memory.
    files = {name: place for place, name in enumerate(tensors, start=1)}
    writer = HuggingFaceStorageWriter(str(folder), fqn_to_index_mapping=files, save_distributed=True)
    with _reasons_of(folder, OSError, "cannot be written"):
        save(dict(tensors), storage_writer=writer)
    if not ranks.rank:
        sync(folder)


def load_shards(folder: Path, targets: Mapping[str, Tensor]) -> None:
    """Overwrite the targets, from `Ranks.as_shard`, with the tensors of a folder, whatever layout has written it.

    Raises:
        ValueError: a tensor is missing, damaged or of another shape.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    reader, alone = HuggingFaceStorageReader(str(folder)), not dist.is_initialized()
    with _reasons_of(folder, ValueError, "is damaged or of another model"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        _refuse_if_incomplete(folder, reader.read_metadata().state_dict_metadata, targets)
        load(dict(targets), storage_reader=reader, no_dist=alone)


def _refuse_if_incomplete(folder: Path, stored: Mapping[str, Any], targets: Mapping[str, Tensor]) -> None:
    """`load` leaves what no file has as it is."""
    for name, target in targets.items():
        n_stored = sum(chunk.sizes.numel() for chunk in stored[name].chunks) if name in stored else 0
        if n_stored != target.numel():
            raise ValueError(
                f"{folder} is damaged or of another model: {name} has {n_stored:,} of {target.numel():,} numbers; "
                "remove the checkpoint to train this phase again"
            )


def remove_shards(path: Path, *, keep: Path | None = None) -> None:
    """Remove the folders of a checkpoint's file, except one."""
    for folder in path.parent.glob(f"{path.stem}-shards-*"):
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reasons_of(folder: Path, kind: type[Exception], what: str) -> Iterator[None]:
    """Turn the exception of `torch.distributed.checkpoint`, which is no `Exception`, into one of ``kind``."""
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        yield
    except CheckpointException as error:
        reasons = "; ".join(f"process {rank}: {reason}" for rank, (reason, _) in sorted(error.failures.items()))
        raise kind(f"{folder} {what}: {reasons}") from error
    except SafetensorError as error:
        raise kind(f"{folder} {what}: {error}") from error

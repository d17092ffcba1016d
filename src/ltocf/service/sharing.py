"""One model in the memory of many processes: one process reads it and writes a file that all the others map."""

from __future__ import annotations

import io
import mmap
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltocf.files import replacing
from ltocf.service.sources import Mark, Opened
from ltocf.serving import Snapshot

PAGE = 4096
HEAD = struct.Struct("<QQQ")
"""Generation, number of buffers, and bytes of the pickle. Each buffer begins on a page, and so has every alignment."""


def write_shared(snapshot: Snapshot, generation: int, path: Path) -> None:
    """Write a snapshot, with everything that it has computed, for processes of this program to map.

    Arrays and tensors lie in the file as in memory. The rest is pickled: read only files that this program wrote.

    Raises:
        TypeError, AttributeError, pickle.PicklingError: a model that cannot be pickled.
        OSError: the file cannot be written.
    """
    buffers: list[pickle.PickleBuffer] = []
    with replacing(path) as temporary, temporary.open("wb") as file:
        content = _dumped(snapshot, buffers.append)
        views = [buffer.raw() for buffer in buffers]
        sizes = struct.pack(f"<{len(views)}Q", *(view.nbytes for view in views))
        file.write(HEAD.pack(generation, len(views), len(content)) + sizes + content)
        for view in views:
            file.write(b"\0" * (-file.tell() % PAGE))
            file.write(view)


def map_shared(path: Path) -> Opened:
    """The snapshot and the generation of a file of `write_shared`; a process's changes to it are its own.

    Raises:
        OSError: no such file.
    """
    with path.open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    generation, n_buffers, n_bytes = HEAD.unpack_from(mapped)
    sizes = struct.unpack_from(f"<{n_buffers}Q", mapped, HEAD.size)
    start = HEAD.size + 8 * n_buffers
    content, start, buffers = mapped[start : start + n_bytes], start + n_bytes, []
    for size in sizes:
        start += -start % PAGE
        buffers.append(mapped[start : start + size])
        start += size
    found = pickle.loads(content, buffers=buffers)
    if not isinstance(found, Snapshot):
        raise ValueError(f"{path} must hold a snapshot, got {type(found).__name__}")
    return Opened(found, generation)


@dataclass(frozen=True)
class SharedSource:
    """Where a worker gets its models from: the file that its parent has had written."""

    path: Path

    def mark(self) -> Mark:
        """The mark of the file."""
        return Mark.of(self.path)

    def open(self) -> Opened:
        """Map the file."""
        return map_shared(self.path)


class _Pickler(pickle.Pickler):
    """Tensors as bytes of their storage, outside the pickle; two views of one storage stay views of one storage."""

    def __init__(self, file: Any, buffer: Callable[[pickle.PickleBuffer], Any]) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer)
        self.storages: dict[int, np.ndarray] = {}

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor or value.layout != torch.strided or not value.numel():
            return NotImplemented
        tensor = value.detach()
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.storages:
            whole = torch.empty(0, dtype=torch.uint8).set_(storage)
            self.storages[storage.data_ptr()] = whole.numpy()
        view = (tuple(tensor.shape), tensor.stride(), tensor.storage_offset())
        return _tensor, (self.storages[storage.data_ptr()], tensor.dtype, *view)


def _dumped(snapshot: Snapshot, buffer: Callable[[pickle.PickleBuffer], Any]) -> bytes:
    file = io.BytesIO()
    _Pickler(file, buffer).dump(snapshot)
    return file.getvalue()


def _tensor(
    content: np.ndarray, dtype: torch.dtype, shape: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> Tensor:
    return torch.from_numpy(content).view(dtype).as_strided(shape, stride, offset)

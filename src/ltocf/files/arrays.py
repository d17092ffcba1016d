"""Arrays in a safetensors file: writing, reading, and a checksum of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open


def save_arrays(
    save: Callable[..., object], arrays: Mapping[str, Any], temporary: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays by a function of safetensors to the temporary path that `replacing` gave.

    The function writes into a folder of its own: if killed, safetensors leaves a file of an unpredictable name, but
    `remove_leftovers` knows the name of the folder.
    """
    with TemporaryDirectory(dir=temporary.parent, prefix=f"{temporary.name}.") as folder:
        written = Path(folder) / temporary.name
        save(arrays, written, metadata)
        written.replace(temporary)


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a safetensors file.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: the file is not a safetensors file, is damaged, or holds numbers of a type that NumPy lacks.
    """
    try:
        with safe_open(path, framework="np") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a safetensors file, or a damaged one: {error}") from error


def checksum_of(arrays: Mapping[str, np.ndarray], content: Mapping[str, Any]) -> str:
    """SHA-256 of all arrays, with their names and shapes, and of ``content``, the metadata.

    Example:
        >>> checksum_of({"a": np.zeros(1)}, {}) == checksum_of({"a": np.zeros(2)}, {})
        False
    """
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()

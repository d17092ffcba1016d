"""Files that are written whole or not at all, and arrays read back from one."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it does not.

    The content reaches the disk before the name does, so a crash leaves the old file or the new one. Who may read the
    file is what the umask says.

    Raises:
        OSError: the file cannot be written, also where safetensors would say so in an exception of its own.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
        >>> with replacing(target) as temporary:
        ...     _ = temporary.write_text("1 2 3")
        >>> target.read_text()
        '1 2 3'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    mode = os.fstat(descriptor).st_mode & 0o777
    os.close(descriptor)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)  # a writer may have put a file of its own in this place
        temporary.replace(path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def making_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes that name when the block ends well, and vanishes when it does not.

    Raises:
        FileExistsError: there is something at ``path`` already.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already; give a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def reach_disk(path: Path) -> None:
    """Return when a file, or a folder with all that is in it, is on the disk, and not only in the system's memory."""
    if path.is_dir():
        for inside in path.iterdir():
            reach_disk(inside)
    # A folder is opened to be read; where systems do not open folders they keep names without being asked.
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a safetensors file.

    Raises:
        OSError: no such file, or one that cannot be read.
        ValueError: not such a file, a damaged one, or one with numbers of a kind that NumPy does not have.
    """
    try:
        with safe_open(path, framework="np") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a safetensors file, or a damaged one: {error}") from error


def checksum_of(arrays: Mapping[str, np.ndarray], content: Mapping[str, Any]) -> str:
    """SHA-256 of all arrays, with their names and shapes, and of what is said of them.

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

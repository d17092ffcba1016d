"""Files and folders that are written whole or not at all, by one process at a time; and arrays read back from a file.

A power cut leaves the old file or the new one: a file's content is on the disk before its name changes, and the name is
there before anything else is done.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from polars.exceptions import PanicException
from safetensors import SafetensorError, safe_open

OF_THE_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENOENT)
"""Error numbers of a disk that is full, broken or gone, and of too many open files."""
LOCK = ".lock"


@contextmanager
def replacing(path: Path, *, makes_folder: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it does not.

    The content reaches the disk before the name does, so a crash leaves the old file or the new one. The umask decides
    who may read the file. A process that is killed leaves the temporary file, see `remove_leftovers`.

    Args:
        path: the file.
        makes_folder: make its folder if it is missing; without, one that was removed meanwhile is an error.

    Raises:
        OSError: the file cannot be written, even if safetensors or Polars raise an exception of their own.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
        >>> with replacing(target) as temporary:
        ...     _ = temporary.write_text("1 2 3")
        >>> target.read_text()
        '1 2 3'
    """
    if makes_folder:
        make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with errors_of(path, temporary):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            mode = os.fstat(descriptor).st_mode & 0o777
            os.close(descriptor)
            yield temporary
            temporary.chmod(mode)  # a writer may have put a file of its own in this place
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
    finally:
        with suppress(OSError):  # the disk may have become read-only, and the first error says so
            temporary.unlink()


@contextmanager
def errors_of(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """What cannot be written is an OSError that names the file, whatever a library raises.

    Args:
        path: the name to tell.
        temporary: what is written in the block, if that is another file.
    """
    try:
        yield
    except (Exception, PanicException) as error:
        if (reason := _why_not_written(error, temporary or path)) is None:
            raise
        kind = type(error) if isinstance(error, OSError) else OSError
        raise kind(f"{path} cannot be written: {reason}") from error


def _why_not_written(error: BaseException, file: Path) -> str | None:
    """The reason, if the error is of this file and not of something else that the block does."""
    if isinstance(error, SafetensorError):
        return str(error)
    # Libraries tell of a full disk by errors of their own, or by one without a number.
    for number in OF_THE_DISK:
        of_this = number != errno.ENOENT or str(file) in str(error)
        by_its_words = of_this and os.strerror(number) in str(error) and not isinstance(error, OSError)
        if by_its_words or f"(os error {number})" in str(error):
            return os.strerror(number)
    if not isinstance(error, OSError):
        return None
    of_it = error.filename is None and error.errno in OF_THE_DISK
    return error.strerror if of_it or str(error.filename).startswith(str(file)) else None


@contextmanager
def making_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes that name when the block ends well, and vanishes when it does not.

    What a process that was killed has left of it is removed by the next one.

    Raises:
        FileExistsError: there is something at ``path`` already.
        BlockingIOError: another process is making it.
    """
    _refuse_there(path)
    temporary = path.with_name(f".{path.name}.part")
    with locked_name(path):
        _refuse_there(path)  # another process may have finished it meanwhile
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with errors_of(path, temporary):
                temporary.mkdir()
                with _not_made_again(temporary):
                    yield temporary
                reach_disk(temporary)
                rename(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _not_made_again(folder: Path) -> Iterator[None]:
    """An error if the folder was removed in the block: what was written after has made it again, without the rest."""
    if os.name == "nt":  # where folders are not opened
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)  # held open, its number is not given to another
    try:
        yield
        if os.fstat(descriptor).st_ino != folder.stat().st_ino:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    finally:
        os.close(descriptor)


def _refuse_there(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists already; give a new folder")


@contextmanager
def locked_folder(folder: Path, name: str = LOCK, *, of: Path | None = None) -> Iterator[None]:
    """Only one process at a time is in the block; the operating system holds the lock, so it ends with the process.

    Args:
        folder: an existing folder.
        name: the file in it that is locked.
        of: what the message names; by default the folder.

    Raises:
        BlockingIOError: another process is in the block.
    """
    lock = FileLock(folder / name, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(
            f"another process is at work in {of or folder}; wait until it has ended, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_name(path: Path) -> Iterator[None]:
    """As `locked_folder`, for a file or a folder that need not exist; the lock is beside it and goes at the end.

    Raises:
        BlockingIOError: another process is in such a block.
    """
    make_folder(path.parent)
    lock = path.with_name(f".{path.name}{LOCK}")
    with locked_folder(lock.parent, lock.name, of=path):
        if not lock.exists():  # removed by the process that held it, when this one had opened it already
            raise BlockingIOError(f"another process was at work in {path}; call again")
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()


@contextmanager
def making_file(path: Path) -> Iterator[Path]:
    """As `replacing`, for one process at a time, which removes what a process that was killed has left of the file.

    Raises:
        BlockingIOError: another process is writing it.
    """
    with locked_name(path):
        remove_leftovers(path.parent, path.name)
        with replacing(path) as temporary:
            yield temporary


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove what a process that was killed in `replacing` has left of files with such names; in a locked folder only.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".lists.json.0123abcd.part").touch()
        >>> remove_leftovers(folder, "*.json")
        >>> list(folder.iterdir())
        []
    """
    for name in names:
        remove_inside(folder, f".{name}.????????.part*")  # the file, or a folder of what it is made of


def remove_inside(folder: Path, pattern: str, *, but: str = "") -> None:
    """Remove the files and folders of such names from a folder, all but one."""
    for left in folder.glob(pattern):
        if left.name == but:
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are missing, and see that their names are on the disk."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        _sync(made.parent)


def reach_disk(path: Path) -> None:
    """Return when a file, or a folder with all that is in it, is on the disk, and not only in the system's memory."""
    if path.is_dir():
        for inside in path.iterdir():
            reach_disk(inside)
    _sync(path)


def rename(old: Path, new: Path) -> None:
    """Rename a file or a folder within one folder, and return when the new name is on the disk."""
    old.rename(new)
    _sync(new.parent)


def _sync(path: Path) -> None:
    # A folder is opened to be read; where systems do not open folders they keep names without being asked.
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # file systems that cannot be asked for names
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, *, makes_folder: bool = True) -> None:
    """Write a text file whole or not at all, see `replacing`."""
    with replacing(path, makes_folder=makes_folder) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_arrays(
    save: Callable[..., object], arrays: Mapping[str, Any], temporary: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write what `replacing` gave by a function of safetensors, in a folder: killed, it leaves a file of any name."""
    with TemporaryDirectory(dir=temporary.parent, prefix=f"{temporary.name}.") as folder:
        inside = Path(folder) / temporary.name
        save(arrays, inside, metadata)
        inside.replace(temporary)


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a safetensors file.

    Raises:
        OSError: no such file, or one that cannot be read.
        ValueError: the file is not a safetensors file, is damaged, or holds numbers of a kind that NumPy does not have.
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

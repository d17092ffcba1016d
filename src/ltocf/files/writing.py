"""Files that are written whole or not at all.

A power cut leaves the old file or the new one: the content reaches the disk before the name changes, and the new name
reaches it before anything else is done.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polars.exceptions import PanicException
from safetensors import SafetensorError

from ltocf.files.disk import make_folder, remove_leftovers, sync
from ltocf.files.locks import locked_name

DISK_ERRORS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENOENT)
"""Error numbers of a disk that is full, read-only, broken or gone, and of too many open files."""


@contextmanager
def replacing(path: Path, *, makes_folder: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it does not.

    The content reaches the disk before the name does, so a crash leaves the old file or the new one. The umask decides
    who may read the file. A process that is killed leaves the temporary file, see `remove_leftovers`.

    Args:
        path: the file.
        makes_folder: make its folder if it is missing; if False, a missing folder is an error.

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
            temporary.chmod(mode)  # a writer may have put a file of its own here
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        with suppress(OSError):  # the disk may have become read-only, and the first error says so
            temporary.unlink()


@contextmanager
def making_file(path: Path) -> Iterator[Path]:
    """Like `replacing`, for one process at a time; what a killed process left of the file is removed first.

    Raises:
        BlockingIOError: another process is writing it.
    """
    with locked_name(path):
        remove_leftovers(path.parent, path.name)
        with replacing(path) as temporary:
            yield temporary


def write_text(path: Path, text: str, *, makes_folder: bool = True) -> None:
    """Write a text file whole or not at all, see `replacing`."""
    with replacing(path, makes_folder=makes_folder) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def errors_of(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn every error of writing in the block, whatever a library raises, into an OSError that names the file.

    Args:
        path: the path that the message names.
        temporary: the file that the block writes, if it is another.
    """
    try:
        yield
    except (Exception, PanicException) as error:
        if (reason := _why_not_written(error, temporary or path)) is None:
            raise
        kind = type(error) if isinstance(error, OSError) else OSError
        raise kind(f"{path} cannot be written: {reason}") from error


def _why_not_written(error: BaseException, file: Path) -> str | None:
    """The reason, if the error is about this file and not about something else that the block does."""
    if isinstance(error, SafetensorError):
        return str(error)
    # Libraries report a full disk by exceptions of their own, some of them without an error number.
    for number in DISK_ERRORS:
        about_this_file = number != errno.ENOENT or str(file) in str(error)
        in_words = about_this_file and os.strerror(number) in str(error) and not isinstance(error, OSError)
        if in_words or f"(os error {number})" in str(error):
            return os.strerror(number)
    if not isinstance(error, OSError):
        return None
    about_the_disk = error.filename is None and error.errno in DISK_ERRORS
    return error.strerror if about_the_disk or str(error.filename).startswith(str(file)) else None

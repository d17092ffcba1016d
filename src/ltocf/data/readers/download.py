"""Files from the network, verified by checksum before they get their name."""

from __future__ import annotations

import hashlib
import http.client
import logging
import urllib.error
import urllib.request
from pathlib import Path

from ltocf.files import replacing
from ltocf.progress import progress_bar

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 30


def verify_checksum(path: Path, checksum: str) -> None:
    """Check a file against ``algorithm:hexadecimal digest``, e.g. ``sha256:9f86d0...``.

    Raises:
        ValueError: the digests differ.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "empty"
        >>> path.touch()
        >>> verify_checksum(path, "md5:d41d8cd98f00b204e9800998ecf8427e")
    """
    algorithm, expected = checksum.split(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != expected:
        raise ValueError(f"{path} must have the {algorithm} {expected}, got {found}")


def download(url: str, target: Path, checksum: str) -> None:
    """Fetch a URL into a file; nothing is left behind unless it arrived as a whole and its checksum is right.

    Raises:
        ConnectionError: the file could not be fetched or is not the one expected; the message says where to put it by
            hand.
    """
    logger.info("downloading %s to %s", url, target)
    try:
        with replacing(target) as temporary:
            _fetch(url, temporary, target.name)
            verify_checksum(temporary, checksum)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is a response too, and holds the connection
        raise ConnectionError(
            f"could not download {url}: {error}. To go on without, put that file at {target} by hand"
        ) from error


def _fetch(url: str, path: Path, name: str) -> None:
    with (
        urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response,
        path.open("wb") as file,
        progress_bar() as bar,
    ):
        announced = response.headers.get("Content-Length")
        n_bytes = int(announced) if announced else None
        task = bar.add_task(name, total=n_bytes, note="bytes")
        while chunk := response.read(_CHUNK_BYTES):
            file.write(chunk)
            bar.advance(task, len(chunk))
        if n_bytes is not None and file.tell() != n_bytes:
            raise OSError(f"got {file.tell()} of {n_bytes} bytes")

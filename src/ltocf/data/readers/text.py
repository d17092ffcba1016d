"""The text format of the NGCF and LightGCN papers: a folder with train.txt and test.txt."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from ltocf.data.dataset import Dataset
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.shapes import PairIndices

logger = logging.getLogger(__name__)

# Ids are row numbers of an embedding table: a longer one is a mistake that would only show as lack of memory.
_MAX_ID_DIGITS = 8

_DIGIT, _BLANK, _NEWLINE, _OTHER = range(4)
_BYTE_KINDS = np.full(256, _OTHER, np.uint8)
_BYTE_KINDS[list(b"0123456789")] = _DIGIT
_BYTE_KINDS[list(b" \t\r")] = _BLANK
_BYTE_KINDS[ord("\n")] = _NEWLINE


def read_text_folder(folder: str | Path) -> Dataset:
    """Read ``train.txt`` and, where there is one, ``test.txt``; each line is ``user item item ...``.

    Ids are whole numbers from 0 and are their own indices; there are max + 1 users and items over both files.
    The place of an item among its user's items stands for the time of a training pair: the sets of the papers come in
    order of time, and their test parts are the end of it. Places of different users cannot be compared.

    A user may have several lines (united), or one without items (counted in the log). A pair that is in both
    files is dropped from the test part and counted in a warning: the model has seen it.

    Raises:
        FileNotFoundError: no such folder, or it has no ``train.txt``.
        ValueError: a token that is not an id (with file, line and token), or a file without pairs.

    Source: the format of NGCF (SIGIR 2019), https://github.com/xiangwang1223/neural_graph_collaborative_filtering

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "train.txt").write_text("0 2 1\\n1 2\\n"), (folder / "test.txt").write_text("1 0\\n")
        >>> dataset = read_text_folder(folder)
        >>> dataset.interactions.matrix().toarray().astype(int).tolist(), dataset.test.items.tolist()
        ([[0, 1, 1], [0, 0, 1]], [0])
    """
    folder = Path(folder)
    train_path, test_path = folder / "train.txt", folder / "test.txt"
    if not train_path.is_file():
        found = sorted(path.name for path in folder.iterdir())[:10] if folder.is_dir() else "no such folder"
        raise FileNotFoundError(
            f"{folder} must hold train.txt (each line: user item item ...), test.txt is optional; got {found}"
        )
    parts = [_read_pairs(path) for path in (train_path, test_path) if path.exists()]
    n_users = max(n_users for _, _, n_users in parts)
    n_items = max(int(items.max()) + 1 for _, items, _ in parts)
    users, items, _ = parts[0]
    train = Interactions.from_pairs(users, items, n_users, n_items, timestamps=np.arange(len(items)))
    tests = [Interactions.from_pairs(users, items, n_users, n_items) for users, items, _ in parts[1:]]
    test = _without_seen(tests[0], train, test_path) if tests else None
    return Dataset(folder.absolute().name, train, Names.identity(n_users, n_items), test, has_clock=False)


def _read_pairs(path: Path) -> tuple[PairIndices, PairIndices, int]:
    """User and item of each pair, and the number of users, those without items included."""
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    kinds = _BYTE_KINDS[np.frombuffer(content, np.uint8)]
    if (strays := np.flatnonzero(kinds == _OTHER)).size:
        raise _bad_token(path, content, int(strays[0]))
    borders = np.diff((kinds == _DIGIT).astype(np.int8), prepend=0, append=0)
    starts = np.flatnonzero(borders == 1)
    lengths = np.flatnonzero(borders == -1) - starts
    if (lengths > _MAX_ID_DIGITS).any():
        raise _bad_token(path, content, int(starts[np.argmax(lengths > _MAX_ID_DIGITS)]))

    numbers = np.fromstring(content, np.int64, sep=" ") if len(starts) else np.empty(0, np.int64)
    lines = np.cumsum(kinds == _NEWLINE, dtype=np.int64)[starts]
    is_user = np.diff(lines, prepend=-1) > 0
    users_of_lines = numbers[is_user]
    users = users_of_lines[np.cumsum(is_user)[~is_user] - 1]
    if not len(users):
        raise ValueError(f"{path} must hold at least one `user item` pair, got {len(content)} bytes without one")
    if n_empty := len(users_of_lines) - int((np.diff(np.flatnonzero(is_user), append=len(numbers)) > 1).sum()):
        logger.debug("%s: %d lines have a user and no items", path, n_empty)
    return users, numbers[~is_user], int(users_of_lines.max()) + 1


def _bad_token(path: Path, content: bytes, position: int) -> ValueError:
    """The error for the token around a byte, with the line it is on."""
    line_start = content.rfind(b"\n", 0, position) + 1
    line_end = content.find(b"\n", position)
    line = content[line_start : line_end if line_end >= 0 else len(content)]
    n_before = len(re.split(rb"[ \t\r]", line[: position - line_start])[-1])
    token = re.split(rb"[ \t\r]", line[position - line_start - n_before :])[0]
    line_number = content.count(b"\n", 0, position) + 1
    return ValueError(
        f"{path}, line {line_number}: ids must be whole numbers from 0 with at most {_MAX_ID_DIGITS} digits, "
        f"got {token.decode('utf-8', 'backslashreplace')!r}"
    )


def _without_seen(test: Interactions, train: Interactions, path: Path) -> Interactions:
    """The test pairs that are not training pairs."""
    unseen = ~np.isin(test.keys, train.keys, assume_unique=True)
    if n_seen := len(test) - int(unseen.sum()):
        logger.warning("%s: %d of %d pairs are also in train.txt and were dropped", path, n_seen, len(test))
    if not unseen.any():
        raise ValueError(f"{path} must hold a pair that is not in train.txt, got {len(test)} that all are")
    return test.where(unseen)

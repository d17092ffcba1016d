"""The text format of the NGCF and LightGCN papers: a folder with train.txt and test.txt."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.shapes import PairIndices

logger = logging.getLogger(__name__)

# Ids are row numbers of an embedding table: a longer one is a mistake that would only show as a lack of memory.
_MAX_ID_DIGITS = 8

# A largest id above both of these is a typing mistake: so many times the number of ids, and so large a number.
_MAX_STRETCH = 1_000
_NEVER_STRAY = 1_000_000

# Numbers on a line that is a row of a table: user item rating, user item rating timestamp.
_ROW_WIDTHS = (3, 4)
_SAMPLE_BYTES = 1 << 16

_DIGIT, _BLANK, _NEWLINE, _OTHER = range(4)
_BYTE_KINDS = np.full(256, _OTHER, np.uint8)
_BYTE_KINDS[list(b"0123456789")] = _DIGIT
_BYTE_KINDS[list(b" \t")] = _BLANK
_BYTE_KINDS[ord("\n")] = _NEWLINE


def read_text_folder(folder: str | Path) -> Dataset:
    """Read ``train.txt`` and, if there is one, ``test.txt``; each line is ``user item item ...``.

    Ids are whole numbers from 0: those that occur in either file are the users and the items, in their order. Numbers
    between them that occur nowhere are unknown ids (counted in a warning).
    The place of a pair among its user's items stands for its time, that of test pairs coming after all others. The
    caller decides whether this is the order in time (`Dataset.lines_in_time`); places of different users cannot be
    compared.

    A user may have several lines (united), or one without items (counted in the log). A pair that is in both
    files is dropped from the test set and counted in a warning: the model has seen it.

    Raises:
        FileNotFoundError: no such folder, or it has no ``train.txt``.
        ValueError: a token that is not an id (with file, line and token), an id far beyond all others, a file without
            pairs, or one whose lines are `user item rating`.

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
            f"{folder} must hold train.txt (each line: user item item ...), test.txt is optional; got {found}; "
            f"for a folder of table files pass a pattern, such as '{folder}/*.csv'"
        )
    parts = [_read_pairs(path) for path in (train_path, test_path) if path.exists()]
    user_ids = _ids_of([part.users_of_lines for part in parts], parts, "users")
    item_ids = _ids_of([part.items for part in parts], parts, "items")
    n_users, n_items = len(user_ids), len(item_ids)
    pairs = [(np.searchsorted(user_ids, part.users), np.searchsorted(item_ids, part.items)) for part in parts]
    train = Interactions.from_pairs(*pairs[0], n_users, n_items, timestamps=np.arange(len(pairs[0][0])))
    tests = [
        Interactions.from_pairs(users, items, n_users, n_items, timestamps=len(train) + np.arange(len(users)))
        for users, items in pairs[1:]
    ]
    test = _without_seen(tests[0], train, test_path) if tests else None
    names = Names(IdMap(pl.Series(user_ids)), IdMap(pl.Series(item_ids)))
    return Dataset(folder.absolute().name, train, names, test, has_clock=False)


@dataclass(frozen=True)
class _Pairs:
    """The pairs of one file, and the user of each line, including lines without items."""

    path: Path
    content: bytes
    users: PairIndices
    items: PairIndices
    users_of_lines: np.ndarray


def _read_pairs(path: Path) -> _Pairs:
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
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
    n_numbers = np.diff(np.flatnonzero(is_user), append=len(numbers))
    if _are_rows(numbers, n_numbers):
        raise _rows_error(path, content)
    if n_empty := int((n_numbers == 1).sum()):
        logger.debug("%s: %d lines have a user and no items", path, n_empty)
    return _Pairs(path, content, users, numbers[~is_user], users_of_lines)


def _ids_of(columns: Sequence[np.ndarray], parts: Sequence[_Pairs], kind: str) -> np.ndarray:
    """The distinct ids of both files, sorted.

    Raises:
        ValueError: one that is far beyond all others.
    """
    ids = np.unique(np.concatenate(columns))
    largest = int(ids[-1])
    if largest > max(_MAX_STRETCH * len(ids), _NEVER_STRAY):
        number = next(number for number, column in enumerate(columns) if largest in column)
        path, content = parts[number].path, parts[number].content
        found = re.search(rb"(?<!\d)0*%d(?!\d)" % largest, content)
        line = content.count(b"\n", 0, found.start() if found else 0) + 1
        raise ValueError(
            f"{path}, line {line}: ids of {kind} must be below {_MAX_STRETCH:,} times their number, got {largest} "
            f"among {len(ids)} {kind}; correct it, or write a table file of `user,item` lines, which takes any ids"
        )
    if n_missing := largest + 1 - len(ids):
        first = int(np.setdiff1d(np.arange(len(ids) + 1), ids)[0])
        logger.warning(
            "%s: %d ids of %s up to %d occur nowhere, the first is %d: they are unknown",
            *(parts[0].path.parent, n_missing, kind, largest, first),
        )
    return ids


def _are_rows(numbers: np.ndarray, n_numbers: np.ndarray) -> bool:
    """Whether lines are `user item rating`, perhaps with a time: equally many numbers, and users on several lines."""
    width = int(n_numbers[0])
    if width not in _ROW_WIDTHS or (n_numbers != width).any():
        return False
    users, items, values = (len(np.unique(numbers[place::width])) for place in range(3))
    n_lines = len(n_numbers)
    return n_lines > users and (2 * n_lines >= 3 * users or 3 * values < items)


def _rows_error(path: Path, content: bytes) -> ValueError:
    """The error for a file whose lines are rows of a table instead of lists of items."""
    line = content.split(b"\n", 1)[0].decode()
    names = ["user", "item", "rating", "timestamp"][: len(line.split())]
    return ValueError(
        f"{path} must have the items of one user on each line, got lines like `user item rating`, such as {line!r}; "
        f"read it as a table: load_dataset({str(path)!r}, columns={names}), or leave out the ratings"
    )


def _bad_token(path: Path, content: bytes, position: int) -> ValueError:
    """The error for the token around a byte, with its line; or for rows of a table, if decimals or times show them."""
    if _are_numbers_in_rows(content):
        return _rows_error(path, content)
    line_start = content.rfind(b"\n", 0, position) + 1
    line_end = content.find(b"\n", position)
    line = content[line_start : line_end if line_end >= 0 else len(content)]
    n_before = len(re.split(rb"[ \t]", line[: position - line_start])[-1])
    token = re.split(rb"[ \t]", line[position - line_start - n_before :])[0]
    line_number = content.count(b"\n", 0, position) + 1
    return ValueError(
        f"{path}, line {line_number}: ids must be whole numbers from 0 with at most {_MAX_ID_DIGITS} digits, "
        f"got {token.decode('utf-8', 'backslashreplace')!r}"
    )


def _are_numbers_in_rows(content: bytes) -> bool:
    """Whether the first lines are all `user item number`, with a decimal or a long number at the end."""
    lines = [line.split() for line in content[:_SAMPLE_BYTES].split(b"\n")[:-1] if line.strip()]
    rest = rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
    return bool(lines) and all(
        len(line) == len(lines[0])
        and len(line) in _ROW_WIDTHS
        and all(len(token) <= _MAX_ID_DIGITS and token.isdigit() for token in line[:2])
        and all(re.fullmatch(rest, token) for token in line[2:])
        for line in lines
    )


def _without_seen(test: Interactions, train: Interactions, path: Path) -> Interactions:
    """The test pairs that are not training pairs."""
    unseen = ~np.isin(test.keys, train.keys, assume_unique=True)
    if n_seen := len(test) - int(unseen.sum()):
        logger.warning("%s: %d of %d pairs are also in train.txt and were dropped", path, n_seen, len(test))
    if not unseen.any():
        raise ValueError(f"{path} must hold a pair that is not in train.txt, got {len(test)} that all are")
    return test.where(unseen)

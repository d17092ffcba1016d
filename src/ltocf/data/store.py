"""A store: a log on disk as sorted pairs that are memory-mapped, not read; `ltocf ingest` writes it."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions, read_only
from ltocf.data.names import Names
from ltocf.data.report import ReadingReport

INDEX = "store.json"
VERSION = 1
WORK = ".ingest"
"""A folder in a store that is not finished."""
PARTS = ("interactions", "test", "also_seen")
"""Sets of pairs that a store may have; each is a folder with one file for each kind of value."""
VALUES: dict[str, type[np.int64 | np.float32]] = {
    "users": np.int64,
    "items": np.int64,
    "timestamps": np.int64,
    "weights": np.float32,
}


def is_store(path: Path) -> bool:
    """Whether a folder is a store.

    Raises:
        FileNotFoundError: it is a store that is not finished.
    """
    if (path / WORK).is_dir() and not (path / INDEX).is_file():
        raise FileNotFoundError(f"{path} is a store that is not finished; call `ltocf ingest` again as before")
    return (path / INDEX).is_file()


def open_store(path: Path) -> Dataset:
    """The data set of a store; its pairs stay on disk until they are used.

        path/store.json                        version, report, the options of the ingest
        path/users.parquet, items.parquet      the id of each index
        path/{interactions, test, also_seen}/{users, items, timestamps, weights}.npy

    Pairs are sorted by user, then item, each once, as `Interactions` keeps them.

    Args:
        path: the folder.

    Raises:
        ValueError: a store of another version, or one that is damaged.

    Example:
        >>> is_store(Path("runs"))
        False
    """
    index = _index(path)
    names = Names(_ids(path / "users.parquet"), _ids(path / "items.parquet"))
    parts = {part: _mapped(path, part, names.sizes, index["sizes"]) for part in PARTS}
    pairs = parts["interactions"]
    if pairs is None:
        raise ValueError(f"{path} is damaged: it has no interactions; ingest again")
    report = _report(path, index.get("report"))
    return Dataset(path.name, pairs, names, parts["test"], also_seen=parts["also_seen"], report=report)


def leave_on_disk(pairs: Interactions) -> None:
    """Give back the memory of pairs that are mapped from a store: they are read again when they are needed.

    The system would take it back itself if memory was short, but counts it as the process's until then. Only what is
    mapped for reading alone is given back: other arrays may differ from their file, or have none.
    """
    for array in (pairs.users, pairs.items, pairs.timestamps, pairs.weights):
        owner: object = array
        is_file = False
        while isinstance(owner, np.ndarray):
            is_file |= isinstance(owner, np.memmap) and owner.mode == "r"
            owner = owner.base
        if is_file and isinstance(owner, mmap.mmap):
            owner.madvise(mmap.MADV_DONTNEED)


def _index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads((path / INDEX).read_text(encoding="utf-8"))
        version = index["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path / INDEX} is damaged: {error}; ingest again") from error
    if version != VERSION:
        raise ValueError(f"{path} must be a store of version {VERSION}, got {version}; ingest again")
    sizes = index.get("sizes")
    if not isinstance(sizes, dict) or not all(type(n) is int and n >= 0 for n in sizes.values()):
        raise ValueError(f"{path / INDEX} is damaged: `sizes` must be numbers of pairs; ingest again")
    return dict(index)


def _report(path: Path, record: object) -> ReadingReport:
    try:
        return ReadingReport.from_record(record)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path / INDEX} is damaged: its report cannot be read ({error}); ingest again") from error


def _ids(file: Path) -> IdMap:
    try:
        return IdMap(pl.read_parquet(file, glob=False)["id"])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        raise ValueError(f"{file} is damaged: {str(error).splitlines()[0]}; ingest again") from error


def _mapped(path: Path, part: str, sizes: tuple[int, int], counts: dict[str, int]) -> Interactions | None:
    if part not in counts:
        return None
    arrays: dict[str, np.ndarray] = {}
    for name, kind in VALUES.items():
        file = path / part / f"{name}.npy"
        if not file.exists():
            continue
        try:
            # A header that claims more numbers than there are takes no memory if mapped; 0 numbers cannot be mapped.
            array = np.lib.format.open_memmap(file, mode="r") if counts[part] else np.empty(0, kind)
        except OSError:
            raise
        except Exception as error:  # a header is parsed as Python, and can fail in as many ways
            raise ValueError(f"{file} is damaged: {error}; ingest again") from error
        if array.dtype != kind or array.shape != (counts[part],):
            raise ValueError(f"{file} is damaged: it must hold {counts[part]:,} numbers; ingest again")
        arrays[name] = read_only(array) if array.flags.writeable else array
    if not {"users", "items"} <= set(arrays):
        raise ValueError(f"{path / part} is damaged: it must have users.npy and items.npy; ingest again")
    n_users, n_items = sizes
    return Interactions(**arrays, n_users=n_users, n_items=n_items)

"""The arrays of a model file, or of the data of a run, have the type and form that unpacking them expects."""

from __future__ import annotations

import io

import numpy as np
import polars as pl

from ltocf.data.storage import Arrays

TEXTS = ("user_ids", "item_ids", "titles")
SEEN, ALSO_SEEN = ("seen",), ("also_seen",)
Kinds = dict[str, type[np.generic]]


def check_arrays(arrays: Arrays, pairs: tuple[str, ...] = SEEN, optional: tuple[str, ...] = ALSO_SEEN) -> None:
    """The arrays of pairs, ids, titles and attributes; those of weights are checked against the model.

    Args:
        arrays: all arrays of the file.
        pairs: names of the sets of pairs that must be there.
        optional: names of the sets of pairs that may be there.

    Raises:
        ValueError: an array is missing, of another type or form, or its content cannot be what it stands for.
    """
    for name, kind in _expected(arrays, pairs, optional).items():
        if name not in arrays:
            raise ValueError(f"it has no array {name!r}")
        if arrays[name].dtype != kind or arrays[name].ndim != 1:
            raise ValueError(
                f"{name!r} must be a row of {kind.__name__}, got {arrays[name].dtype} of shape {arrays[name].shape}"
            )
    for name in (*pairs, *optional):
        if f"{name}.size" in arrays:
            _check_pairs(name, arrays, pairs[0])
    for name in TEXTS:
        if f"{name}.ends" in arrays and f"{name}.integers" not in arrays:
            check_ends(name, arrays[f"{name}.ends"], len(arrays[f"{name}.bytes"]))
    if "attributes.parquet" in arrays:
        _check_attributes(arrays["attributes.parquet"], int(arrays[f"{pairs[0]}.size"][1]))


def _expected(arrays: Arrays, pairs: tuple[str, ...], optional: tuple[str, ...]) -> Kinds:
    """The type of each array that is there or must be."""
    kinds: Kinds = {}
    for name in (*pairs, *optional):
        if name in pairs or _has(arrays, name):
            kinds |= {f"{name}.users": np.int32, f"{name}.items": np.int32, f"{name}.size": np.int64}
            by_pair: Kinds = {f"{name}.timestamps": np.int64, f"{name}.weights": np.float32, f"{name}.places": np.int64}
            kinds |= {key: kind for key, kind in by_pair.items() if key in arrays}
    for name in TEXTS:
        if name != "titles" and f"{name}.integers" in arrays:
            kinds[f"{name}.integers"] = np.int64
        elif name != "titles" or _has(arrays, name):
            kinds |= {f"{name}.bytes": np.uint8, f"{name}.ends": np.int64}
    if "attributes.parquet" in arrays:
        kinds["attributes.parquet"] = np.uint8
    return kinds


def _has(arrays: Arrays, name: str) -> bool:
    return any(key.startswith(f"{name}.") for key in arrays)


def _check_pairs(name: str, arrays: Arrays, first: str) -> None:
    size = arrays[f"{name}.size"]
    if len(size) != 2 or (size < 0).any():
        raise ValueError(f"'{name}.size' must be two numbers >= 0, got {size.tolist()[:3]}")
    if (size != (first_size := arrays[f"{first}.size"])).any():
        raise ValueError(f"'{name}.size' must be '{first}.size', got {size.tolist()} and {first_size.tolist()}")
    n_pairs = len(arrays[f"{name}.users"])
    for kind in ("items", "timestamps", "weights", "places"):
        if f"{name}.{kind}" in arrays and (n := len(arrays[f"{name}.{kind}"])) != n_pairs:
            raise ValueError(f"'{name}.{kind}' must have a number for each of the {n_pairs} pairs, got {n}")


def check_ends(name: str, ends: np.ndarray, n_bytes: int) -> None:
    """Check where the texts of an array end: ascending, up to the last byte."""
    last = int(ends[-1]) if len(ends) else 0
    if last != n_bytes or (len(ends) and (ends[0] < 0 or (ends[1:] < ends[:-1]).any())):
        raise ValueError(f"'{name}.ends' must ascend to the {n_bytes} bytes of '{name}.bytes'")


def _check_attributes(content: np.ndarray, n_items: int) -> None:
    """Check by the table's metadata that it has a row for each item: a few bytes can stand for billions of rows."""
    try:
        n_rows = pl.scan_parquet(io.BytesIO(content.tobytes())).select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"its attributes of items cannot be read ({first_line})") from error
    if n_rows != n_items:
        raise ValueError(f"there must be a row of attributes for each item, got {n_rows} for {n_items}")

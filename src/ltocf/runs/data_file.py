"""``data.safetensors`` of a run: its split, with a checksum, and the configuration that it began with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ltocf.data import Interactions, Names, Split
from ltocf.data.report import ReadingReport
from ltocf.data.storage import pack_interactions, pack_names, unpack_interactions, unpack_names
from ltocf.files import checksum_of, read_arrays, replacing, save_arrays
from ltocf.serving.model_arrays import check_arrays

SETS, OPTIONAL = ("train", "test"), ("validation", "also_seen")
"""Sets of pairs that every run has, and those that it may have."""
METADATA = "ltocf"
"""The only key of the metadata: safetensors would write several in random order."""


@dataclass(frozen=True)
class RunData:
    """The split that a run trains and evaluates on, with the caller's ids, and other pairs that users have seen.

    ``report`` says how the source was read at that time.
    """

    name: str
    split: Split
    names: Names
    also_seen: Interactions | None = None
    report: ReadingReport | None = None


def write_data(file: Path, data: RunData, configuration: str) -> None:
    """Write everything but the report.

    Args:
        file: the path of data.safetensors.
        data: the data to write.
        configuration: the TOML text that the run began with.
    """
    split, arrays = data.split, pack_names(data.names)
    for name, pairs in zip(
        (*SETS, *OPTIONAL), (split.train, split.test, split.validation, data.also_seen), strict=True
    ):
        arrays |= {} if pairs is None else pack_interactions(name, pairs)
    content = {"name": data.name, "configuration": configuration}
    content["checksum"] = checksum_of(arrays, content)
    with replacing(file, makes_folder=False) as temporary:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_arrays(save_file, contiguous, temporary, {METADATA: json.dumps(content, sort_keys=True)})


def read_data(file: Path) -> RunData:
    """Read a file that `write_data` wrote, in this version or an earlier one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file.
    """
    arrays, metadata = read_arrays(file)
    content = _content(file, metadata)
    checksum = content.pop("checksum", None)
    try:
        if METADATA in metadata and checksum != checksum_of(arrays, content):
            raise ValueError("its content is not what was written")
        check_arrays(arrays, SETS, OPTIONAL)
        train, test = (unpack_interactions(name, arrays) for name in SETS)
        validation, also_seen = (
            unpack_interactions(name, arrays) if f"{name}.size" in arrays else None for name in OPTIONAL
        )
        names = unpack_names(arrays)
        if names.sizes != (train.n_users, train.n_items):
            raise ValueError(f"it has the ids of {names.sizes}, and {train.n_users} users, {train.n_items} items")
    except (ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(f"{file} is damaged: {error}") from error
    return RunData(content["name"], Split(train, test, validation), names, also_seen)


def configuration_of(file: Path) -> str:
    """The TOML text that the run began with, without reading the pairs.

    Raises:
        ValueError: a damaged file.
    """
    try:
        with safe_open(file, framework="np") as opened:
            return str(_content(file, opened.metadata() or {}).get("configuration", ""))
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged: {error}") from error


def _content(file: Path, metadata: dict[str, str]) -> dict[str, str]:
    """Name, configuration and checksum; earlier versions wrote the first two as keys of their own, and no checksum."""
    content: Any = metadata
    if METADATA in metadata:
        try:
            content = json.loads(metadata[METADATA])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file} is damaged: {error}") from error
    kept = {name: content.get(name, "") for name in ("name", "configuration")} if isinstance(content, dict) else {}
    if not kept or "name" not in content or not all(isinstance(value, str) for value in kept.values()):
        raise ValueError(f"{file} is not the data of a run: its metadata have no name")
    return dict(content)

"""The model file: everything about a trained model in one safetensors file, which is checked before it is used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from safetensors.numpy import save_file
from torch.overrides import TorchFunctionMode

from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.data.storage import Arrays, pack_interactions, pack_names, unpack_interactions, unpack_names
from ltocf.files import checksum_of, read_arrays, replacing, save_arrays
from ltocf.graph import BipartiteGraph
from ltocf.models import Recommender, build_model, find_model
from ltocf.serving.model_arrays import check_arrays

FORMAT = "ltocf-model-2"
WITHOUT_CHECKSUM = "ltocf-model-1"
"""The format of version 0.1.0: the same arrays, other metadata; still read."""
METADATA = "ltocf"
"""The one key of the metadata: safetensors writes several in random order."""
LARGEST_OPTION = 10_000_000
SPARE_NUMBERS = 2**24
"""How many numbers a model may ask for beyond a few times what the file holds: 64 megabytes."""


class ModelParts(NamedTuple):
    """What a model file holds; see `TrainedModel` for the parts."""

    name: str
    options: dict[str, Any]
    model: Recommender
    seen: Interactions
    names: Names
    notes: dict[str, str]
    also_seen: Interactions | None = None


def write_model(path: Path, parts: ModelParts) -> None:
    """Write weights, ids, titles and training pairs, whole or not at all; the same model gives the same bytes.

    Raises:
        OSError: the file cannot be written.
    """
    arrays = {f"weights.{name}": tensor.cpu().numpy() for name, tensor in parts.model.state_dict().items()}
    arrays |= pack_interactions("seen", parts.seen) | pack_names(parts.names)
    if parts.also_seen is not None:
        arrays |= pack_interactions("also_seen", parts.also_seen)
    # `ascontiguousarray` would make an array of one element of a scalar.
    arrays = {name: np.ascontiguousarray(array) if array.ndim else array for name, array in arrays.items()}
    content = {"format": FORMAT, "model": parts.name, "options": dict(parts.options), "notes": dict(parts.notes)}
    content["checksum"] = checksum_of(arrays, content)
    with replacing(path) as temporary:
        save_arrays(save_file, arrays, temporary, {METADATA: json.dumps(content, sort_keys=True)})


def read_model(path: Path) -> ModelParts:
    """Read what `write_model` wrote, in this version or an earlier one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged, or no model file, or of a model that is not registered; the error says which.
    """
    _check_exists(path)
    arrays, metadata = read_arrays(path)
    try:
        content = _content(arrays, metadata)
        check_arrays(arrays)
        seen, names = unpack_interactions("seen", arrays), _names(arrays)
        also_seen = unpack_interactions("also_seen", arrays) if "also_seen.users" in arrays else None
        if names.sizes != (seen.n_users, seen.n_items):
            raise ValueError(
                f"there must be an id for each user and item, got {' and '.join(map(str, names.sizes))} for "
                f"{seen.n_users} and {seen.n_items}"
            )
        model = _built(content["model"], content["options"], seen, sum(array.size for array in arrays.values()))
        _load_weights(model, arrays)
    except ValueError as error:
        raise ValueError(f"{path} cannot be used as a model file: {error}") from error
    return ModelParts(content["model"], content["options"], model.eval(), seen, names, content["notes"], also_seen)


def read_version(path: Path) -> tuple[ModelParts, str]:
    """The model and the SHA-256 of the same file, even if another file takes its name meanwhile."""
    while True:
        _check_exists(path)
        with path.open("rb") as file:
            parts = read_model(path)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return parts, hashlib.file_digest(file, "sha256").hexdigest()


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"no model file at {path}; `ltocf train ... --out DIR` writes one")


def _content(arrays: Arrays, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Model, options and notes, in the same form for every format."""
    try:
        if METADATA in metadata:
            content, known = json.loads(metadata[METADATA]), FORMAT
        elif metadata.get("format") == WITHOUT_CHECKSUM:
            content, known = dict(metadata), WITHOUT_CHECKSUM
            content |= {key: json.loads(metadata[key]) for key in ("options", "notes") if key in metadata}
        else:
            content, known = None, FORMAT
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its metadata is not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != known:
        raise ValueError(f"it does not have the format {FORMAT} or {WITHOUT_CHECKSUM}")
    for key, kind in (("model", str), ("options", dict), ("notes", dict)):
        if not isinstance(content.get(key), kind):
            raise ValueError(f"its metadata must have {key!r} as a {kind.__name__}, got {content.get(key)!r}")
    if known == FORMAT and content.pop("checksum", None) != checksum_of(arrays, content):
        raise ValueError("its content is not what was written: the checksum differs")
    return content


def _names(arrays: Arrays) -> Names:
    """Ids, titles and attributes. Raises ValueError for attributes that cannot be read."""
    try:
        return unpack_names(arrays)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"its attributes of items cannot be read ({first_line})") from error


def _built(name: str, options: dict[str, Any], seen: Interactions, n_numbers: int) -> Recommender:
    """The model with random weights, if its options ask for no more than the file can fill."""
    find_model(name)
    _check_sizes(options)
    graph = BipartiteGraph.from_interactions(seen)
    try:
        with _SizeLimit(8 * n_numbers + SPARE_NUMBERS):
            return build_model(name, graph, options)
    except Exception as error:  # a file's options may be anything, and so may a constructor's error
        first_line = (str(error).splitlines() or [repr(error)])[0]
        raise ValueError(f"its model {name!r} cannot be made with its options ({first_line})") from error


def _check_sizes(options: Mapping[str, Any]) -> None:
    """Check that no whole number in the options, also of a blend's members, is so large that it takes for ever."""
    for option, value in options.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                _check_sizes(inner)
            elif isinstance(inner, int) and abs(inner) > LARGEST_OPTION:
                raise ValueError(f"its option {option!r} is beyond reason, got {inner}")


class _SizeLimit(TorchFunctionMode):
    """Refuses to make tensors of more than ``n_numbers`` numbers in all, before they are allocated."""

    MAKERS = (torch.empty, torch.full, torch.linspace, torch.ones, torch.rand, torch.randn, torch.zeros)

    def __init__(self, n_numbers: int) -> None:
        super().__init__()
        self.left = n_numbers

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self.MAKERS:
            shape = {key: value for key, value in kwargs.items() if key not in ("generator", "device", "out")}
            self.left -= func(*args, **shape, device="meta").numel()
            if self.left < 0:
                raise ValueError("they ask for far more numbers than the file holds")
        return func(*args, **kwargs)


def _complete_weights(model: Recommender, arrays: Arrays) -> None:
    """Add what earlier versions did not save of the model, and of the members of a blend."""
    for name, part in model.named_modules(prefix="weights"):
        if isinstance(part, Recommender):
            part.complete_weights(arrays, f"{name}.")


def _load_weights(model: Recommender, arrays: Arrays) -> None:
    expected = {f"weights.{name}": tensor for name, tensor in model.state_dict().items()}
    _complete_weights(model, arrays)
    found = {name for name in arrays if name.startswith("weights.")}
    if found != set(expected):
        missing, extra = (
            ", ".join(sorted(names)) or "nothing" for names in (set(expected) - found, found - set(expected))
        )
        raise ValueError(f"its weights are not those of its model: it lacks {missing}, and has besides {extra}")
    for name, tensor in expected.items():
        array = arrays[name]
        if array.shape == (1,) and tensor.ndim == 0:  # older files have a scalar as an array of one element
            array = arrays[name] = array.reshape(())
        if array.shape != tuple(tensor.shape):
            raise ValueError(f"{name!r} must have the shape {tuple(tensor.shape)}, got {array.shape}")
        if (array.dtype.kind == "f") != tensor.is_floating_point() or array.dtype.kind not in "fiu":
            raise ValueError(f"{name!r} must be of type {tensor.dtype}, got {array.dtype}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name!r} must be finite, got NaN or infinity: did training diverge?")
    model.load_state_dict({name: torch.from_numpy(arrays[f"weights.{name}"]) for name in model.state_dict()})
    for part in model.modules():
        if isinstance(part, Recommender):
            part.check_weights()

"""Small options for every model, and model files with a correct checksum whatever their content."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ltocf.files import checksum_of
from ltocf.models import MODELS
from ltocf.serving.model_file import METADATA

_SPECIFIC: dict[str, dict[str, Any]] = {
    "ltocf": {"n_times": 2},
    "spectral": {"rank": 3},
    "pinsage": {"n_walks": 3, "n_neighbours": 2},
    "mult-vae": {"hidden": 4},
    "neumf": {"n_layers": 2},
    "item-knn": {"k": 3},
    "rp3beta": {"k": 3},
    "history-regression": {"rank": 3},
    "sequence-knn": {"k": 3},
    "blend": {"members": ["ease", {"model": "mf", "dim": 2}]},
}
OPTIONS: dict[str, dict[str, Any]] = {
    name: ({"dim": 2} if "dim" in model.options() else {}) | _SPECIFIC.get(name, {}) for name, model in MODELS.items()
}
"""Options of every model of the package, small enough to train at once."""


def parts_of(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and metadata of a model file.

    Raises:
        ValueError: the content is no model file.
    """
    try:
        arrays = load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][METADATA])
    except (SafetensorError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("no model file") from error
    if not isinstance(metadata, dict):
        raise ValueError("no model file")
    return arrays, metadata


def sealed(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """A model file of these arrays and metadata, with their checksum."""
    metadata = {name: value for name, value in metadata.items() if name != "checksum"}
    metadata["checksum"] = checksum_of(arrays, metadata)
    return save(arrays, {METADATA: json.dumps(metadata, sort_keys=True)})


def resealed(content: bytes) -> bytes:
    """The model file with its checksum corrected, or the content unchanged if it cannot be read."""
    try:
        return sealed(*parts_of(content))
    except (ValueError, TypeError):
        return content

"""Recipes by name: settings that go together, per model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SOFTMAX_RECIPE: dict[str, Any] = {
    "loss": "softmax",
    "temperature": 0.12,
    "n_negatives": 4096,
    "ranking": "cosine",
    "popularity": 1.0,
    "batch_size": 0,
    "learning_rate": 0.01,
    "l2": 0.0,
    "epochs": 12,
    "schedule": "cosine",
    "warm_up": 0.02,
    "validate_every": 4,
}
"""Sampled softmax on cosines, large batches, a rate that comes down to zero: measured in docs/speed.md."""

PRESETS: dict[str, Mapping[str, Mapping[str, Any]]] = {
    "fast": {
        "ltocf": SOFTMAX_RECIPE
        | {"horizon": 3.0, "n_times": 1, "solver": "exact", "connection": "residual", "tolerance": 0.02},
        "lightgcn": SOFTMAX_RECIPE,
        "mf": SOFTMAX_RECIPE,
    },
    "paper": {},
}
"""What each preset changes of a model's own defaults, which are the papers'; a model that is left out keeps its own."""


def preset_values(preset: str, model: str) -> dict[str, Any]:
    """The settings, by name, that a preset has for a model.

    Example:
        >>> preset_values("paper", "ltocf"), preset_values("fast", "ltocf")["loss"]
        ({}, 'softmax')
    """
    return dict(PRESETS[preset].get(model, {}))

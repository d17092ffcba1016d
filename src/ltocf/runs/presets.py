"""Recipes by name: settings that go together, per model."""

from __future__ import annotations

from typing import Any

SOFTMAX_TRAINING: dict[str, Any] = {
    "batch_size": 0,
    "learning_rate": 0.03,
    "scale_rate": True,
    "l2": 0.0,
    "epochs": 32,
    "epoch_share": 0.25,
    "schedule": "cosine",
    "warm_up": 0.02,
    "validate_every": 2,
    "retraining": "repeated",
}
"""Large batches and a rate that falls to zero; docs/presets.md has how they were chosen."""

SOFTMAX_RECIPE: dict[str, Any] = SOFTMAX_TRAINING | {
    "loss": "softmax",
    "temperature": 0.0,
    "robustness": 0.15,
    "n_negatives": 8192,
    "whole_catalogue": True,
    "ranking": "cosine",
    "popularity": 1.1,
    "choose_ranking": True,
}
"""The same with the sampled softmax on cosines."""

FROM_SPECTRUM: dict[str, Any] = {"init": "spectral"}
"""On large data a softmax from random embeddings may rank by popularity for several passes before it finds more."""

SHORT_SERIES: dict[str, Any] = {"n_times": 1, "solver": "exact", "tolerance": 0.02, "precision": "auto"}
"""Half as many products as the paper's settings take; on large data with states of 16 bits."""

DRIFTING: dict[str, Any] = {"extrapolate_recency": True}
"""How much recent items count changes as histories grow; docs/data.md has what this was measured on."""

IN_ORDER: dict[str, Any] = {"recency": "auto"} | DRIFTING
"""If histories have an order, recent items may count more; how much is chosen on validation."""

OWN_RECIPES: dict[str, dict[str, Any]] = {
    "neumf": {"batch_size": 256, "l2": 0.0, "epochs": 100},
    # Its program anneals to 1 over 200,000 steps and stops at 0.2, which small data sets would never reach.
    "mult-vae": {"batch_size": 500, "l2": 0.0, "epochs": 200, "annealing_steps": 400},
}
"""Models that are trained as their papers do, unlike the others."""
HISTORY_MODELS = ("spectral", "ease", "item-knn", "rp3beta", "history-regression", "sequence-knn")
"""Closed forms with `recency`."""

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "fast": {
        "ltocf": SOFTMAX_RECIPE | FROM_SPECTRUM | SHORT_SERIES | IN_ORDER,
        "lightgcn": SOFTMAX_RECIPE | FROM_SPECTRUM | IN_ORDER,
        "mf": SOFTMAX_RECIPE | FROM_SPECTRUM,
        "blend": SOFTMAX_TRAINING | FROM_SPECTRUM | DRIFTING,
        "auto": SOFTMAX_TRAINING | DRIFTING,
        **OWN_RECIPES,
        **dict.fromkeys(HISTORY_MODELS, IN_ORDER),
    },
    "paper": OWN_RECIPES,
}
"""The settings of each preset that differ from the defaults, which are the LT-OCF paper's."""


def preset_values(preset: str, model: str) -> dict[str, Any]:
    """The settings, by name, that a preset changes for a model.

    Example:
        >>> preset_values("paper", "ltocf"), preset_values("fast", "ltocf")["loss"]
        ({}, 'softmax')
    """
    return dict(PRESETS[preset].get(model, {}))

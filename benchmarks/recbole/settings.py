"""The settings that both sides train with: imported by both, so plain Python and no package."""

from __future__ import annotations

from typing import Any

SOURCE = "movielens-small"
DEPTH = 20
SEEDS = (0, 1)
PATIENCE = 5

SHARED: dict[str, dict[str, Any]] = {
    "mf": {"learning_rate": 0.002, "batch_size": 2048, "l2": 0.0, "epochs": 160, "validate_every": 4},
    "neumf": {"learning_rate": 0.001, "batch_size": 512, "l2": 0.0, "epochs": 20, "validate_every": 2},
    "ngcf": {"learning_rate": 0.001, "batch_size": 2048, "l2": 0.0, "epochs": 40, "validate_every": 4},
    "gc-mc": {"learning_rate": 0.01, "batch_size": 2048, "l2": 0.0, "epochs": 80, "validate_every": 4},
    "lightgcn": {"learning_rate": 0.01, "batch_size": 2048, "l2": 0.0001, "epochs": 40, "validate_every": 4},
    "mult-vae": {"learning_rate": 0.001, "batch_size": 100, "l2": 0.0, "epochs": 100, "validate_every": 4},
}
"""Training settings of both: Adam's rate, triples, pairs or users of a step, weight of ½ Σ ||e||² / batch."""

OURS: dict[str, dict[str, Any]] = {
    "mf": {},
    "neumf": {"n_layers": 3, "n_negatives": 4},
    "ngcf": {"n_layers": 3, "message_dropout": 0.1},
    "gc-mc": {"dropout": 0.1},
    "lightgcn": {"n_layers": 3},
    "mult-vae": {"dim": 64, "hidden": 600, "dropout": 0.5, "largest_beta": 0.2, "annealing_steps": 200},
}
"""Options of this package's models; dim is 64 for all. Each starts as its own source says."""

THEIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "mf": ("BPR", {"embedding_size": 64}),
    "neumf": (
        "NeuMF",
        {"mf_embedding_size": 64, "mlp_embedding_size": 64, "mlp_hidden_size": [64, 32, 16], "dropout_prob": 0.0},
    ),
    "ngcf": (
        "NGCF",
        {"embedding_size": 64, "hidden_size_list": [64, 64, 64], "message_dropout": 0.1, "reg_weight": 0.0},
    ),
    "gc-mc": ("GCMC", {"embedding_size": 64, "gcn_output_dim": 64, "dropout_prob": 0.1}),
    "lightgcn": (
        "LightGCN",
        {"embedding_size": 64, "n_layers": 3, "reg_weight": SHARED["lightgcn"]["l2"], "require_pow": True},
    ),
    # Mean and variance together; β rises by 1 / steps a step, up to the cap.
    "mult-vae": (
        "MultiVAE",
        {
            "mlp_hidden_size": [600],
            "latent_dimension": 128,
            "dropout_prob": 0.5,
            "anneal_cap": 0.2,
            "total_anneal_steps": 1000,
        },
    ),
}
"""RecBole's name of each model, and the same options in its words."""
NEGATIVES = {"neumf": 4}
"""Sampled items for each pair, if not 1."""

"""The folder of a model for the Hugging Face Hub: the model file, a config.json, and a card with what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltocf.files import making_folder, write_text
from ltocf.serving.card import card
from ltocf.serving.held import MODEL_FILE
from ltocf.serving.trained import TrainedModel

FORMAT = "ltocf-hub-1"
CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
SHARED_NOTES = ("dataset", "phase", "select_on", "seed")
"""The notes that are published: others may hold paths or addresses that were given for training."""
LICENSE = r"[a-z0-9][a-z0-9.+-]{0,60}"
"""What an identifier of a license looks like on the Hub, such as apache-2.0 or other."""


def write_hub_folder(
    trained: TrainedModel, path: str | Path, metrics: Mapping[str, Any] | None = None, license: str | None = None
) -> Path:
    """Write config.json, model.safetensors and README.md to a new folder, whole or not at all.

    Args:
        trained: the model; its file holds the training pairs and ids of users too.
        path: a new folder.
        metrics: what metrics.json of its run holds; without it the card says that nothing was measured.
        license: the license that the card names, by an identifier of the Hub such as ``apache-2.0``; None: no license.

    Returns:
        The folder.

    Raises:
        ValueError: ``license`` is not an identifier.
        FileExistsError: the folder is there already.

    Example:
        >>> import tempfile
        >>> import ltocf
        >>> visits = [(user, item) for user in range(6) for item in range(4) if user % 3 != item]
        >>> trained = ltocf.fit(visits, model="lightgcn", dim=4, epochs=1, show_progress=False)
        >>> folder = write_hub_folder(trained, Path(tempfile.mkdtemp()) / "published")
        >>> sorted(file.name for file in folder.iterdir())
        ['README.md', 'config.json', 'model.safetensors']
        >>> ltocf.load(folder).recommend(0, k=1)["item"].to_list()
        [0]
    """
    path = Path(path)
    if license is not None and not re.fullmatch(LICENSE, license):
        raise ValueError(
            f"`license` must be an identifier of the Hub such as apache-2.0, got {license!r}; its list is at "
            "https://huggingface.co/docs/hub/repositories-licenses"
        )
    shared = replace(trained, notes={name: text for name, text in trained.notes.items() if name in SHARED_NOTES})
    with making_folder(path) as folder:
        shared.save(folder / MODEL_FILE)
        write_text(folder / CONFIG_FILE, json.dumps(_config(trained), indent=2, sort_keys=True) + "\n")
        write_text(folder / CARD_FILE, card(trained, metrics or {}, license))
    return path


def is_hub_folder(path: Path) -> bool:
    """Whether the folder has a config.json in the format of `write_hub_folder`."""
    try:
        content = json.loads((path / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def _config(trained: TrainedModel) -> dict[str, Any]:
    """What the Hub reads: the library, and the model's name and options; the model file alone is enough to load it."""
    n_users, n_items = trained.names.sizes
    return {
        "format": FORMAT,
        "library_name": "ltocf",
        "model_type": trained.name,
        "options": dict(trained.options),
        "n_users": n_users,
        "n_items": n_items,
        "n_pairs": len(trained.seen),
    }

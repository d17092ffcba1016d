"""Models of other installed packages, found by their entry points."""

from __future__ import annotations

import warnings
from collections.abc import Callable, MutableMapping
from importlib.metadata import entry_points

from ltocf.models.base import Recommender

ENTRY_POINTS = "ltocf.models"


def register_installed(models: MutableMapping[str, Callable[..., Recommender]]) -> None:
    """Add the models that installed packages declare in the entry point group ``ltocf.models``.

    One that cannot be imported, or has the name of a model that is there, is left out with a warning that names its
    package: a broken package must not keep the others from being used.

    Source: https://packaging.python.org/en/latest/specifications/entry-points/
    """
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist is not None else entry.value
        if entry.name in models:
            warnings.warn(f"model {entry.name!r} of {package} is left out: there is one of that name", stacklevel=2)
            continue
        try:
            models[entry.name] = entry.load()
        except Exception as error:  # whatever it is, it is that package's
            warnings.warn(f"model {entry.name!r} of {package} is left out: {error!r}", stacklevel=2)

"""Models of other installed packages, found by their entry points."""

from __future__ import annotations

import warnings
from collections.abc import MutableMapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from ltocf.models.base import Recommender

ENTRY_POINTS = "ltocf.models"


def register_installed(models: MutableMapping[str, type[Recommender]]) -> None:
    """Add the models that installed packages declare in the entry point group ``ltocf.models``.

    A model that cannot be imported, or whose name is taken, is left out with a warning that names its package: a broken
    package must not keep the others from being used.

    Source: https://packaging.python.org/en/latest/specifications/entry-points/
    """
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist is not None else entry.value
        model = _loaded(entry)
        if isinstance(model, BaseException):
            warnings.warn(f"model {entry.name!r} of {package} is left out: {model!r}", stacklevel=3)
        elif models.get(entry.name, model) is not model:
            warnings.warn(f"model {entry.name!r} of {package} is left out: its name is taken", stacklevel=3)
        else:
            models[entry.name] = model


@cache
def _loaded(entry: EntryPoint) -> type[Recommender] | BaseException:
    """The model, or whatever its package raised on import, even an attempt to exit."""
    try:
        model: type[Recommender] = entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    return model

"""What an unknown name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LIKENESS = 0.6
"""Two names at least this similar, in [0, 1], may be misspellings of each other."""


def did_you_mean(given: str, known: Iterable[str], otherwise: str) -> str:
    """The known names most similar to an unknown one, as the end of a message; ``otherwise`` if none is similar.

    Example:
        >>> did_you_mean("learning_rat", ["learning_rate", "time_learning_rate", "dim"], "there is no other")
        'did you mean `learning_rate`?'
        >>> did_you_mean("DIM", ["dim"], ""), did_you_mean("speed", ["dim"], "`ltocf settings` lists them")
        ('did you mean `dim`?', '`ltocf settings` lists them')
    """
    by_plain = {_plain(name): name for name in known}
    close = difflib.get_close_matches(_plain(given), by_plain, n=3, cutoff=LIKENESS)
    if not close:
        return otherwise
    best = difflib.SequenceMatcher(None, _plain(given), close[0]).ratio()
    near = [name for name in close if difflib.SequenceMatcher(None, _plain(given), name).ratio() > best - 0.1]
    return f"did you mean {' or '.join(f'`{by_plain[name]}`' for name in near)}?"


def not_one_of(what: str, given: str, known: Iterable[str], where: str) -> str:
    """The message for an unknown name: the most similar names and ``where`` to find all, or else all names.

    Example:
        >>> not_one_of("`model`", "mff", ["mf", "ease"], "`ltocf models` lists them")
        "`model` must be one of 2 names, got 'mff'; did you mean `mf`? `ltocf models` lists them"
        >>> not_one_of("`model`", "svd", ["mf", "ease"], "`ltocf models` lists them")
        "`model` must be one of mf, ease, got 'svd'"
    """
    names = list(known)
    if meant := did_you_mean(given, names, ""):
        return f"{what} must be one of {len(names)} names, got {given!r}; {meant} {where}"
    return f"{what} must be one of {', '.join(names)}, got {given!r}"


def _plain(name: str) -> str:
    """A name without differences of case, hyphens, spaces and underscores."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")

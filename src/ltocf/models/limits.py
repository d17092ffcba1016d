"""Upper bounds of counts: a typing mistake is an error before anything hangs or memory runs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LARGEST = {
    **dict.fromkeys(("dim", "hidden", "rank"), 1_000_000),
    **dict.fromkeys(("n_layers", "n_hops", "n_orders", "window", "steps_per_interval", "walk_length"), 1_000),
    **dict.fromkeys(("n_times", "n_walks", "iterations"), 10_000),
    "n_neighbours": 100_000,
    "n_negatives": 10_000_000,
}
"""Largest values of options, by name, in all models; far beyond what anybody has trained with."""


def check_largest(options: Mapping[str, Any]) -> None:
    """Refuse options with a count beyond reason.

    Raises:
        ValueError: a count is too large.

    Example:
        >>> check_largest({"dim": 64, "n_layers": 3})
        >>> check_largest({"n_layers": 2**31})
        Traceback (most recent call last):
        ValueError: `n_layers` must be <= 1000, got 2147483648
    """
    for name, largest in LARGEST.items():
        if isinstance(count := options.get(name), int) and count > largest:
            raise ValueError(f"`{name}` must be <= {largest}, got {count}")

"""Variants of a model: that of its source, or the one behind the row of published tables."""

from __future__ import annotations

from typing import Literal

Variant = Literal["source", "published"]
VARIANTS: tuple[str, ...] = ("source", "published")


def check_variant(variant: str) -> None:
    """Raise a ValueError for a variant that does not exist."""
    if variant not in VARIANTS:
        raise ValueError(f"`variant` must be one of {', '.join(VARIANTS)}, got {variant!r}")

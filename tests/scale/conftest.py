"""Pieces of a log that are small enough for tests."""

from __future__ import annotations

import pytest

from ltocf.scale import ingest


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small log is read in several pieces."""
    monkeypatch.setattr(ingest, "PIECE_SHARE", 1500 / 2**31)

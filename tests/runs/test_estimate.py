"""The minutes announced before training, compared with what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltocf.runs.estimate import training_minutes

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize(("name", "sizes"), [("gowalla", (40_981, 810_128)), ("yelp2018", (38_048, 1_237_259))])
def test_estimated_minutes_are_within_a_factor_of_two(name: str, sizes: tuple[int, int]) -> None:
    measured = json.loads((RESULTS / name / "ltocf-fast.json").read_text())
    assert measured["environment"]["cores"] == 2
    assert 0.5 < training_minutes(*sizes) / (measured["seconds"] / 60) < 2


def test_more_of_anything_costs_more() -> None:
    base = training_minutes(1_000, 100_000)
    assert training_minutes(1_000, 200_000) > base
    assert training_minutes(2_000, 100_000) > base
    assert training_minutes(1_000, 100_000, dim=128) > base
    assert training_minutes(1_000, 100_000, epochs=64) > base
    assert training_minutes(20_000, 100_000, n_negatives=2048) < training_minutes(20_000, 100_000)

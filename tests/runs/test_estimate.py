"""The cost that is said before training, beside what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltocf.runs.estimate import estimate_training

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize(
    ("name", "sizes"), [("gowalla", (29_858, 40_981, 810_128)), ("yelp2018", (31_668, 38_048, 1_237_259))]
)
def test_minutes_are_within_a_factor_of_two(name: str, sizes: tuple[int, int, int]) -> None:
    measured = json.loads((RESULTS / name / "ltocf-fast.json").read_text())
    assert measured["environment"]["cores"] == 2
    assert 0.5 < estimate_training(*sizes).minutes / (measured["seconds"] / 60) < 2


@pytest.mark.parametrize("size", ["10m", "50m"])
def test_bytes_are_within_a_factor_of_two(size: str) -> None:
    measured = json.loads((RESULTS / "speed" / f"step-synthetic-{size}.json").read_text())
    expected = estimate_training(measured["n_users"], measured["n_items"], measured["n_pairs"]).bytes
    assert 0.5 < expected / measured["contenders"]["filter"]["step_peak_bytes"] < 2


def test_more_of_anything_costs_more() -> None:
    base = estimate_training(1_000, 1_000, 100_000)
    assert estimate_training(1_000, 1_000, 200_000).minutes > base.minutes
    assert estimate_training(2_000, 1_000, 100_000).bytes > base.bytes

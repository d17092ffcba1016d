"""Processes that share columns do what one process does, and exchange what theory says."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch

from rank_workers import CASES, alone, compare_with_one, in_group, start


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """By number of processes, what came of every case."""
    folder = tmp_path_factory.mktemp("columns")
    for world in (2, 4):
        assert start(world, in_group, compare_with_one, folder) == [0] * world
    return {world: pickle.loads((folder / f"world-{world}").read_bytes()) for world in (2, 4)}


@pytest.mark.parametrize("case", CASES)
def test_losses_parameters_and_metrics_are_those_of_one_process(case: str, together: dict[int, dict[str, Any]]) -> None:
    """Six columns over four processes do not divide: zeros fill up."""
    expected = alone(case)
    for world, results in together.items():
        found = results[case]
        assert found.pop("metrics") == pytest.approx(expected["metrics"], abs=1e-9), world
        assert found.keys() == expected.keys() - {"metrics"}
        for name, values in found.items():
            torch.testing.assert_close(values, expected[name], atol=5e-6, rtol=1e-4)

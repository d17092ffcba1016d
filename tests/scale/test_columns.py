"""Processes that share columns do what one process does, and exchange what theory says."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from ltocf.graph import BipartiteGraph
from ltocf.models import NGCF
from ltocf.scale.columns import Columns, columns_over
from ltocf.scale.traffic import Step
from rank_workers import BATCH, CASES, SOFTMAX, alone, compare_with_one, count_all, in_group, start
from samples import random_interactions

ROWS, NEGATIVES = 2 * BATCH, 2 * 9
"""Numbers in two columns."""
OF_SOFTMAX = [
    ("all_to_all", ROWS),  # users
    ("all_to_all", ROWS),  # positives
    ("all_gather", NEGATIVES),
    ("all_reduce", 1),  # the loss
    ("all_to_all", 3 * NEGATIVES),  # gradients of the negatives, then of positives and users
    ("all_to_all", 3 * 2 * 11),
    ("all_to_all", 3 * 2 * 11),
]
COUNTED: list[dict[str, Any]] = [
    {
        "label": "mf, BPR",
        "model": "mf",
        "options": {"dim": 6},
        "loss": "bpr",
        "n_times": 0,
        "pieces": 1,
        "messages": [("all_reduce", 2 * BATCH)],
    },
    {
        "label": "ltocf, BPR",
        "model": "ltocf",
        "options": {"dim": 6, "n_times": 3},
        "loss": "bpr",
        "n_times": 3,
        "pieces": 1,
        "messages": [("all_reduce", 2 * BATCH), ("all_reduce", 3)],
    },
    {
        "label": "lightgcn, softmax",
        "model": "lightgcn",
        "options": {"dim": 6} | SOFTMAX,
        "loss": "softmax",
        "n_times": 0,
        "pieces": 1,
        "messages": OF_SOFTMAX,
    },
    {
        "label": "ltocf, BPR, two pieces",
        "model": "ltocf",
        "options": {"dim": 6, "n_times": 3},
        "loss": "bpr",
        "n_times": 3,
        "pieces": 2,
        "messages": [("all_reduce", 2 * BATCH), ("all_reduce", 2 * BATCH), ("all_reduce", 3)],
    },
    {
        "label": "lightgcn, softmax, two pieces",
        "model": "lightgcn",
        "options": {"dim": 6} | SOFTMAX,
        "loss": "softmax",
        "n_times": 0,
        "pieces": 2,
        "messages": 2 * OF_SOFTMAX,
    },
]


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
        if case not in results:
            continue
        found = results[case]
        assert found.pop("metrics") == pytest.approx(expected["metrics"], abs=1e-9), world
        assert found.keys() == expected.keys() - {"metrics"}
        for name, values in found.items():
            torch.testing.assert_close(values, expected[name], atol=5e-6, rtol=1e-4)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each case of `COUNTED`, written by three processes."""
    folder = tmp_path_factory.mktemp("messages")
    assert start(3, in_group, count_all, folder, COUNTED) == [0] * 3
    return folder


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case["label"])
def test_a_step_sends_what_theory_says(case: dict[str, Any], counted: Path) -> None:
    """Three processes with two of six columns each: 11 of 33 rows, and each negative to two others."""
    messages, sent = pickle.loads((counted / case["label"]).read_bytes())
    assert messages == case["messages"]
    pieces = case["pieces"]
    step = Step(case["loss"], pieces * BATCH, 9, 6, 3, n_times=case["n_times"], pieces=pieces)
    assert sent == pytest.approx(step.sent_bytes())


def test_processes_that_cannot_share_say_so() -> None:
    model = NGCF(BipartiteGraph.from_interactions(random_interactions()), dim=4)
    with (
        pytest.raises(ValueError, match="NGCF mixes the columns of its embeddings"),
        columns_over(Columns(0, 2), model),
    ):
        pass

"""Processes that share the columns compute what one process does, and send as many numbers as theory says."""

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

LAYOUTS = ((2, 1), (4, 1), (2, 2), (4, 2))
"""Numbers of processes and of blocks of nodes."""
ROWS, NEGATIVES = 2 * BATCH, 2 * 9
"""How many numbers two columns have."""
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
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], dict[str, Any]]:
    """The results of every case, by number of processes and of blocks."""
    folder = tmp_path_factory.mktemp("columns")
    for world, n_blocks in LAYOUTS:
        assert start(world, in_group, compare_with_one, folder, n_blocks) == [0] * world
    return {layout: pickle.loads((folder / "{}-{}".format(*layout)).read_bytes()) for layout in LAYOUTS}


@pytest.mark.parametrize("case", CASES)
def test_losses_parameters_and_metrics_are_those_of_one_process(
    case: str, together: dict[tuple[int, int], dict[str, Any]]
) -> None:
    """Neither 6 columns over 4 processes nor 71 nodes over 2 blocks divide evenly: zeros are added."""
    expected = alone(case)
    for layout, results in together.items():
        if case not in results:
            continue
        found = dict(results[case])
        assert found.pop("metrics") == pytest.approx(expected["metrics"], abs=1e-9), layout
        assert found.keys() == expected.keys() - {"metrics"}
        for name, values in found.items():  # to rounding: sums are in another order
            torch.testing.assert_close(values, expected[name], atol=5e-6, rtol=1e-4)


IN_BLOCKS: list[dict[str, Any]] = [
    {
        "label": "mf, BPR",
        "model": "mf",
        "options": {"dim": 6},
        "loss": "bpr",
        "n_times": 0,
        "pieces": 1,
        "n_products": 0,
    },
    {
        "label": "ltocf, BPR",
        "model": "ltocf",
        "options": {"dim": 6, "n_times": 3, "solver": "euler", "learnable_times": True, "horizon": 2.0},
        "loss": "bpr",
        "n_times": 3,
        "pieces": 1,
        "n_products": 2 * 4,  # four Euler steps: a polynomial of degree 4
    },
    {
        "label": "lightgcn, softmax",
        "model": "lightgcn",
        "options": {"dim": 6, "n_layers": 3} | SOFTMAX,
        "loss": "softmax",
        "n_times": 0,
        "pieces": 2,
        "n_products": 2 * 3,
    },
]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each case of `COUNTED`, written by three processes."""
    folder = tmp_path_factory.mktemp("messages")
    assert start(3, in_group, count_all, folder, COUNTED) == [0] * 3
    return folder


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case["label"])
def test_a_step_sends_as_many_numbers_as_theory_says(case: dict[str, Any], counted: Path) -> None:
    """Each of 3 processes has 2 of 6 columns, 11 of 33 rows, and sends each negative to the 2 others."""
    messages, sent = pickle.loads((counted / case["label"]).read_bytes())
    assert messages == case["messages"]
    pieces = case["pieces"]
    step = Step(case["loss"], pieces * BATCH, 9, 6, 3, n_times=case["n_times"], pieces=pieces)
    assert sent == pytest.approx(step.sent_bytes())


@pytest.fixture(scope="module")
def counted_in_blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each case of `IN_BLOCKS`, written by 2 x 2 processes."""
    folder = tmp_path_factory.mktemp("messages")
    assert start(4, in_group, count_all, folder, [case | {"blocks": 2} for case in IN_BLOCKS]) == [0] * 4
    return folder


@pytest.mark.parametrize("case", IN_BLOCKS, ids=lambda case: case["label"])
def test_a_step_in_blocks_sends_as_many_numbers_as_theory_says(case: dict[str, Any], counted_in_blocks: Path) -> None:
    """Each product gathers 36 rows of 3 columns once, as 71 nodes in 2 blocks need."""
    messages, sent = pickle.loads((counted_in_blocks / case["label"]).read_bytes())
    assert sum(message == ("all_gather", 36 * 3) for message in messages) == case["n_products"]
    pieces = case["pieces"]
    step = Step(case["loss"], pieces * BATCH, 9, 6, 4, case["n_times"], pieces, 2, 71, case["n_products"])
    assert sent == pytest.approx(step.sent_bytes())


def test_a_model_whose_columns_cannot_be_shared_is_refused() -> None:
    model = NGCF(BipartiteGraph.from_interactions(random_interactions()), dim=4)
    with (
        pytest.raises(ValueError, match="NGCF mixes the columns of its embeddings"),
        columns_over(Columns(0, 2), model),
    ):
        pass

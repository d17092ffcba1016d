"""The memory, agreement and ratios that the measurement of a step reports are right; seconds are not checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.bench.contenders import CONTENDERS, USUAL
from ltocf.bench.machine import product_traffic
from ltocf.bench.step import CLOSE_RESULT, RATIOS, SAME_RESULT, Effort, Sizes, Worker, affordable, agreement, bench_step
from ltocf.bench.worker import Task, load_pairs, save_pairs
from ltocf.graph import BipartiteGraph
from ltocf.training.memory import WITHOUT_LIMIT
from samples import random_interactions

SIZES = Sizes(n_users=300, n_items=700, n_pairs=5000, dim=16)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    lines: list[str] = []
    names = ["filter", "filter_8_steps", "filter_bfloat16", "solver_coo", "lightgcn", "lightgcn_coo"]
    measured = bench_step(
        "tiny",
        random_interactions(60, 80),
        names,
        dim=8,
        batch_size=64,
        threads=1,
        device=CPU,
        effort=Effort(warm_ups=1, repeats=3, slow_repeats=2),
        details=False,
        say=lines.append,
    )
    return measured | {"lines": lines}


@pytest.mark.parametrize("name", CONTENDERS)
def test_the_memory_estimate_is_the_sum_of_arrays_and_pairs(name: str) -> None:
    contender = CONTENDERS[name]
    expected = 1000 * 16 * 4 * contender.dense_copies + 5000 * (contender.bytes_per_pair + 16)
    assert SIZES.estimate(name) == expected
    assert contender.memory_estimate(1000, 0, 16) == 2 * contender.memory_estimate(500, 0, 16)


def test_contenders_that_do_not_fit_or_are_not_installed_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTENDERS, "lightgcn", replace(CONTENDERS["lightgcn"], module="no_such_package.part"))
    lines: list[str] = []
    available = int(SIZES.estimate("filter") / 0.89)
    kept, skipped = affordable(["filter", "solver_coo", "lightgcn"], SIZES, available, lines.append)
    assert kept == ["filter"]
    assert skipped["lightgcn"] == "no_such_package is not installed"
    assert "needs about 0.01 GB" in skipped["solver_coo"]
    assert sum("is skipped" in line for line in lines) == 2


def test_contenders_of_the_same_result_agree(result: dict[str, Any]) -> None:
    same, close = {"filter = solver_coo", "lightgcn = lightgcn_coo"}, "filter_bfloat16 = filter"
    assert set(result["agreement"]) == same | {close}
    for label in same:
        assert max(result["agreement"][label].values()) < 1e-4
    assert 1e-5 < result["agreement"][close]["final"] < 0.02  # roundings of 8 bits
    assert "time_gradients" in result["agreement"]["filter = solver_coo"]


def test_the_record_is_complete(result: dict[str, Any]) -> None:
    contenders = result["contenders"]
    assert {name: len(record["seconds"]) for name, record in contenders.items()} == {
        "filter": 3,
        "filter_8_steps": 3,
        "filter_bfloat16": 3,
        "solver_coo": 2,
        "lightgcn": 3,
        "lightgcn_coo": 3,
    }
    for record in contenders.values():
        assert record["step_bytes"] == record["step_peak_bytes"] - record["base_bytes"]
        assert record["lower_quartile"] <= record["median"] <= record["upper_quartile"]
    assert contenders["filter"]["degree"] <= contenders["filter_8_steps"]["degree"] + 1
    assert set(result["ratios"]) == {label for label in RATIOS if "torch_geometric" not in label}
    assert result["environment"]["device"] == "cpu"


def test_estimates_are_printed_before_anything_is_built(result: dict[str, Any]) -> None:
    first = next(index for index, line in enumerate(result["lines"]) if line.startswith("building"))
    assert sum(" = " in line for line in result["lines"][:first]) == len(result["contenders"])


def test_agreement_finds_a_planted_difference(tmp_path: Path) -> None:
    values = np.array([[1.0, -4.0]])
    for name, shift in (("filter", 0.4), ("solver_coo", 0.0)):
        np.save(tmp_path / f"{name}-final.npy", values + shift)
        np.save(tmp_path / f"{name}-gradient.npy", values)
    same = {"loss": 2.0, "time_gradients": [0.5, 1.0]}
    records = {"filter": same | {"loss": 2.2, "time_gradients": [0.5, 1.25]}, "solver_coo": same}
    (differences,) = agreement(records, tmp_path).values()
    assert differences == pytest.approx({"loss": 0.1, "final": 0.1, "gradient": 0.0, "time_gradients": 0.25})


def test_a_failed_contender_reports_its_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"pairs\.npz"):
        Worker("filter", Task(tmp_path / "nowhere", 4, 8, 1, "cpu"))


def test_pairs_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    log = random_interactions()
    save_pairs(tmp_path, log)
    loaded = load_pairs(tmp_path)
    assert np.array_equal(loaded.keys, log.keys)
    assert (loaded.n_users, loaded.n_items) == (log.n_users, log.n_items)


def test_the_traffic_of_a_product_is_that_of_its_arrays() -> None:
    graph = BipartiteGraph.from_interactions(random_interactions(5, 6))
    found = product_traffic(graph, dim=4, bandwidth=1.0, repeats=1)
    n_nonzero, row = 2 * len(graph.user_indices), 4 * 4
    matrix_and_result = n_nonzero * 4 + (11 + 2) * 4 + 11 * row
    assert found["least_bytes"] == matrix_and_result + 11 * row
    assert found["most_bytes"] == matrix_and_result + n_nonzero * row


def test_ratios_and_comparisons_name_every_contender() -> None:
    used = {name for above, below, _ in RATIOS.values() for name in (above, below)}
    compared = SAME_RESULT | CLOSE_RESULT
    assert used | set(compared) | set(compared.values()) == set(CONTENDERS)
    assert set(USUAL) < set(CONTENDERS)
    assert WITHOUT_LIMIT > 1 << 60

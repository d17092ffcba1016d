"""All ways of ranking in the contest give the same lists and the same metrics."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch

from ltocf.bench.ranking import Contest, bench_ranking
from ltocf.data import Names, Split, split_dataset
from ltocf.data.dataset import Dataset
from samples import random_interactions

HAS_IMPLICIT = importlib.util.find_spec("implicit") is not None
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def split() -> Split:
    log = random_interactions(230, 90, density=0.2)
    return split_dataset(Dataset("tiny", log, Names.identity(230, 90)), "random")


@pytest.fixture(scope="module")
def result(split: Split) -> dict[str, Any]:
    return bench_ranking("tiny", split, dim=8, device=CPU, repeats=2, loop_repeats=1)


def test_all_ways_of_ranking_agree(result: dict[str, Any]) -> None:
    expected = {"loops", "loops_propagating", "rank"} | ({"implicit"} if HAS_IMPLICIT else set())
    assert {name.split()[0] for name in result["agreement"]} == expected
    assert max(result["agreement"].values()) < 1e-12


def test_the_record_is_complete(result: dict[str, Any], split: Split) -> None:
    expected = {"evaluate": 2, "rank": 2, "loops": 1, "loops_propagating": 1} | (
        {"implicit": 2} if HAS_IMPLICIT else {}
    )
    assert {name: len(seconds) for name, seconds in result["seconds"].items()} == expected
    assert result["n_queries"] == int((split.test.user_degrees > 0).sum())
    assert set(result["skipped"]) == (set() if HAS_IMPLICIT else {"implicit"})


def test_a_missing_library_is_reported_and_the_rest_is_measured(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lines: list[str] = []
    found = bench_ranking("tiny", split, dim=4, device=CPU, repeats=1, loop_repeats=0, say=lines.append)
    assert set(found["seconds"]) == {"evaluate", "rank"}
    assert any(line.startswith("implicit is skipped") for line in lines)


def test_the_loops_give_the_metrics_of_ranking_without_seen_items(split: Split) -> None:
    contest = Contest(split, dim=4, threads=1, device=CPU)
    assert contest.loops() == pytest.approx(contest.metrics_of(contest.rank()))


def test_the_propagating_loops_propagate_for_every_hundred_users(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    contest = Contest(split, dim=4, threads=1, device=CPU)
    calls: list[int] = []
    propagate = contest.program.propagate
    monkeypatch.setattr(contest.program, "propagate", lambda start: calls.append(1) or propagate(start))
    contest.loops()
    assert not calls
    contest.loops_propagating()
    assert len(calls) == -(-len(contest.users) // 100) > 1

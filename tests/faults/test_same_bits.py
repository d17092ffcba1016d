"""The same seed on the same machine: the same bits, whatever the threads, the blocks and who is asked with whom."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

import ltocf
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS
from ltocf.serving import Snapshot
from model_samples import OPTIONS
from samples import random_interactions

Record = Callable[[str, dict[str, Any]], None]
N_USERS, N_ITEMS, K = 300, 130, 12
WITH_TIMES = ("history.jsonl", "metrics.json")
"""Files of a run that say how long it took, and so differ in that alone."""
SECONDS = ("seconds", "seconds_of_this_process", "memory", "ranking_seconds", "validation_seconds", "environment")
SHORT_MODELS = ("mf", "ltocf", "spectral")


@cache
def snapshot(name: str) -> Snapshot:
    """A model with weights as they start; dim 17 fills no register evenly."""
    log = random_interactions(N_USERS, N_ITEMS, density=0.08)
    options = OPTIONS[name] | ({"dim": 17} if "dim" in OPTIONS[name] and name != "neumf" else {})
    model = MODELS[name](BipartiteGraph.from_interactions(log), **options).eval()
    model.prepare()
    return Snapshot.of(name, model, log, Names.identity(N_USERS, N_ITEMS))


@cache
def one_by_one(name: str, every: int) -> pl.DataFrame:
    """The lists of some users, each asked for alone."""
    return pl.concat([snapshot(name).recommend(user, K) for user in range(0, N_USERS, every)])


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", OPTIONS)
def test_together_is_one_by_one(name: str, full: bool, record: Record, threads: Callable[[int], None]) -> None:
    """1 to 300 users at once, in any order, in blocks of any size, by one thread or two: the same items and scores."""
    alone = one_by_one(name, 1 if full else 50)
    counts = {"cases": 0, "other_lists": 0, "other_scores": 0}
    known = alone["user"].unique()

    @settings(
        max_examples=100 if full else 2,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.integers(1, N_USERS), st.integers(0, 2**31), st.sampled_from([1, 2] if full else [1]))
    def keeps(n: int, seed: int, n_threads: int) -> None:
        threads(n_threads)
        chosen = np.random.default_rng(seed).permutation(N_USERS)[:n].tolist()
        together = snapshot(name).recommend(chosen, K)
        blocks = pl.concat(snapshot(name).recommend_all(K, rows=n if full else max(n, 50))).select(alone.columns)
        for lists in (together, blocks):
            found = lists.filter(pl.col("user").is_in(known.implode())).sort("user", "rank")
            right = alone.filter(pl.col("user").is_in(lists["user"].unique().implode()))
            counts["cases"] += 1
            counts["other_lists"] += not found.drop("score").equals(right.drop("score"))
            counts["other_scores"] += not found["score"].equals(right["score"])

    keeps()
    record(f"same-bits-{name}", counts)
    assert counts["other_lists"] == counts["other_scores"] == 0


def trained(folder: Path, name: str, threads: int) -> Path:
    log = [(f"u{user}", item) for user in range(40) for item in range(30) if (user * 7 + item * 3) % 4]
    chosen: dict[str, Any] = OPTIONS[name] | {"model": name, "epochs": 2, "select_by": "recall@5", "seed": 3}
    ltocf.train(log, folder, threads=threads, show_progress=False, **chosen)
    return folder


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_run_gives_the_same_bytes(name: str, full: bool, record: Record) -> None:
    if name not in SHORT_MODELS and not full:
        pytest.skip("in full only")
    with tempfile.TemporaryDirectory() as place:
        more = 2 if full or name == "mf" else 1
        first, second, other = (trained(Path(place) / each, name, n) for each, n in (("a", 1), ("b", 1), ("c", more)))
        files = sorted(file.name for file in first.iterdir() if file.name != ".lock")
        assert files == sorted(file.name for file in second.iterdir() if file.name != ".lock")
        for file in files:
            if file in WITH_TIMES:
                assert told(first / file) == told(second / file)
            else:
                assert (first / file).read_bytes() == (second / file).read_bytes(), file
        for file in ("model.safetensors", "model-selection.safetensors", "test-users.safetensors"):
            one, two = load_file(first / file), load_file(other / file)
            assert {key: array.tobytes() for key, array in one.items()} == {k: a.tobytes() for k, a in two.items()}
    record(f"same-bytes-{name}", {"files": len(files), "with_times": len(WITH_TIMES), "different": 0})


def told(file: Path) -> list[Any]:
    """What a file with times says besides."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.suffix == ".jsonl" else []
    return [_timeless(row) for row in rows or [json.loads(file.read_text())]]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in SECONDS}
    return value

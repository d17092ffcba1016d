"""The same seed on the same machine gives the same bits, for any threads, blocks and number of users at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
"""Files of a run that contain times, and differ in nothing else."""
SECONDS = (
    "seconds",
    "repeating_seconds",
    "seconds_of_this_process",
    "memory",
    "ranking_seconds",
    "validation_seconds",
    "environment",
)
SHORT_MODELS = ("mf", "ltocf", "spectral")
THREADED = ("spectral", "ltocf", "lightgcn", "mf", "ngcf", "mult-vae", "cmn")
"""Not NeuMF, which multiplies matrices by vectors: the strict mode is for products of matrices."""
STRICT = {"MKL_CBWR": "AUTO,STRICT"}
"""Sums in an order that does not depend on the number of threads, see
https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/2023-0/strict-cnr-mode.html."""
SCRIPT = Path(__file__).parents[1] / "one_and_two_threads.py"


def strict_mode_works() -> bool:
    processor = Path("/proc/cpuinfo")
    return torch.backends.mkl.is_available() and processor.exists() and "GenuineIntel" in processor.read_text()


@cache
def snapshot(name: str) -> Snapshot:
    """An untrained model; dim 17 is no multiple of a register."""
    log = random_interactions(N_USERS, N_ITEMS, density=0.08)
    options = OPTIONS[name] | ({"dim": 17} if "dim" in OPTIONS[name] and name != "neumf" else {})
    model = MODELS[name](BipartiteGraph.from_interactions(log), **options).eval()
    model.prepare()
    return Snapshot.of(name, model, log, Names.identity(N_USERS, N_ITEMS))


@cache
def one_by_one(name: str, every: int) -> pl.DataFrame:
    """The lists of every ``every``-th user, each asked for alone."""
    return pl.concat([snapshot(name).recommend(user, K) for user in range(0, N_USERS, every)])


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", OPTIONS)
def test_users_together_get_the_lists_of_each_alone(
    name: str, full: bool, record: Record, threads: Callable[[int], None]
) -> None:
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


def trained(folder: Path, name: str) -> Path:
    log = [(f"u{user}", item) for user in range(40) for item in range(30) if (user * 7 + item * 3) % 4]
    chosen: dict[str, Any] = OPTIONS[name] | {"model": name, "epochs": 2, "select_by": "recall@5", "seed": 3}
    ltocf.train(log, folder, threads=1, show_progress=False, **chosen)
    return folder


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_run_gives_the_same_bytes(name: str, full: bool, record: Record) -> None:
    if name not in SHORT_MODELS and not full:
        pytest.skip("in a full run only")
    with tempfile.TemporaryDirectory() as place:
        first, second = (trained(Path(place) / each, name) for each in ("a", "b"))
        files = sorted(file.name for file in first.iterdir() if file.name != ".lock")
        assert files == sorted(file.name for file in second.iterdir() if file.name != ".lock")
        for file in files:
            if file in WITH_TIMES:
                assert content(first / file) == content(second / file)
            else:
                assert (first / file).read_bytes() == (second / file).read_bytes(), file
    record(f"same-bytes-{name}", {"files": len(files), "with_times": len(WITH_TIMES), "different": 0})


@pytest.mark.skipif(not strict_mode_works(), reason="MKL has its strict mode on Intel processors only")
@pytest.mark.parametrize("name", THREADED)
def test_in_the_strict_mode_of_mkl_the_number_of_threads_changes_nothing(
    name: str, full: bool, record: Record, tmp_path: Path
) -> None:
    """On a log so large that MKL divides sums among threads; whether weights differ without the mode is recorded."""
    if name != "spectral" and not full:
        pytest.skip("in a full run only")
    strict, usual = (weights_differ(name, tmp_path, mode) for mode in (STRICT, {}))
    record(f"threads-{name}", {"differ_in_strict_mode": int(strict), "differ_without_it": int(usual)})
    assert not strict


def weights_differ(name: str, folder: Path, variables: dict[str, str]) -> bool:
    """Whether a model trained by two threads has other weights than one trained by one."""
    done = subprocess.run(
        [sys.executable, SCRIPT, name, folder],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return bool(json.loads(done.stdout))


def content(file: Path) -> list[Any]:
    """The content of a JSON file without its times."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.suffix == ".jsonl" else []
    return [_timeless(row) for row in rows or [json.loads(file.read_text())]]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in SECONDS}
    return value

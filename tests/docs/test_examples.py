"""The programs of examples/ run, and their output is right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

import ltocf
from ltocf.models import LTOCF
from samples import random_interactions

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run_example(name: str, *arguments: str | Path) -> list[str]:
    """The lines that an example prints; it must succeed, without a Python warning."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
    finished = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_every_example_has_a_test() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"quickstart.py", "own_data.py", "inspect_response.py"}


def test_quickstart_prints_the_recommended_titles_and_the_metric_of_its_run(tmp_path: Path) -> None:
    lines = run_example("quickstart.py", tmp_path / "run")
    trained = ltocf.load(tmp_path / "run")
    expected = trained.recommend([42], k=5)["title"].to_list()
    assert [line.partition(". ")[2] for line in lines if line[0].isdigit()] == expected
    assert not set(expected) & set(trained.history(42)["title"])
    metrics = ltocf.resume(tmp_path / "run")
    assert f"recall@20 on the test set: {metrics['recall@20']:.4f}" in lines
    assert metrics["recall@20"] > 0.1


def test_own_data_keeps_string_ids_and_recommends_what_the_customer_likes(tmp_path: Path) -> None:
    lines = run_example("own_data.py", tmp_path)
    orders = pl.read_csv(tmp_path / "orders.csv", infer_schema=False)
    in_log = set(orders.filter(pl.col("customer") == "007")["product"])
    ordered, recommended = (set(line.partition(": ")[2].split(", ")) for line in lines[:2])
    assert ordered < in_log  # the others are in the test set
    assert len(recommended) == 5
    assert not recommended & ordered
    assert all(item.startswith("coffee-") for item in ordered | recommended)
    assert float(next(line.split()[1] for line in lines if line.startswith("recall@5"))) > 5 / 60  # by chance


def test_inspect_response_shows_an_untrained_model(tmp_path: Path) -> None:
    lines = run_example("inspect_response.py", "--figure", tmp_path / "response.svg")
    shares = [float(line.split()[5].rstrip("%")) for line in lines if line.startswith("state")]
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(100, abs=0.05)
    assert "h(+0.0) = 0.2000" in lines  # 1 / (T + 2): there only E(0) remains of the linear connection
    assert "<svg" in (tmp_path / "response.svg").read_text(encoding="utf-8")


def test_inspect_response_shows_the_model_of_a_run(tmp_path: Path) -> None:
    log = random_interactions()
    frame = pl.DataFrame({"user": log.users, "item": log.items})
    frame.write_parquet(tmp_path / "log.parquet")
    ltocf.train(tmp_path / "log.parquet", tmp_path / "run", preset="paper", epochs=2, dim=4, time_learning_rate=0.1)
    model = ltocf.load(tmp_path / "run").model
    assert isinstance(model, LTOCF)
    lines = run_example("inspect_response.py", "--run", tmp_path / "run")
    assert [line.split()[4].rstrip(":") for line in lines[:5]] == [f"{t:.3f}" for t in model.times.boundaries()]
    assert f"h(+1.0) = {model.response(torch.ones(1)).item():.4f}" in lines

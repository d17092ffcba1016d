"""A short training on real data beats the most popular items."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltocf import Popularity, evaluate, load, load_dataset, train
from ltocf.data import split_dataset


@pytest.mark.parametrize("model", ["ltocf", "lightgcn", "mf"])
def test_a_few_epochs_beat_popularity(real_data: Path, tmp_path: Path, model: str) -> None:
    source = real_data / "irb-amazon2014-health"
    settings = {
        "preset": "paper",
        "learning_rate": 0.02,
        "l2": 0.01,
        "epochs": 120 if model == "mf" else 15,
        "threads": 1,
    }
    metrics = train(source, tmp_path / "run", model=model, dim=32, **settings)
    split = split_dataset(load_dataset(source))
    popular = evaluate(Popularity(split.train), split.test, seen=split.train)
    assert metrics["recall@20"] > popular["recall@20"]
    assert metrics["ndcg@20"] > popular["ndcg@20"]
    assert len(load(tmp_path / "run").recommend([0, 1], k=20)) == 40

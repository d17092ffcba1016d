"""Selection, as far as it can be told from what a run leaves."""

from __future__ import annotations

from pathlib import Path

import ltocf
from ltocf.evaluation import evaluate
from ltocf.run_folder import RunFolder
from ltocf.training import sample_users
from samples import random_interactions


def test_a_validation_can_ask_a_few_users(tmp_path: Path) -> None:
    log = random_interactions()
    table = tmp_path / "log.csv"
    rows = (f"{user},{item}" for user, item in zip(log.users, log.items, strict=True))
    table.write_text("\n".join(["user,item", *rows]))
    settings = {"epochs": 2, "dim": 4, "batch_size": 64, "validate_every": 1, "validation_users": 5}
    metrics = ltocf.train(table, tmp_path / "run", model="mf", preset="paper", **settings)
    run = RunFolder(tmp_path / "run")
    split = run.read_data().split
    assert split.validation is not None
    sample = sample_users(split.validation, seed=0, n_users=5)
    scorer = ltocf.load(run.selection_model_file).model.scorer()
    assert metrics["selected"]["recall@20"] == evaluate(scorer, sample, seen=split.train, ks=(20,))["recall@20"]

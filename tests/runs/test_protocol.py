"""Selection, as far as it can be told from what a run leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

import ltocf
from ltocf.evaluation import evaluate
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.training import TrainingSettings, sample_users
from samples import random_interactions


@pytest.fixture
def table(tmp_path: Path) -> Path:
    log = random_interactions()
    path = tmp_path / "log.csv"
    rows = (f"{user},{item}" for user, item in zip(log.users, log.items, strict=True))
    path.write_text("\n".join(["user,item", *rows]))
    return path


@pytest.mark.parametrize(("options", "l2"), [({}, 0.1), ({"init_l2": 0.002}, 0.002)])
def test_a_factorisation_has_its_own_epochs_and_l2(
    table: Path, tmp_path: Path, options: dict[str, Any], l2: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainingSettings] = []
    monkeypatch.setattr("ltocf.runs.protocol.start_from_factorisation", lambda *start: asked.append(start[3]))
    settings = {"epochs": 1, "dim": 4, "batch_size": 64, "l2": 0.1, "init": "mf", "init_epochs": 3, **options}
    ltocf.train(table, tmp_path / "run", model="cmn", preset="paper", **settings)
    assert [(start.epochs, start.l2) for start in asked] == [(3, l2)] * 2


def test_a_validation_can_ask_a_few_users(table: Path, tmp_path: Path) -> None:
    settings = {"epochs": 2, "dim": 4, "batch_size": 64, "validate_every": 1, "validation_users": 5}
    metrics = ltocf.train(table, tmp_path / "run", model="mf", preset="paper", **settings)
    run = RunFolder(tmp_path / "run")
    split = run.read_data().split
    assert split.validation is not None
    sample = sample_users(split.validation, seed=0, n_users=5)
    scorer = ltocf.load(run.selection_model_file).model.scorer()
    assert metrics["selected"]["recall@20"] == evaluate(scorer, sample, seen=split.train, ks=(20,))["recall@20"]


def test_metrics_say_the_whole_configuration_and_the_split(table: Path, tmp_path: Path) -> None:
    settings = {"epochs": 1, "dim": 4, "batch_size": 64, "init": "mf", "init_epochs": 1, "validation_fraction": 0.2}
    ltocf.train(table, tmp_path / "run", model="mf", preset="paper", **settings)
    run = RunFolder(tmp_path / "run")
    metrics, split = run.metrics(), run.read_data().split
    assert metrics["split"] == split.summary()
    assert metrics["split"]["validation"] > 0
    assert Config.from_toml(tomli_w.dumps(metrics["configuration"])) == run.config()
    assert metrics["configuration"]["data"]["validation_fraction"] == 0.2
    assert (metrics["configuration"]["model"]["name"], metrics["configuration"]["run"]["init"]) == ("mf", "mf")

"""Files that version 0.1.0 wrote in its first form are still read: finished runs, an interrupted one, model files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import ltocf
from ltocf.report.run_figures import run_figure
from ltocf.runs.folder import RunFolder

FOLDER = Path(__file__).with_name("earlier_version")
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
RUNS = ("run-ltocf", "run-fast", "run-spectral")


def assert_same_lists(path: Path, name: str) -> None:
    expected = EXPECTED["lists"][name]
    lists = ltocf.load(path).recommend(["u1", "u7"], k=3).to_dicts()
    scores = [row.pop("score") for row in lists]
    assert scores == pytest.approx([row["score"] for row in expected], rel=1e-4)
    assert lists == [{key: value for key, value in row.items() if key != "score"} for row in expected]


@pytest.mark.parametrize("name", RUNS)
def test_a_finished_run_answers_as_before(name: str) -> None:
    assert_same_lists(FOLDER / name, name)
    assert_same_lists(FOLDER / name / "model.safetensors", name)
    metrics = ltocf.resume(FOLDER / name)
    measured = ltocf.evaluate_run(FOLDER / name, show_progress=False)
    assert {key: metrics[key] for key in measured} == pytest.approx(measured)
    assert len(run_figure(RunFolder(FOLDER / name)).axes) >= 2


def test_an_interrupted_run_ends_as_it_would_have(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(FOLDER / "run-interrupted", folder)
    losses = [row["loss"] for row in RunFolder(folder).history()]
    metrics = ltocf.resume(folder)
    # Selection continues from its checkpoint; retraining starts as NGCF starts today, by Xavier.
    assert [row["loss"] for row in RunFolder(folder).history()][: len(losses)] == pytest.approx(losses, rel=1e-6)
    assert {name: metrics[name] for name in EXPECTED["metrics_of_the_resumed_run"]} == pytest.approx(
        EXPECTED["metrics_of_the_resumed_run"]
    )
    assert_same_lists(folder, "resumed")


def test_settings_added_later_default_to_what_leaves_a_run_as_it_was() -> None:
    config = RunFolder(FOLDER / "run-fast").config()
    assert config.run.preset == "fast"
    assert (config.options["recency"], config.options["choose_ranking"]) == ("off", False)
    assert config.training.retraining == "compressed"

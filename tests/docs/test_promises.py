"""Every promise has tests that exist, and every figure that `make faults` writes belongs to a promise."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
TABLES = load_script(ROOT / "benchmarks" / "promise_tables.py")
PROMISES = [promise for section in TABLES.PROMISES.values() for promise in section]


@pytest.mark.parametrize("promise", PROMISES, ids=[promise["sentence"][:40] for promise in PROMISES])
def test_the_tests_and_the_figures_of_a_promise_exist(promise: dict[str, Any]) -> None:
    assert all((ROOT / test).is_file() for test in promise["tests"])
    named = {name for _, name, _, _ in Formatter().parse(promise["measured"]) if name}
    assert named <= set(TABLES.figures_of(promise))


def test_every_test_of_faults_belongs_to_a_promise() -> None:
    promised = {test for promise in PROMISES for test in promise["tests"]}
    assert {str(file.relative_to(ROOT)) for file in (ROOT / "tests" / "faults").glob("test_*.py")} <= promised


def test_every_figure_of_a_full_run_belongs_to_a_promise() -> None:
    patterns = [promise["figures"] for promise in PROMISES]
    stems = [file.stem for file in TABLES.RESULTS.glob("*.json")]
    assert [stem for stem in stems if not any(fnmatch(stem, pattern) for pattern in patterns)] == []


def test_figures_of_several_files_are_summed_or_their_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TABLES, "RESULTS", tmp_path)
    assert TABLES.figures("a-*") == {}
    for number, name in enumerate(("a-x", "a-y", "b")):
        figures = {"cases": number + 1, "largest_difference": 0.5 - number / 10}
        (tmp_path / f"{name}.json").write_text(json.dumps({"figures": figures}))
    assert TABLES.figures("a-*") == {"cases": 3, "largest_difference": 0.5, "n": 2}
    assert TABLES.figures("b")["cases"] == 3

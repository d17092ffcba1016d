"""`ltocf bench` from a shell, and the figure and the tables of the documentation's page on speed."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from ltocf.bench import quick_bench
from ltocf.bench.contenders import CONTENDERS, USUAL
from samples import random_interactions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = random_interactions(60, 80)
    path = tmp_path_factory.mktemp("data") / "log.csv"
    pl.DataFrame({"user": log.users, "item": log.items}).write_csv(path)
    return path


def test_bench_prints_ratios_and_writes_all_measurements(log_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    sizes = ["--dim", "4", "--batch-size", "64", "--repeats", "1", "--threads", "1", "--device", "cpu"]
    command = [sys.executable, "-m", "ltocf", "bench", str(log_file), "--out", str(out), *sizes]
    command += ["--user-column", "item", "--item-column", "user"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    step, ranking = (json.loads(out.read_text())[part] for part in ("step", "ranking"))
    assert {*step["contenders"], *step["skipped"]} == set(USUAL)
    assert all(CONTENDERS[name].label in done.stdout for name in USUAL)
    assert max(step["agreement"]["filter = solver_coo"].values()) < 1e-4
    assert max(ranking["agreement"].values()) < 1e-12
    assert ranking["n_items"] == 60  # the user column was given as the items
    assert "evaluation here" in done.stdout
    assert "memory estimate" in done.stderr


@pytest.mark.parametrize("name", ["dim", "batch_size", "repeats"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be >= 1, got 0"):
        quick_bench("movielens-small", **{name: 0})


def test_the_committed_figure_is_the_one_that_the_script_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    script = runpy.run_path(str(ROOT / "docs" / "draw_speed.py"))
    script["draw"](tmp_path / "speed.svg")
    # Only the texts of the figure: its outlines may differ with the version of matplotlib.
    found, expected = (
        [text.text for text in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]
        for path in (tmp_path / "speed.svg", ROOT / "docs" / "images" / "speed.svg")
    )
    assert expected
    assert found == expected
    # RK4 evaluates its right-hand side four times in each of four intervals, forward and backward.
    assert script["solver_products"](4) == 2 * 4 * 4
    assert script["filter_products"](4, steps_per_interval=8) <= script["filter_products"](4)


def test_a_table_without_its_file_names_the_command_that_measures_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import speed_tables

    monkeypatch.setattr(speed_tables, "FOLDER", tmp_path)
    for name, make in speed_tables.TABLES.items():
        assert make().startswith("Not measured yet: `python benchmarks/"), name
    ranking = {
        "n_queries": 1000,
        "n_items": 2000,
        "median": {"evaluate": 0.5, "implicit": 1.0, "loops": 4.0, "loops_propagating": 20.0},
        "environment": {"processor": "P", "device": "cpu", "threads": 2, "torch": "2"},
    }
    (tmp_path / "ranking-gowalla.json").write_text(json.dumps(ranking))
    lines = speed_tables.summary().splitlines()
    assert lines[2].split(" | ")[1:3] + lines[2].split(" | ")[-1:] == ["0.5 s", "1.0 s", "2.0 |"]
    assert [line.split(" | ")[-1] for line in lines[3:5]] == ["8.0 |", "40.0 |"]
    assert lines[-1] == "Not measured yet: `python benchmarks/speed.py step-gowalla-d64-b2048`."

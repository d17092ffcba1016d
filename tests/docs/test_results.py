"""The files under results/ and configs/ agree: every result has a configuration that reproduces it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ltocf.runs.config import Config

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATIONS = sorted((ROOT / "configs").glob("**/*.toml"))

STUDIES = {
    "spectral-density.json": "benchmarks/spectral_density.py",
    "spectral-gram.json": "benchmarks/spectral.py",
    "spectral-samples.json": "benchmarks/spectral.py",
    "spectral-ranks.json": "benchmarks/spectral.py",
    "frontier.json": "benchmarks/frontier.py",
    "trials.json": "src/ltocf/tuning/settings_search.py",
    "trials-neumf-published.json": "src/ltocf/tuning/settings_search.py",
}
"""Files of many runs, and the program that writes each again."""


def runs_of(configuration: Path) -> list[Path]:
    folder = ROOT / "results" / configuration.parent.relative_to(ROOT / "configs")
    return sorted({*folder.glob(f"{configuration.stem}.json"), *folder.glob(f"{configuration.stem}-seed*.json")})


@pytest.mark.parametrize("path", [path for path in CONFIGURATIONS if runs_of(path)], ids=lambda path: path.stem)
def test_a_configuration_is_that_of_its_results(path: Path) -> None:
    config = Config.from_file(path, path.parent.name)
    runs = [json.loads(run.read_text()) for run in runs_of(path)]
    for run in runs:
        written = config.with_values({"seed": run["seed"]})
        assert written.model == run["model"]
        for settings, measured in ((written.options, run["options"]), (vars(written.training), run["training"])):
            # A setting that is newer than the run has a default that does not change it.
            assert {name: settings[name] for name in measured} == measured
        assert written.run.select_on == run["select_on"]
    # Other seeds may have been run with other `--threads`, which change their seconds only.
    assert config.run.threads in {run["environment"]["threads"] for run in runs}


def test_the_best_values_of_every_search_are_in_its_configuration() -> None:
    for path in (ROOT / "results").glob("*/search/*.json"):
        dataset, best = path.parents[1].name, json.loads(path.read_text())["best"]["values"]
        config = Config.from_file(ROOT / "configs" / dataset / path.name.replace(".json", ".toml"), dataset)
        settings = vars(config.training) | dict(config.options)
        assert {name: settings[name] for name in best} == best


def test_every_result_has_a_configuration() -> None:
    runs = {path for configuration in CONFIGURATIONS for path in runs_of(configuration)}
    other_folders = (
        "speed",
        "reports",
        "search",
        "fold-in",
        "update",
        "weights",
        "recbole",
        "recipe",
        "auto",
        "service",
        "scale",
        "supply",
        "faults",
    )
    found = (ROOT / "results").glob("**/*.json")
    committed = {path for path in found if not set(other_folders) & set(path.relative_to(ROOT).parts)}
    assert {path.name for path in committed - runs} <= set(STUDIES)
    assert all((ROOT / script).exists() for script in STUDIES.values())


@pytest.mark.usefixtures("metrics_of_users")
def test_tables_have_the_numbers_of_the_results() -> None:
    subprocess.run([sys.executable, ROOT / "benchmarks" / "tables.py", "--check"], check=True)


@pytest.mark.parametrize(
    ("table", "page"), [("fold_in", "recommending.md"), ("update", "production.md"), ("weights", "data.md")]
)
def test_tables_of_answers_are_those_of_the_results(table: str, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import answers_tables

    assert answers_tables.TABLES[table]() in (ROOT / "docs" / page).read_text(encoding="utf-8")

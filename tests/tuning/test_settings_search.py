"""Settings are chosen on the validation set; every trial is kept, with what makes it comparable."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from ltocf.reproduce.cells import Places
from ltocf.runs.config import Config
from ltocf.runs.experiment import train_config
from ltocf.training.processes import DiedError, Outcome
from ltocf.tuning.settings_search import Trial, search_settings
from ltocf.tuning.space import paper_space, read_space, write_best

SPACE = {"learning_rate": [0.003, 0.03], "l2": [1e-4, 1e-2]}


@pytest.fixture
def config_file(places: Places) -> Path:
    return places.configs / "log" / "mf.toml"


@pytest.fixture
def config(config_file: Path, source: str) -> Config:
    return Config.from_file(config_file, source)


def search(config: Config, space: dict[str, list[Any]], tmp_path: Path, **options: Any) -> dict[str, Any]:
    return search_settings(config, space, tmp_path / "trials", tmp_path / "trials.json", **options)


def test_each_point_of_the_grid_is_tried_once(config: Config, tmp_path: Path) -> None:
    found = search(config, SPACE, tmp_path)
    assert [(trial["values"]["learning_rate"], trial["values"]["l2"]) for trial in found["trials"]] == [
        (rate, l2) for rate in SPACE["learning_rate"] for l2 in SPACE["l2"]
    ]
    assert found["best"]["recall@20"] == max(trial["recall@20"] for trial in found["trials"])
    before = (tmp_path / "trials.json").read_text()
    assert json.loads(before) == found
    assert search(config, SPACE, tmp_path) == found
    assert (tmp_path / "trials.json").read_text() == before
    assert not list((tmp_path / "trials").iterdir())


def test_a_trial_is_what_a_run_with_its_settings_validates(config: Config, tmp_path: Path) -> None:
    (trial,) = search(config, {"l2": [0.01]}, tmp_path)["trials"]
    metrics = train_config(config.with_values({"l2": 0.01}), tmp_path / "run")
    assert metrics["selected"] == {"recall@20": trial["recall@20"], "epoch": trial["epoch"]}
    assert metrics["split"] == trial["split"]


def test_a_trial_says_where_it_was_measured(config: Config, tmp_path: Path) -> None:
    """It records the threads of the trial, not those that are set before and after it."""
    threads = 1 if torch.get_num_threads() > 1 else min(2, os.cpu_count() or 1)
    found = search(config.with_values({"threads": threads, "device": "cpu"}), {"l2": [0.1]}, tmp_path)
    (trial,) = found["trials"]
    assert (trial["environment"]["threads"], trial["environment"]["device"]) == (threads, "cpu")
    assert trial["configuration"]["training"]["l2"] == 0.1
    assert trial["configuration"]["data"]["source"] == "log.csv"
    assert str(tmp_path) not in (tmp_path / "trials.json").read_text()


def test_trials_of_other_data_or_settings_are_not_reused(config: Config, source: str, tmp_path: Path) -> None:
    space = {"l2": [0.01]}
    first = search(config, space, tmp_path)
    other_seed = search(config.with_values({"seed": 5}), space, tmp_path)
    assert len(other_seed["trials"]) == 2
    with Path(source).open("a") as log:
        log.write("0,29\n1,29\n2,29\n3,29\n")
    # Embeddings of size 1 can only be worse, and still are the best of what is searched now.
    edited = search(config.with_values({"dim": 1}), space, tmp_path)
    assert len(edited["trials"]) == 3
    assert edited["best"]["recall@20"] == edited["trials"][2]["recall@20"]
    assert len({trial["split"]["digest"] for trial in edited["trials"]}) == 2
    assert edited["trials"][0] == first["trials"][0]


def test_trials_of_an_earlier_version_are_kept_and_not_counted(config: Config, tmp_path: Path) -> None:
    earlier = {"values": {"l2": 0.01}, "recall@20": 1.0, "epoch": 1, "seconds": 1.0}
    (tmp_path / "trials.json").write_text(json.dumps({"trials": [earlier], "best": earlier}))
    found = search(config, {"l2": [0.01]}, tmp_path)
    assert found["trials"][0] == earlier
    assert len(found["trials"]) == 2
    assert found["best"]["recall@20"] == found["trials"][1]["recall@20"] < 1.0


SPACES = {
    "words": ("ltocf", ["solver=rk4,exact"], "model"),
    "booleans": ("ltocf", ["learnable_times=true,false"], "model"),
    "numbers of the model": ("ltocf", ["horizon=2.0,3.0"], "model"),
    "the run": ("mf", ["seed=1,2"], "run"),
    "the start": ("mf", ["init_l2=0.1,0.2"], "run"),
    "the data": ("mf", ["validation_fraction=0.1,0.3"], "data"),
    "training": ("mf", ["schedule=constant,cosine"], "training"),
}


@pytest.mark.parametrize("case", SPACES)
def test_the_best_values_are_written_where_a_run_reads_them(
    case: str, source: str, places: Places, tmp_path: Path
) -> None:
    model, grid, table = SPACES[case]
    config_file = places.configs / "log" / f"{model}.toml"
    config = Config.from_file(config_file, source)
    found = search(config, read_space(grid), tmp_path)
    assert len(found["trials"]) == 2
    best = found["best"]["values"]
    write_best(config_file, best)
    assert Config.from_file(config_file, source) == config.with_values(best)
    written = tomllib.loads(config_file.read_text())
    assert best.items() <= written[table].items()
    assert written["training"]["epochs"] == 3
    assert config_file.read_text().startswith("# a comment\n\n")
    # The configuration has changed only in what was searched, so the trials are reused.
    assert search(Config.from_file(config_file, source), read_space(grid), tmp_path) == found


def test_a_trial_that_diverges_is_kept_and_the_search_continues(config: Config, tmp_path: Path) -> None:
    space = {"learning_rate": [1e38, 0.01]}
    found = search(config, space, tmp_path)
    diverged, trained = found["trials"]
    assert "FloatingPointError" in diverged["error"]
    assert "recall@20" not in diverged
    assert found["best"]["values"] == trained["values"] == {"learning_rate": 0.01}
    assert search(config, space, tmp_path) == found
    with pytest.raises(ValueError, match="every trial failed, the last one with FloatingPointError"):
        search(config.with_values({"dim": 3}), {"learning_rate": [1e38]}, tmp_path)


def test_a_full_disk_ends_a_search_and_is_no_failure_of_a_trial(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("run/data.safetensors cannot be written: No space left on device")

    file = tmp_path / "trials.json"
    with monkeypatch.context() as patched:
        patched.setattr("ltocf.runs.experiment.select", full)
        with pytest.raises(OSError, match=r"No space left on device; the same call continues the search"):
            search_settings(config, {"learning_rate": [0.01]}, tmp_path / "trials", file)
    assert not file.exists()
    (trial,) = search_settings(config, {"learning_rate": [0.01]}, tmp_path / "trials", file)["trials"]
    assert "error" not in trial


def test_a_trial_whose_process_dies_is_tried_again(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(trials: Any, *_: Any, **__: Any) -> Any:
        for trial in trials:
            assert isinstance(trial, Trial)
            yield Outcome(trial, error=DiedError("the process ended with exit code -9 and without an error message"))

    with monkeypatch.context() as patched:
        patched.setattr("ltocf.tuning.settings_search.run_all", dies)
        with pytest.raises(ValueError, match="every trial failed, the last one with the process ended with exit code"):
            search(config, {"l2": [0.01]}, tmp_path)
    assert "best" in search(config, {"l2": [0.01]}, tmp_path)


def test_tpe_continues_from_known_trials(config: Config, tmp_path: Path) -> None:
    space = SPACE | {"schedule": ["constant", "cosine"]}
    search(config, space, tmp_path, sampler="tpe", n_trials=2)
    found = search(config, space, tmp_path, sampler="tpe", n_trials=3)
    assert len(found["trials"]) == 3
    rates = [trial["values"]["learning_rate"] for trial in found["trials"]]
    assert len(set(rates)) == 3
    assert all(0.003 <= rate <= 0.03 for rate in rates)
    # Trials outside of a narrower space are ignored.
    narrow = {"learning_rate": [0.1, 0.2], "l2": [0.01], "schedule": ["constant"]}
    assert len(search(config, narrow, tmp_path, sampler="tpe", n_trials=4)["trials"]) == 4


def test_impossible_searches_are_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`l2` must have at least one value to try, got none"):
        search(config, {"l2": []}, tmp_path)
    with pytest.raises(ValueError, match="no setting `rate`; "):
        search(config, {"rate": [0.1]}, tmp_path)
    with pytest.raises(ValueError, match="`dim` must be of type int, got 'wide'"):
        search(config, {"dim": [4, "wide"]}, tmp_path)
    with pytest.raises(ValueError, match="`threads` cannot be searched: it changes no result"):
        search(config, {"threads": [1, 2]}, tmp_path)
    with pytest.raises(ValueError, match="settings are chosen on the validation set, got select_on = 'test'"):
        search(config.with_values({"select_on": "test"}), {"l2": [0.1]}, tmp_path)
    assert not (tmp_path / "trials.json").exists()


def test_a_space_is_read_from_arguments() -> None:
    assert read_space(["dim=4,8", "l2=1e-3,inf", "a=true,x"]) == {
        "dim": [4, 8],
        "l2": [0.001, float("inf")],
        "a": [True, "x"],
    }
    for wrong in ("l2", "l2=", "=1", "l2=1,,2"):
        with pytest.raises(ValueError, match="`--grid` takes setting=value,value, got"):
            read_space([wrong])
    with pytest.raises(ValueError, match="each setting once, got `l2` twice"):
        read_space(["l2=1", "l2=2"])


def test_the_papers_space() -> None:
    assert len(paper_space("ltocf")) == 4
    assert paper_space("mf") == {"learning_rate": (1e-5, 1e-4, 1e-3, 1e-2), "l2": (1e-4, 1e-3, 1e-2)}

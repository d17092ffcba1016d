"""A cell is a configuration, a seed and a split; a result belongs to it only if all three are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ltocf.models import MODELS
from ltocf.reproduce.cells import (
    METHODS,
    VARIANTS,
    Cell,
    Places,
    dataset_name,
    find_source,
    make_cells,
    variant_names,
    with_splits,
)
from ltocf.reproduce.run import run_cell, run_cells
from ltocf.runs.config import Config
from ltocf.runs.preparation import prepare_data
from ltocf.tuning import identity
from reproduce_fixtures import plant


def test_the_papers_methods_are_models() -> None:
    assert len(METHODS) == 13
    assert set(METHODS) <= set(MODELS)


def test_there_is_a_cell_for_each_configuration_and_seed(source: str, places: Places) -> None:
    cells = make_cells(source, ["mf", "ltocf"], [0, 3], places, {"device": "cpu"})
    assert [cell.label for cell in cells] == ["log/mf-seed0", "log/mf-seed3", "log/ltocf-seed0", "log/ltocf-seed3"]
    assert cells[3].config.training.learning_rate == 0.02
    assert cells[3].config.run.seed == 3
    assert cells[3].config.run.device == "cpu"
    assert cells[0].file(".json") == places.results / "log" / "mf-seed0.json"
    assert not cells[0].is_done


def test_a_missing_method_has_the_papers_settings_and_is_written_when_it_runs(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["grmf"], [0], places)
    written = places.configs / "log" / "grmf.toml"
    assert cell.config.run.preset == "paper"
    assert not written.exists()
    cell.write_configuration()
    assert Config.from_file(written, source) == cell.config
    assert str(places.configs.parent) not in written.read_text()
    written.write_text(written.read_text() + "\n[training]\nepochs = 7\n")
    (again,) = make_cells(source, ["grmf"], [0], places)
    assert again.config.training.epochs == 7
    again.write_configuration()
    assert "epochs = 7" in written.read_text()


def test_a_missing_variant_is_the_data_sets_own_ltocf_with_one_change(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["solver/euler"], [0], places)
    assert cell.config.options["solver"] == "euler"
    assert (cell.config.options["dim"], cell.config.training.epochs) == (4, 3)
    cell.write_configuration()
    assert (places.configs / "log" / "solver" / "euler.toml").read_text() == cell.text


@pytest.mark.parametrize("figure", VARIANTS)
def test_a_variant_that_changes_nothing_is_the_plain_cell(figure: str, source: str, places: Places) -> None:
    names = variant_names(figure, source, places)
    plain = {"figure9": "solver/rk4", "figure10": "times/learned-3", "figure11": "horizon/4"}[figure]
    assert [variant for variant, name in names.items() if name == "ltocf"] == [plain]


@pytest.mark.parametrize("name", ["../../evil", "../log/mf", "svd", "a/b", "", "."])
def test_a_name_that_is_no_model_variant_or_configuration_is_refused(name: str, source: str, places: Places) -> None:
    before = sorted(places.configs.parent.rglob("*"))
    with pytest.raises(ValueError, match="is not a model and has no configuration; models are ltocf"):
        make_cells(source, [name], [0], places)
    with pytest.raises(ValueError, match="is not a model"):
        make_cells(source, [str(places.configs / "log" / "mf")], [0], places)
    assert sorted(places.configs.parent.rglob("*")) == before


def test_a_data_set_is_named_after_its_folder_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set.v1").mkdir()
    monkeypatch.chdir(tmp_path / "set.v1")
    assert dataset_name(str(tmp_path / "set.v1")) == dataset_name(".") == "set.v1"
    assert dataset_name("gowalla") == "gowalla"
    assert dataset_name("logs/may.csv") == "may"


def test_data_is_found_in_the_given_folder_or_that_of_the_environment(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTOCF_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "my-set").mkdir(parents=True)
    assert find_source("my-set") is None
    (tmp_path / "data" / "my-set" / "train.txt").write_text("0 1\n")
    assert find_source("my-set") == str(tmp_path / "data" / "my-set")
    assert find_source("my-set", str(tmp_path)) is None
    assert find_source(source) == source
    assert find_source("gowalla") is None
    (tmp_path / "data" / "gowalla").mkdir()
    (tmp_path / "data" / "gowalla" / "train.txt").write_text("0 1\n")
    assert find_source("gowalla") == "gowalla"


@pytest.fixture
def done(source: str, places: Places) -> Cell:
    """A cell with a result."""
    (cell,) = with_splits(make_cells(source, ["mf"], [0], places))
    return plant(cell, [0.0, 0.25, 1.0])


def changed(cell: Cell, **values: Any) -> Cell:
    """The cell with other settings, and the split that they give."""
    return with_splits([replace(cell, config=cell.config.with_values(values), split=None)])[0]


@pytest.mark.parametrize(
    "values",
    [
        {"dim": 5},
        {"learning_rate": 0.5},
        {"max_minutes": 3.0},
        {"seed": 0, "init": "spectral"},
        {"init_l2": 0.5},
        {"select_by": "recall@10"},
        {"select_on": "test"},
        {"split_seed": 1},
        {"validation_fraction": 0.3},
        {"validation_core": 6},
        {"test_fraction": 0.4},
    ],
    ids=str,
)
def test_a_setting_that_changes_a_result_makes_another_cell(values: dict[str, Any], done: Cell) -> None:
    other = changed(done, **values)
    assert not other.is_done
    assert other.file(".json") == done.places.results / "log" / f"mf-seed0-{other.key[:8]}.json"
    assert "mf-seed0.json is not used: it" in (other.other_result() or "")
    assert done.is_done
    assert done.file(".json").name == "mf-seed0.json"


@pytest.mark.parametrize("values", [{"device": "cpu"}, {"threads": 2}, {"split": "random"}], ids=str)
def test_a_setting_that_changes_no_result_does_not(values: dict[str, Any], done: Cell) -> None:
    assert changed(done, **values).is_done


def test_a_preset_of_the_same_values_is_the_same_cell(done: Cell) -> None:
    config = done.config
    fast = Config(config.data, config.model, config.options, config.training, replace(config.run, preset="fast"))
    assert replace(done, config=fast).is_done


def test_two_files_of_one_name_are_two_results(done: Cell, source: str, places: Places, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    rows = Path(source).read_text().splitlines()
    (tmp_path / "b" / "log.csv").write_text("\n".join(rows[:-40]) + "\n")
    (other,) = with_splits(make_cells(str(tmp_path / "b" / "log.csv"), ["mf"], [0], places))
    assert other.label == done.label
    assert not other.is_done
    assert "mf-seed0.json is not used: it is of other data" in (other.other_result() or "")
    first = done.file(".json").read_bytes()
    run_cell(other)
    assert other.is_done
    assert other.file(".json").name == f"mf-seed0-{other.key[:8]}.json"
    assert done.file(".json").read_bytes() == first
    expected = prepare_data(other.config).split
    assert other.metrics()["split"] == expected.summary()
    np.testing.assert_array_equal(other.user_result("recall@20").users, np.unique(expected.test.users))
    # The same file under another path is the same data.
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "log.csv").write_text("\n".join(rows[:-40]) + "\n")
    assert with_splits(make_cells(str(tmp_path / "c" / "log.csv"), ["mf"], [0], places))[0].is_done


def test_an_edited_log_is_run_again_and_a_restored_one_is_not(done: Cell, source: str, places: Places) -> None:
    before = Path(source).read_text()
    Path(source).write_text(before.replace("user,item\n", "user,item\n999,0\n999,1\n999,2\n"))
    (edited,) = run_cells(make_cells(source, ["mf"], [0], places)).done
    assert edited.metrics()["split"]["users"] == done.metrics()["split"]["users"] + 1
    Path(source).write_text(before)
    (again,) = with_splits(make_cells(source, ["mf"], [0], places))
    assert again.file(".json") == done.file(".json")


def test_without_the_data_the_settings_of_the_data_are_compared(done: Cell) -> None:
    assert replace(done, split=None).is_done
    assert not replace(done, split=None, config=done.config.with_values({"split_seed": 1})).is_done


def rewrite_metrics(cell: Cell, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the metrics file of a cell."""
    file = cell.places.results / "log" / "mf-seed0.json"
    metrics = json.loads(file.read_text())
    change(metrics)
    file.write_text(json.dumps(metrics))


def test_a_result_of_an_uncertain_configuration_is_not_used(done: Cell) -> None:
    rewrite_metrics(done, lambda metrics: metrics.update(configuration_certain=False))
    assert done.other_result() == f"{done.places.results / 'log/mf-seed0.json'} is not used: " + (
        "its configuration is not certain"
    )
    assert not done.is_done


def test_a_result_of_an_earlier_version_is_not_used(done: Cell) -> None:
    rewrite_metrics(done, lambda metrics: [metrics.pop(name) for name in ("configuration", "split")] and None)
    assert not done.is_done
    assert "it does not state its configuration and split" in (done.other_result() or "")


def test_a_setting_that_a_result_lacks_is_taken_as_its_default(done: Cell) -> None:
    rewrite_metrics(done, lambda metrics: metrics["configuration"]["training"].pop("schedule"))
    assert done.is_done
    rewrite_metrics(done, lambda metrics: metrics["configuration"]["training"].pop("learning_rate"))
    assert "it has learning_rate 0.001 (now 0.01)" in (done.other_result() or "")
    rewrite_metrics(done, lambda metrics: metrics["configuration"]["training"].update(learning_rate=0.01, gone=3))
    assert "it has gone 3 (now None)" in (done.other_result() or "")


def test_a_result_without_users_is_refused(done: Cell) -> None:
    arrays = load_file(done.file(".safetensors"))
    save_file({name: values for name, values in arrays.items() if name != "users"}, done.file(".safetensors"))
    with pytest.raises(ValueError, match=r"must have the array `users`, got ndcg@20, recall@20; run the cell again"):
        done.user_result("recall@20")


def test_data_is_read_once_for_all_cells(source: str, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    configs_read: list[Config] = []
    monkeypatch.setattr(identity, "prepare_data", lambda config: configs_read.append(config) or prepare_data(config))
    cells = with_splits(make_cells(source, ["mf", "lightgcn", "ltocf"], [0, 1, 2], places))
    assert len(configs_read) == 1
    assert len({cell.split["digest"] for cell in cells if cell.split is not None}) == 1
    assert with_splits(cells) == cells
    assert len(configs_read) == 1

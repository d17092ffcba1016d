"""Where a cell and its files are, what they contain, and which result belongs to a cell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ltocf.reproduce.cells import Cell, Places, dataset_name, find_source, make_cells, variant_names
from reproduce_fixtures import plant


def cell_of(places: Places, name: str = "mf", digest: str = "one", **values: Any) -> Cell:
    """A cell with a made-up split, for which no data is read."""
    return replace(make_cells("log.csv", [name], [0], places, values)[0], split={"digest": digest})


def test_a_cell_knows_its_folders(places: Places) -> None:
    cell = cell_of(places)
    assert cell.run_folder == places.runs / "log" / f"mf-seed0-{cell.key[:8]}"
    assert cell.configuration_file == places.configs / "log" / "mf.toml"
    assert cell_of(places, digest="two").key != cell.key
    assert replace(cell, split=None).key == replace(cell, split={"digest": ""}).key


def test_a_name_with_a_dot_keeps_it(places: Places) -> None:
    (places.configs / "log" / "mf-0.5.toml").write_text('[model]\nname = "mf"\n')
    cell = plant(cell_of(places, "mf-0.5"), [0.5])
    assert [cell.file(suffix).name for suffix in (".json", ".jsonl")] == ["mf-0.5-seed0.json", "mf-0.5-seed0.jsonl"]


def test_results_of_the_same_name_are_all_found(places: Places) -> None:
    cells = [plant(cell_of(places, digest=digest), [0.5]) for digest in ("one", "two", "three")]
    names = [cell.file(".safetensors").name for cell in cells]
    assert names == ["mf-seed0.safetensors", *(f"mf-seed0-{cell.key[:8]}.safetensors" for cell in cells[1:])]
    # A file that somebody named is not one of them.
    (places.results / "log" / "mf-seed0-custom.json").write_text("[]")
    fourth = cell_of(places, digest="four")
    assert fourth.file(".json").name == f"mf-seed0-{fourth.key[:8]}.json"
    # A result whose name has other digits still belongs to the cell if its content says so.
    moved = cells[1].file(".json").rename(places.results / "log" / "mf-seed0-00000000.json")
    assert cells[1].file(".json") == moved


def test_a_result_with_a_missing_file_is_not_done(places: Places) -> None:
    for suffix in (".jsonl", ".safetensors", ".json"):
        cell = plant(cell_of(places), [0.5])
        cell.file(suffix).unlink()
        assert not cell.is_done
    assert cell.why_not(cell.file(".json")) == "there is none"
    assert cell.other_result() is None


def test_the_reason_why_a_result_is_not_used(places: Places) -> None:
    cell = plant(cell_of(places), [0.5])
    file = cell.file(".json")
    assert cell.why_not(file) is None
    assert cell.other_result() is None
    longer = cell_of(places, epochs=4)
    assert longer.why_not(file) == "it has epochs 3 (now 4)"
    assert cell_of(places, digest="two").why_not(file) == "it is of other data"
    assert cell_of(places, digest="two", epochs=4).why_not(file) == "it is of other data and has epochs 3 (now 4)"
    assert longer.other_result() == f"{file} is not used: it has epochs 3 (now 4)"
    # If both splits are known, their settings are not compared; otherwise only the settings can be.
    assert cell_of(places, split_seed=5).why_not(file) is None
    assert replace(cell_of(places, split_seed=5), split=None).why_not(file) == "it has split_seed 0 (now 5)"


@pytest.mark.parametrize("missing", ["configuration", "split"])
def test_a_result_without_its_configuration_or_split_is_not_used(missing: str, places: Places) -> None:
    cell = plant(cell_of(places), [0.5])
    file = cell.file(".json")
    metrics = json.loads(file.read_text())
    del metrics[missing]
    file.write_text(json.dumps(metrics))
    assert cell.why_not(file) == "it does not state its configuration and split"


def test_a_result_is_read_as_it_was_written(places: Places) -> None:
    cell = plant(cell_of(places, "ltocf"), [0.0, 0.25], [1.0, 0.5])
    assert (cell.metrics()["recall@20"], cell.metrics()["ndcg@20"]) == (0.125, 0.75)
    assert [row["epoch"] for row in cell.history()] == [1, 2, 3]
    assert [row["epoch"] for row in cell.history("retraining")] == [1]
    found = cell.user_result("ndcg@20")
    assert (found.users.tolist(), found.values.tolist(), found.split) == ([0, 1], [1.0, 0.5], "one")


@pytest.mark.parametrize(
    ("environment", "hardware"),
    [
        ({"device": "cpu", "processor": "a processor"}, "a processor"),
        ({"device": "a GPU", "processor": "a processor"}, "a GPU"),
    ],
)
def test_hardware_is_the_device_that_computed(environment: dict[str, str], hardware: str, places: Places) -> None:
    assert plant(cell_of(places), [0.5], environment=environment).hardware() == hardware


def test_a_configuration_is_written_and_logged_once(places: Places, caplog: pytest.LogCaptureFixture) -> None:
    cell = cell_of(places, "grmf")
    with caplog.at_level("INFO"):
        cell.write_configuration()
        cell.write_configuration()
    file = places.configs / "log" / "grmf.toml"
    assert caplog.messages == [f"wrote {file}"]
    assert file.read_text() == (
        '# log: grmf, see `ltocf reproduce`.\n\n[data]\nvalidation_split = "random"\n\n'
        '[model]\nname = "grmf"\n\n[run]\npreset = "paper"\n'
    )


def test_a_variant_of_a_data_set_without_ltocf_has_the_papers_settings(tmp_path: Path) -> None:
    (cell,) = make_cells("gowalla", ["horizon/2"], [0], Places(tmp_path))
    assert cell.text == (
        "# gowalla: horizon/2, see `ltocf reproduce`.\n\n"
        '[data]\nvalidation_split = "random"\n\n[model]\nname = "ltocf"\nhorizon = 2.0\n\n[run]\npreset = "paper"\n'
    )
    assert cell.config.data.source == "gowalla"


def test_a_variant_of_a_configuration_without_a_model_has_only_its_change(tmp_path: Path) -> None:
    places = Places(tmp_path)
    base = tmp_path / "log" / "ltocf.toml"
    base.parent.mkdir()
    # A configuration that names no model is one of ltocf.
    base.write_text("[training]\nepochs = 3\n")
    (cell,) = make_cells("log.csv", ["horizon/2"], [0], places)
    assert cell.text.endswith("[training]\nepochs = 3\n\n[model]\nhorizon = 2.0\n")
    assert (cell.config.model, cell.config.options["horizon"]) == ("ltocf", 2.0)


def test_a_configuration_file_is_read_unchanged(places: Places) -> None:
    file = places.configs / "log" / "custom.toml"
    file.write_text('# 日本\n[model]\nname = "mf"\ndim = 7\n', encoding="utf-8")
    cell = cell_of(places, "custom")
    assert cell.text == file.read_text(encoding="utf-8")
    assert cell.config.options["dim"] == 7


def test_settings_of_a_call_override_the_file(places: Places) -> None:
    plain = cell_of(places).config
    assert (plain.data.data_dir, plain.data.source, plain.run.seed) == ("", "log.csv", 0)
    elsewhere = make_cells("log.csv", ["mf"], [4], replace(places, data_dir="sets"), {"epochs": 9})[0].config
    assert (elsewhere.data.data_dir, elsewhere.run.seed, elsewhere.training.epochs) == ("sets", 4, 9)
    (other,) = make_cells("log.csv", ["mf"], [4], replace(places, data_dir="sets"), {"seed": 5, "data_dir": "more"})
    assert (other.config.data.data_dir, other.seed) == ("more", 5)


def test_a_folder_is_not_a_configuration(places: Places) -> None:
    (places.configs / "log" / "custom.toml").mkdir()
    with pytest.raises(ValueError, match="'custom' is not a model and has no configuration"):
        make_cells("log.csv", ["custom"], [0], places)


def test_a_name_may_contain_two_dots(places: Places) -> None:
    (places.configs / "log" / "a..b.toml").write_text('[model]\nname = "mf"\n')
    assert cell_of(places, "a..b").name == "a..b"


def test_all_variants_differ_from_a_base_that_has_none_of_them(places: Places) -> None:
    file = places.configs / "log" / "ltocf.toml"
    file.write_text('[model]\nname = "ltocf"\nhorizon = 7.0\n')
    assert variant_names("figure11", "log.csv", places) == {
        name: name for name in ("horizon/2", "horizon/3", "horizon/4")
    }
    file.write_text('[model]\nname = "ltocf"\nhorizon = 3.0\n')
    assert variant_names("figure11", "log.csv", places)["horizon/3"] == "ltocf"


def test_a_data_set_is_named_after_its_resolved_folder_or_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set.v1").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "set.v1")
    assert dataset_name("link") == "set.v1"
    assert dataset_name("set.v2") == "set"


def test_data_is_found_in_the_given_folder_or_that_of_the_environment_or_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = {"given": tmp_path / "given", "environment": tmp_path / "env", "home": tmp_path / ".cache" / "ltocf"}
    for name, folder in folders.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "train.txt").write_text("0 1\n")
        (folder / "empty").mkdir()
    monkeypatch.setenv("LTOCF_DATA", "~/env")
    assert find_source("given", "~/given") == str(tmp_path / "given" / "given")
    assert find_source("environment", "~/given") is None
    assert find_source("environment") == str(tmp_path / "env" / "environment")
    assert find_source("home") is None
    monkeypatch.delenv("LTOCF_DATA")
    assert find_source("home") == str(tmp_path / ".cache" / "ltocf" / "home")
    assert find_source("empty") is None
    (tmp_path / ".cache" / "ltocf" / "gowalla").mkdir()
    assert find_source("gowalla") is None
    (tmp_path / ".cache" / "ltocf" / "gowalla" / "train.txt").write_text("0 1\n")
    assert find_source("gowalla") == "gowalla"

"""Configuration files become cells; a file that is missing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltocf.models import MODELS
from ltocf.reproduce.cells import METHODS, VARIANTS, Places, find_source, make_cells, variant_names
from ltocf.runs.config import Config


def test_the_papers_methods_are_models() -> None:
    assert len(METHODS) == 13
    assert set(METHODS) <= set(MODELS)


def test_a_cell_is_a_file_and_a_seed(source: str, places: Places) -> None:
    cells = make_cells(source, ["mf", "ltocf"], [0, 3], places, {"device": "cpu"})
    assert [cell.label for cell in cells] == ["log/mf-seed0", "log/mf-seed3", "log/ltocf-seed0", "log/ltocf-seed3"]
    assert cells[3].config.training.learning_rate == 0.02
    assert cells[3].config.run.seed == 3
    assert cells[3].config.run.device == "cpu"
    assert cells[0].file(".json") == places.results / "log" / "mf-seed0.json"
    assert not cells[0].is_done


def test_a_missing_method_is_written_with_the_papers_settings(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["grmf"], [0], places)
    written = places.configs / "log" / "grmf.toml"
    assert Config.from_file(written, source) == cell.config
    assert cell.config.run.preset == "paper"
    assert str(places.configs.parent) not in written.read_text()
    written.write_text(written.read_text() + "\n[training]\nepochs = 7\n")
    (again,) = make_cells(source, ["grmf"], [0], places)
    assert again.config.training.epochs == 7


def test_a_missing_variant_is_the_data_sets_own_ltocf_with_one_change(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["solver/euler"], [0], places)
    assert cell.config.options["solver"] == "euler"
    assert (cell.config.options["dim"], cell.config.training.epochs) == (4, 3)
    assert (places.configs / "log" / "solver" / "euler.toml").exists()


@pytest.mark.parametrize("figure", VARIANTS)
def test_a_variant_that_changes_nothing_is_the_plain_cell(figure: str, source: str, places: Places) -> None:
    names = variant_names(figure, source, places)
    plain = {"figure9": "solver/rk4", "figure10": "times/learned-3", "figure11": "horizon/4"}[figure]
    assert [variant for variant, name in names.items() if name == "ltocf"] == [plain]


def test_sources(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
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

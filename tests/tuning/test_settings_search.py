"""Settings are chosen on the validation part; every trial is kept."""

from __future__ import annotations

import json
import tomllib

import pytest

from ltocf.reproduce.cells import Places, make_cells
from ltocf.tuning.settings_search import paper_space, search_settings

SPACE = {"learning_rate": [0.003, 0.03], "l2": [1e-4, 1e-2]}


def test_the_grid_is_tried_once_and_its_best_is_written(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["mf"], [0], places)
    found = search_settings(cell, SPACE, processes=2)
    assert sorted((t["values"]["learning_rate"], t["values"]["l2"]) for t in found["trials"]) == [
        (rate, l2) for rate in SPACE["learning_rate"] for l2 in SPACE["l2"]
    ]
    assert found["best"]["recall@20"] == max(trial["recall@20"] for trial in found["trials"])
    text = (places.configs / "log" / "mf.toml").read_text()
    assert text.startswith("# a comment\n\n")
    training = tomllib.loads(text)["training"]
    assert {name: training[name] for name in SPACE} == found["best"]["values"]
    assert training["epochs"] == 3
    path = places.results / "log" / "search" / "mf.json"
    before = path.read_text()
    again = search_settings(make_cells(source, ["mf"], [0], places)[0], SPACE)
    assert again["trials"] == json.loads(before)["trials"]
    assert path.read_text() == before


def test_options_of_the_model_can_be_searched(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["ltocf"], [0], places)
    search_settings(cell, {"horizon": [2.0], "n_times": [1]})
    model = tomllib.loads((places.configs / "log" / "ltocf.toml").read_text())["model"]
    assert (model["horizon"], model["n_times"]) == (2.0, 1)


def test_tpe_goes_on_from_what_is_known(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["mf"], [0], places)
    search_settings(cell, SPACE, sampler="tpe", n_trials=2)
    found = search_settings(cell, SPACE, sampler="tpe", n_trials=3)
    assert len(found["trials"]) == 3
    rates = [trial["values"]["learning_rate"] for trial in found["trials"]]
    assert len(set(rates)) == 3
    assert all(0.003 <= rate <= 0.03 for rate in rates)


def test_errors(source: str, places: Places) -> None:
    (cell,) = make_cells(source, ["mf"], [0], places)
    with pytest.raises(ValueError, match="`l2` must have at least one value to try, got none"):
        search_settings(cell, {"l2": []})
    with pytest.raises(ValueError, match="no setting `rate`; there are"):
        search_settings(cell, {"rate": [0.1]})
    (on_test,) = make_cells(source, ["mf"], [0], places, {"select_on": "test"})
    with pytest.raises(ValueError, match="settings are chosen on the validation part, got select_on = 'test'"):
        search_settings(on_test, {"l2": [0.1]})


def test_the_papers_space() -> None:
    assert len(paper_space("ltocf")) == 4
    assert paper_space("mf") == {"learning_rate": (1e-5, 1e-4, 1e-3, 1e-2), "l2": (1e-4, 1e-3, 1e-2)}

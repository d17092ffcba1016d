"""From a name like figure9 to its cells, and from planted results to their report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ltocf.report.content import Report
from ltocf.reproduce.cells import METHODS, Cell, Places, make_cells
from ltocf.reproduce.figures import ablation, connections, curves_of_training, seconds
from ltocf.reproduce.plan import PROTOCOL, TABLE1, WHAT, datasets, keep_report, plan, report
from ltocf.reproduce.table3 import figure, numbers, table
from reproduce_fixtures import plant


def planned_names(what: str, places: Places, models: Sequence[str] = ()) -> list[str]:
    return [cell.name for cell in plan(what, "log.csv", models, [0], places, {})]


def planted(places: Places, name: str, values: Sequence[float] = (0.5, 0.25), seed: int = 0, **more: Any) -> Cell:
    """A cell with these values of its test users, and a split of its own."""
    cell = make_cells("log.csv", [name], [seed], places)[0]
    return plant(replace(cell, split={"digest": f"split of {name}"}), values, **more)


def test_tables_of_all_methods_include_added_configurations(places: Places) -> None:
    for name in ("zoo", "apple"):
        (places.configs / "log" / f"{name}.toml").write_text('[model]\nname = "mf"\n')
    (places.configs / "log" / "notes.txt").write_text("")
    for what in ("table3", "figure12"):
        assert planned_names(what, places) == [*METHODS, "apple", "zoo"]
        assert planned_names(what, places, ["zoo", "mf"]) == ["zoo", "mf"]


@pytest.mark.parametrize("what", ["figure6", "figure7", "figure8"])
def test_curves_are_of_lightgcn_and_ltocf_unless_others_are_named(what: str, places: Places) -> None:
    assert planned_names(what, places) == ["lightgcn", "ltocf"]
    assert planned_names(what, places, ["mf"]) == ["mf"]


def test_an_ablation_has_each_cell_once_whatever_models_are_named(places: Places) -> None:
    expected = ["solver/euler", "ltocf", "solver/adams_moulton", "solver/dopri5", "solver/exact"]
    assert planned_names("figure9", places, ["mf"]) == expected
    assert planned_names("figure11", places) == ["horizon/2", "horizon/3", "ltocf"]


def test_cells_have_the_seeds_and_settings_of_the_call(places: Places) -> None:
    cells = plan("figure6", "log.csv", ["mf"], [3, 4], places, {"epochs": 9})
    assert [(cell.seed, cell.config.training.epochs, cell.places) for cell in cells] == [(3, 9, places), (4, 9, places)]
    assert plan("table1", "log.csv", ["mf"], [0], places, {}) == []
    for what in WHAT[1:]:
        assert plan(what, "log.csv", [], [0], places, {})


def test_data_sets_that_are_not_found_are_left_out_unless_they_are_named(
    places: Places, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("b-set", "a-set", "gowalla"):
        (places.configs / name).mkdir()
    (places.configs / "a-file").write_text("")
    (places.configs / "log" / "ltocf.toml").touch()
    for name in ("b-set", "a-set"):
        (tmp_path / "sets" / name).mkdir(parents=True)
        (tmp_path / "sets" / name / "train.txt").write_text("0 1\n")
    places = replace(places, data_dir=str(tmp_path / "sets"))
    found = [str(tmp_path / "sets" / name) for name in ("a-set", "b-set")]
    with caplog.at_level("INFO"):
        assert datasets([], places) == found
    assert caplog.messages == [f"{name}: left out, its data was not found" for name in ("gowalla", "log")]
    assert datasets(["b-set", "a-set"], places) == found[::-1]
    assert datasets(["gowalla"], places) == ["gowalla"]  # it is downloaded when it is read
    with pytest.raises(FileNotFoundError, match=r"no data found for log; give a folder with train.txt"):
        datasets(["a-set", "gowalla", "log"], places)
    with pytest.raises(FileNotFoundError, match=f"no data found for {tmp_path / 'none'}; give a folder"):
        datasets([], Places(tmp_path / "none"))


def test_a_report_states_the_origin_of_its_numbers(places: Places) -> None:
    gpu = {"device": "a GPU", "processor": "a processor"}
    cells = [planted(places, "mf", environment=gpu), planted(places, "ltocf", seed=1), planted(places, "ltocf")]
    made = report("table3", cells, ["log/cmn-seed0", "log/grmf-seed0"], places, "a command", {"torch": "2"})
    found = numbers(cells)
    assert made == Report(
        what="table3",
        title="Every method: log",
        summary=[PROTOCOL, "Results still missing: log/cmn-seed0, log/grmf-seed0."],
        tables=[table(cells, found)],
        figures=[figure(cells, found)],
        settings={"log/mf": cells[0].text, "log/ltocf": cells[1].text},
        numbers={"log": found},
        command="a command",
        environment={"torch": "2", "hardware of the cells": "a GPU, a processor"},
        cells={
            "log/mf-seed0": "split of mf",
            "log/ltocf-seed1": "split of ltocf",
            "log/ltocf-seed0": "split of ltocf",
        },
        name="table3-log",
    )
    assert report("table3", cells, [], places, "a command", {}).summary == [PROTOCOL]


def test_numbers_are_computed_once_for_table_and_figure(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [planted(places, name) for name in ("mf", "ltocf")]
    found = {"ltocf": numbers(cells)["ltocf"]}
    monkeypatch.setattr("ltocf.reproduce.plan.numbers", lambda _: found)
    made = report("table3", cells, [], places, "", {})
    assert (made.tables, made.figures) == ([table(cells, found)], [figure(cells, found)])
    assert [row[0] for row in made.tables[0].rows] == ["LT-OCF"]


@pytest.mark.parametrize("what", ["figure6", "figure7", "figure8"])
def test_a_report_of_curves_has_the_histories_of_its_cells(what: str, places: Places) -> None:
    cells = [planted(places, name) for name in ("lightgcn", "ltocf")]
    made = report(what, cells, [], places, "", {})
    assert made.figures == [curves_of_training(what, cells)]
    assert made.tables == []
    assert made.numbers == {"log": {cell.name: cell.history() for cell in cells}}
    assert (made.title, made.name) == (made.figures[0].title, f"{what}-log")


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("figure9", {"solver/euler": "solver/euler", "solver/rk4": "ltocf"}),
        ("figure10", {"times/fixed-1": "times/fixed-1", "times/learned-3": "ltocf"}),
        ("figure11", {"horizon/2": "horizon/2", "horizon/4": "ltocf"}),
    ],
)
def test_a_report_of_an_ablation_counts_the_plain_cell_as_its_variant(
    what: str, names: dict[str, str], places: Places
) -> None:
    cells = [planted(places, name) for name in names.values()]
    made = report(what, cells, [], places, "", {})
    drawn, listed, values = ablation(what, names, cells)
    assert (made.figures, made.tables, made.numbers) == ([drawn], [listed], {"log": values})
    assert list(values["recall@20"]) == list(names)
    assert list(report(what, cells[:1], [], places, "", {}).numbers["log"]["recall@20"]) == list(names)[:1]


def test_a_report_of_seconds_has_the_figure_and_its_numbers(places: Places) -> None:
    cells = [planted(places, name) for name in ("lightgcn", "ltocf")]
    made = report("figure12", cells, [], places, "", {})
    drawn, rows = seconds(cells)
    assert (made.figures, made.tables, made.numbers) == ([drawn], [], {"log": rows})
    assert made.title == "Time of training and of ranking: log"


def test_the_report_of_table_1_needs_no_cells() -> None:
    drawn, listed, values = connections()
    made = report("table1", [], [], Places(), "a command", {"torch": "2"})
    assert made == Report(
        what="table1",
        title="What each solver connects",
        summary=[TABLE1],
        tables=[listed],
        figures=[drawn],
        settings={},
        numbers=values,
        command="a command",
        environment={"torch": "2"},
    )


def empty_report(cells: dict[str, str], name: str = "table3-log") -> Report:
    return Report("table3", "", [], [], [], {}, {}, "", cells=cells, name=name)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Report]:
    """The reports that are written; of each only the cells go to a file."""
    reports: list[Report] = []

    def write(made: Report, folder: Path) -> Path:
        reports.append(made)
        folder.mkdir(exist_ok=True)
        (folder / f"{made.stem}.json").write_text(json.dumps({"cells": made.cells}))
        return folder / f"{made.stem}.html"

    monkeypatch.setattr("ltocf.reproduce.plan.write_report", write)
    return reports


def test_a_report_keeps_its_name_if_it_has_all_cells_of_the_last_one(
    written: list[Report], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full, part, other = {"b": "1", "a": "1"}, {"b": "1"}, {"b": "2", "a": "1"}
    with caplog.at_level("INFO"):
        assert keep_report(empty_report(part), tmp_path / "reports") == tmp_path / "reports" / "table3-log.html"
        assert keep_report(empty_report(full), tmp_path / "reports").stem == "table3-log"
        assert keep_report(empty_report(full), tmp_path / "reports").stem == "table3-log"
        assert not caplog.messages
        for cells, text in ((part, '{"b": "1"}'), (other, '{"a": "1", "b": "2"}')):
            digits = hashlib.sha256(text.encode()).hexdigest()[:8]
            assert keep_report(empty_report(cells), tmp_path / "reports").stem == f"table3-log-{digits}"
    assert caplog.messages == [f"{tmp_path / 'reports' / 'table3-log.json'} has other cells and stays"] * 2
    assert [made.cells for made in written] == [part, full, full, part, other]


def test_a_report_of_an_earlier_version_without_cells_is_replaced(written: list[Report], tmp_path: Path) -> None:
    (tmp_path / "table3-log.json").write_text('{"numbers": "é"}', encoding="utf-8")
    assert keep_report(empty_report({}), tmp_path).stem == "table3-log"
    assert written[0].name == "table3-log"


def test_figures_are_named_like_their_report(written: list[Report], places: Places, tmp_path: Path) -> None:
    made = report("table3", [planted(places, "mf")], [], places, "", {})
    (tmp_path / "table3-log.json").write_text('{"cells": {"log/cmn-seed0": "one"}}')
    page = keep_report(made, tmp_path)
    (kept,) = written
    assert page.stem == kept.name == kept.figures[0].name != "table3-log"
    assert kept == replace(made, name=page.stem, figures=[replace(made.figures[0], name=page.stem)])

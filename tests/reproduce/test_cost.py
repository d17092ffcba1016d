"""A plan lists the cells that are missing and the minutes that they are expected to take."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ltocf.reproduce.cells import Cell, Places, make_cells
from ltocf.reproduce.cost import Plan, expected_minutes
from reproduce_fixtures import plant


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def write_measured(places: Places, name: str, model: str, minutes: float, device: str = "cpu", **more: Any) -> None:
    """Write a result that took so many minutes."""
    path = places.results / "log" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = {"seconds": minutes * 60, "seconds_of_this_process": minutes * 60} | more
    path.write_text(json.dumps({"model": model, "environment": {"device": device}, **seconds}))


def cell(source: str, places: Places, name: str, **values: Any) -> Cell:
    return replace(make_cells(source, [name], [0], places, values)[0], split={"digest": "one"})


def test_expected_minutes_are_those_of_the_same_configuration(source: str, places: Places) -> None:
    assert expected_minutes(cell(source, places, "mf")) is None
    write_measured(places, "other-seed0", "mf", 100.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(100)
    write_measured(places, "mf-seed1", "mf", 2.0)
    write_measured(places, "mf-seed2", "mf", 4.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(3)
    assert expected_minutes(cell(source, places, "ltocf")) is None
    write_measured(places, "solver/rk4-seed2", "ltocf", 7.0)
    assert expected_minutes(cell(source, places, "ltocf")) == pytest.approx(7)
    # "-seed" inside the name of a configuration is no seed; a name that ends in a key is of the same configuration.
    write_measured(places, "mf-seedless-seed1", "mf", 9.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(3)
    write_measured(places, "mf-seed1-0123abcd", "mf", 6.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(4)


def test_the_longer_of_training_and_of_the_whole_process_is_expected(source: str, places: Places) -> None:
    write_measured(places, "mf-seed1", "mf", 2.0, seconds_of_this_process=1.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(2)
    write_measured(places, "mf-seed1", "mf", 2.0, seconds_of_this_process=3600.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(60)


def test_minutes_on_a_gpu_are_ignored_for_a_processor(source: str, places: Places) -> None:
    write_measured(places, "mf-seed1", "mf", 2.0, device="NVIDIA H200")
    assert expected_minutes(cell(source, places, "mf")) is None
    write_measured(places, "mf-seed2", "mf", 4.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(4)


def test_minutes_on_a_processor_are_ignored_for_a_gpu(
    source: str, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    write_measured(places, "mf-seed1", "mf", 2.0)
    assert expected_minutes(cell(source, places, "mf")) is None
    write_measured(places, "mf-seed2", "mf", 4.0, device="NVIDIA H200")
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(4)


def test_a_time_limit_bounds_the_expected_minutes(source: str, places: Places) -> None:
    assert expected_minutes(cell(source, places, "mf", max_minutes=3.0)) == 3
    write_measured(places, "mf-seed1", "mf", 2.0)
    assert expected_minutes(cell(source, places, "mf", max_minutes=3.0)) == pytest.approx(2)
    assert expected_minutes(cell(source, places, "mf", max_minutes=1.0)) == 1


def plan(source: str, minutes: list[float | None], processes: int = 1) -> Plan:
    names = ["mf", "ltocf", "lightgcn"]
    cells = [cell(source, Places(), name) for name in names]
    return Plan([], list(zip(cells, minutes, strict=False)), processes)


@pytest.mark.parametrize(
    ("minutes", "processes", "cost", "is_long"),
    [
        ([14.2, 18.3], 1, "about 32 min", True),
        ([14.2, 18.3], 4, "about 16 min", True),
        ([2.0, 3.0], 1, "about 5 min", False),
        ([2.0, 3.1], 1, "about 5 min", True),
        ([2.0, 3.1], 2, "about 3 min", False),
        ([0.1, 0.1], 1, "about 1 min", False),
        ([None, 2.0], 1, "about 2 min and 1 of unknown time", True),
        ([None, None], 1, "time unknown", True),
    ],
)
def test_a_plan_states_its_expected_minutes(
    minutes: list[float | None], processes: int, cost: str, is_long: bool, source: str
) -> None:
    made = plan(source, minutes, processes)
    assert list(made.lines()) == [f"log: 0 done, 2 to run: mf, ltocf; {cost}"]
    assert made.is_long is is_long


def test_a_plan_has_all_cells_with_their_minutes(source: str, places: Places) -> None:
    write_measured(places, "mf-seed1", "mf", 2.0)
    done = plant(cell(source, places, "lightgcn"), [0.5])
    waiting = [cell(source, places, name) for name in ("mf", "ltocf")]
    made = Plan.of([waiting[0], done, waiting[1]], 3)
    assert made == Plan([done], [(waiting[0], 2.0), (waiting[1], None)], 3)
    assert Plan.of([done]) == Plan([done], [], 1)


def test_a_plan_has_a_line_for_each_data_set_and_names_several_seeds(source: str, places: Places) -> None:
    other = replace(make_cells("other.csv", ["mf"], [0], places)[0], split={"digest": "one"})
    cells = [replace(each, split={"digest": "one"}) for each in make_cells(source, ["mf", "ltocf"], [0, 3], places)]
    made = Plan([cells[0], other], [(each, 2.0) for each in cells[1:]])
    assert list(made.lines()) == [
        "log: 1 done, 3 to run: mf-seed3, ltocf-seed0, ltocf-seed3; about 6 min",
        "other: 1 done, 0 to run",
    ]


def test_files_that_are_no_results_of_runs_are_ignored(source: str, places: Places) -> None:
    write_measured(places, "search/other-seed0", "mf", 2.0)
    folder = places.results / "log"
    keys = ["model", "seconds", "seconds_of_this_process", "environment"]
    result = {"model": "mf", "seconds": 9.0, "seconds_of_this_process": 9.0, "environment": {"device": "cpu"}}
    for name in keys:
        rest = {key: value for key, value in result.items() if key != name}
        (folder / f"without-{name}.json").write_text(json.dumps(rest))
    (folder / "list.json").write_text(json.dumps(keys))
    (folder / "mf-seed7.jsonl").write_text("{")
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(2)


def test_a_plan_without_missing_cells_is_not_long(source: str, places: Places) -> None:
    made = Plan([cell(source, places, "mf")], [])
    assert list(made.lines()) == ["log: 1 done, 0 to run"]
    assert not made.is_long


def test_a_plan_names_a_result_that_is_not_used(source: str, places: Places) -> None:
    write_measured(places, "mf-seed0", "mf", 2.0)
    waiting = cell(source, places, "mf")
    made = Plan.of([waiting])
    assert list(made.lines()) == [
        "log: 0 done, 1 to run: mf; about 2 min",
        f"{places.results / 'log/mf-seed0.json'} is not used: it does not state its configuration and split; "
        f"the new result will be mf-seed0-{waiting.key[:8]}.json",
    ]
